package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"time"

	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// A delivery posts the events that are kept to the user's service: at least once each, those of a
// device in their order and one at a time. How far it has come is on disk.
type delivery struct {
	g       *Gateway
	service *service
	cursors *store.Log

	mu        sync.Mutex
	ahead     []*parcel            // read, in order; the first is not done
	bytes     int                  // of their messages
	byDevice  map[string][]*parcel // of them: those that are not done, of each device
	delivered int64
	refused   int64
	failed    int64
	gone      int64
	cursor    uint64        // all up to here are done
	saved     uint64        // and that this is so is on disk
	room      chan struct{} // holds one: something has been done
	slots     chan struct{} // of what is with the service
	tasks     sync.WaitGroup
}

// A parcel is an event on its way.
type parcel struct {
	seq   uint64
	bytes int
	event *Event // nil when it is done
}

// DeliveryStats is what has been counted of a delivery.
type DeliveryStats struct {
	Delivered int64 // events that the service has taken
	Refused   int64 // events that it does not want, and that it is not asked about again
	Failed    int64 // attempts that it has not taken
	Gone      int64 // events, at most, that were gone from the disk before they were read
	Ahead     int   // events that have been read and are not done
}

const (
	deliverAhead      = 1024     // how many events are in memory
	deliverAheadBytes = 16 << 20 // and bytes of them; a single one may have more
	deliverMinBackoff = time.Second
	deliverMaxBackoff = time.Minute
	cursorKey         = "c/deliver"
	saveCursorEvery   = time.Second
)

func newDelivery(g *Gateway, d Delivery, cursors *store.Log) *delivery {
	orDefault(&d.InFlight, 16)
	return &delivery{
		g:        g,
		service:  newService(d.Service, d.InFlight),
		cursors:  cursors,
		byDevice: make(map[string][]*parcel),
		room:     make(chan struct{}, 1),
		slots:    make(chan struct{}, d.InFlight),
	}
}

func (d *delivery) stats() *DeliveryStats {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &DeliveryStats{Delivered: d.delivered, Refused: d.refused, Failed: d.failed, Gone: d.gone, Ahead: len(d.ahead)}
}

// run delivers until ctx ends.
func (d *delivery) run(ctx context.Context) {
	defer d.service.close()
	defer d.tasks.Wait()
	log := d.g.events.log
	d.tasks.Go(func() { d.save(ctx) })
	passed := uint64(0) // what was last when there was nothing to read
	for at := d.cursor; ctx.Err() == nil; {
		d.mu.Lock()
		room := deliverAhead - len(d.ahead)
		if d.bytes > deliverAheadBytes {
			room = 0
		}
		d.mu.Unlock()
		if room == 0 {
			select {
			case <-d.room:
			case <-ctx.Done():
			}
			continue
		}
		last, err := log.Last(ctx)
		var records []store.Record
		if err == nil {
			records, err = log.Read(ctx, "e/*", at, min(room, 256))
		}
		if err == nil && (len(records) == 0 || records[0].Seq > at+1) {
			var gone uint64
			if gone, err = d.g.events.overtook(ctx, at); gone > 0 {
				at += gone
				d.countGone(gone)
			}
		}
		if err == nil && len(records) == 0 && last > at {
			// What is up to there cannot be read, or not yet where a replica answers.
			if rest(ctx, time.Second); passed == last {
				at = last
			}
			passed = last
			continue
		}
		if err == nil && len(records) == 0 {
			err = log.Wait(ctx, at)
		}
		if err != nil {
			rest(ctx, time.Second)
		}
		for i := range records {
			at = records[i].Seq
			d.post(ctx, &parcel{seq: at, bytes: len(records[i].Data), event: decodeEvent(&records[i])})
		}
	}
}

// begin reads how far it has come. A delivery that is new begins with what happens from now on.
func (d *delivery) begin(ctx context.Context) error {
	r, err := d.cursors.Get(ctx, cursorKey)
	switch {
	case err == nil && len(r.Data) == 8:
		d.cursor = binary.BigEndian.Uint64(r.Data)
		d.saved = d.cursor
		last, err := d.g.events.log.Last(ctx)
		if err != nil {
			return fmt.Errorf("gateway: read events: %w", err)
		}
		if d.cursor > last {
			d.g.log.Warn("the log of events has begun anew, and all of it is delivered", "delivered_to", d.cursor, "last", last)
			d.cursor = 0
		}
		return nil
	case err != nil && !errors.Is(err, store.ErrNotFound):
		return fmt.Errorf("gateway: read how far events are delivered: %w", err)
	}
	if d.cursor, err = d.g.events.log.Last(ctx); err != nil {
		return fmt.Errorf("gateway: read events: %w", err)
	}
	if _, err := d.cursors.Append(ctx, store.Record{Key: cursorKey, Data: binary.BigEndian.AppendUint64(nil, d.cursor)}); err != nil {
		d.g.log.Warn("where delivery begins is not on disk", "error", err)
	}
	d.saved = d.cursor
	return nil
}

// post puts an event behind those of its device that are not done.
func (d *delivery) post(ctx context.Context, p *parcel) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ahead = append(d.ahead, p)
	d.bytes += p.bytes
	if p.event == nil { // it was damaged
		d.advanceLocked()
		return
	}
	device := p.event.Device
	d.byDevice[device] = append(d.byDevice[device], p)
	if len(d.byDevice[device]) == 1 {
		d.tasks.Go(func() { d.device(ctx, device) })
	}
}

// device posts the events of one device that have been read.
func (d *delivery) device(ctx context.Context, device string) {
	for {
		d.mu.Lock()
		waiting := d.byDevice[device]
		if len(waiting) == 0 {
			delete(d.byDevice, device)
			d.mu.Unlock()
			return
		}
		p := waiting[0]
		d.mu.Unlock()
		if !d.deliver(ctx, p.event) {
			return
		}
		d.mu.Lock()
		d.byDevice[device] = d.byDevice[device][1:]
		p.event = nil
		d.advanceLocked()
		d.mu.Unlock()
	}
}

// advanceLocked moves the cursor behind what is done.
func (d *delivery) advanceLocked() {
	for len(d.ahead) > 0 && d.ahead[0].event == nil {
		d.cursor = d.ahead[0].seq
		d.bytes -= d.ahead[0].bytes
		d.ahead[0] = nil
		d.ahead = d.ahead[1:]
	}
	select {
	case d.room <- struct{}{}:
	default:
	}
}

// Delivered is what the user's service receives of an event that is kept.
type Delivered struct {
	ID   uint64    `json:"id"`
	Name EventName `json:"event"`
	*Event
}

// deliver posts an event until the service has taken it or says that it never will. False means
// that ctx has ended before.
func (d *delivery) deliver(ctx context.Context, e *Event) bool {
	b, err := queue.JSON(Delivered{e.ID, e.Name, e})
	if err != nil {
		panic(fmt.Sprintf("gateway: event of %s: %v", e.Device, err))
	}
	for backoff := deliverMinBackoff; ; backoff = min(2*backoff, deliverMaxBackoff) {
		select {
		case d.slots <- struct{}{}:
		case <-ctx.Done():
			return false
		}
		r, _, err := d.service.post(ctx, json.RawMessage(b))
		<-d.slots
		if ctx.Err() != nil {
			return false
		}
		if err == nil {
			switch {
			case r.StatusCode >= 200 && r.StatusCode <= 299:
				d.count(&d.delivered)
				return true
			case r.StatusCode == http.StatusBadRequest, r.StatusCode == http.StatusGone, r.StatusCode == http.StatusRequestEntityTooLarge, r.StatusCode == http.StatusUnprocessableEntity:
				d.count(&d.refused)
				d.g.log.Error("the service does not want an event, which is not delivered", "device", e.Device, "event", e.Name, "id", e.ID, "status", r.StatusCode)
				return true
			}
			err = fmt.Errorf("the service responds with status %d", r.StatusCode)
		}
		d.count(&d.failed)
		d.g.storeTrouble.Do(func() {
			d.g.log.Warn("cannot deliver an event; trying again until it is", "device", e.Device, "error", err)
		})
		if !rest(ctx, backoff/2+rand.N(backoff/2)) {
			return false
		}
	}
}

func (d *delivery) count(n *int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	*n++
}

func (d *delivery) countGone(n uint64) {
	d.g.log.Error("events are gone that were not delivered yet; events.max_size and events.max_age say how long they are kept", "at_most", n)
	d.mu.Lock()
	defer d.mu.Unlock()
	d.gone += int64(n)
}

// save writes how far the delivery has come, now and then and at the end.
func (d *delivery) save(ctx context.Context) {
	for again := true; again; {
		again = rest(ctx, saveCursorEvery)
		d.mu.Lock()
		cursor := d.cursor
		changed := cursor != d.saved
		d.mu.Unlock()
		if !changed {
			continue
		}
		within, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveCursorEvery)
		_, err := d.cursors.Append(within, store.Record{Key: cursorKey, Data: binary.BigEndian.AppendUint64(nil, cursor)})
		cancel()
		if err == nil {
			d.saved = cursor
		}
	}
}

// rest waits, and reports whether ctx has not ended.
func rest(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
