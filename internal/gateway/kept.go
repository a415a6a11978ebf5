package gateway

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/netip"
	"time"

	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// keptEvent is an event as it is on disk, behind its id.
type keptEvent struct {
	Name EventName `json:"name"`
	*Event
}

func (e *Event) encode() []byte {
	b, err := queue.JSON(keptEvent{e.Name, e})
	if err != nil { // what is in it has been read as JSON
		panic(fmt.Sprintf("gateway: event of %s: %v", e.Device, err))
	}
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(b)), e.ID), b...)
}

// eventKey returns the key of a device's events. Those that are known by their address have one for all:
// each connection has another address, and the store's index would grow with them.
func eventKey(device string) string {
	if _, err := netip.ParseAddrPort(device); err == nil {
		return "e/:"
	}
	if a, err := netip.ParseAddr(device); err == nil && a.Is6() { // with its port behind, see addressID
		return "e/:"
	}
	return "e/" + device
}

func eventID(r *store.Record) uint64 {
	if len(r.Data) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(r.Data)
}

// decodeEvent returns the event of a record, nil where it is none.
func decodeEvent(r *store.Record) *Event {
	kept := keptEvent{Event: new(Event)}
	if len(r.Data) < 8 || json.Unmarshal(r.Data[8:], &kept) != nil {
		return nil
	}
	kept.Event.ID, kept.Event.Name = eventID(r), kept.Name
	return kept.Event
}

// fromLog returns events that are on disk and not in memory, whose oldest has the id first. When
// there are none the reader goes on in memory.
func (r *EventReader) fromLog(ctx context.Context, first uint64, limit int) (events []Event, err error) {
	if r.place == 0 {
		place, gone, err := r.feed.find(ctx, r.After)
		if err != nil {
			return nil, err
		}
		r.place, r.from, r.kept = place, r.After, 0
		if r.gone += gone; gone > 0 { // how many there were is not known
			r.from = 0
		}
	}
	filter := "e/*"
	if r.Device != "" {
		filter = eventKey(r.Device)
	}
	for settled := false; len(events) == 0; {
		records, err := r.feed.log.Read(ctx, filter, r.place, limit)
		if err == nil && len(records) == 0 && !settled { // they may be on their way to the disk
			settled = true
			if err = r.feed.log.Settle(ctx); err == nil {
				continue
			}
		}
		if err == nil && !r.counts() && (len(records) == 0 || records[0].Seq > r.place+1) {
			var gone uint64
			if gone, err = r.feed.overtook(ctx, r.place); gone > 0 {
				r.gone++ // how many of them it would have had is not known
			}
		}
		if err != nil {
			return nil, err
		}
		for i := range records {
			if eventID(&records[i]) >= first {
				records = records[:i]
				break
			}
		}
		if len(records) == 0 {
			break
		}
		for i := range records {
			r.place = records[i].Seq
			r.kept++
			if e := decodeEvent(&records[i]); e != nil {
				r.After = e.ID
				if r.Device == "" || r.Device == e.Device {
					events = append(events, *e)
				}
			}
		}
	}
	if len(events) > 0 {
		return events, nil
	}
	if r.counts() {
		r.gone += first - 1 - r.from - r.kept
	}
	r.After, r.place = first-1, 0
	return nil, nil
}

// counts reports whether it will be known how many events there were that were not to be kept, or are not any
// more: all those of this run whose ids the reader has not had.
func (r *EventReader) counts() bool { return r.from >= r.feed.start && r.Device == "" }

// overtook returns how many records behind a place in the log are gone: others have come, or they were too old.
func (f *feed) overtook(ctx context.Context, place uint64) (gone uint64, err error) {
	oldest, err := f.log.Read(ctx, "", 0, 1)
	if err == nil && len(oldest) > 0 && oldest[0].Seq > place+1 {
		gone = oldest[0].Seq - 1 - place
	}
	return gone, err
}

// find returns the place in the log of the last event whose id is at most after. Missed is 1 where
// events behind it have been there and are not any more.
func (f *feed) find(ctx context.Context, after uint64) (place, missed uint64, err error) {
	place, none, err := f.search(ctx, func(r *store.Record) bool { return eventID(r) <= after })
	if none && after > 0 && place > 0 {
		missed = 1
	}
	return place, missed, err
}

// search returns the place in the log of the last event that is before something, which those in
// front of it are too. None is true when there is no such event; the place is then that in front
// of the oldest.
func (f *feed) search(ctx context.Context, before func(*store.Record) bool) (place uint64, none bool, err error) {
	oldest, err := f.log.Read(ctx, "", 0, 1)
	if err != nil || len(oldest) == 0 {
		return 0, true, err
	}
	low := oldest[0].Seq - 1
	if !before(&oldest[0]) {
		return low, true, nil
	}
	high, err := f.log.Last(ctx) // its successors are not before it, or are none
	if err != nil {
		return 0, false, err
	}
	for low < high {
		middle := low + (high-low)/2
		records, err := f.log.Read(ctx, "", middle, 1)
		if err != nil {
			return 0, false, err
		}
		switch {
		case len(records) == 0 || records[0].Seq > high || !before(&records[0]):
			high = middle
		default:
			low = records[0].Seq
		}
	}
	return low, false, nil
}

// EventBefore returns the id of the last event before a time, 0 when all that are remembered or kept
// happened later.
func (g *Gateway) EventBefore(ctx context.Context, at time.Time) (id uint64, err error) {
	f := &g.events
	f.mu.Lock()
	if f.log == nil || f.first < f.next && f.ring[f.first%keepEvents].At.Before(at) {
		defer f.mu.Unlock()
		for n := f.first; n < f.next && f.ring[n%keepEvents].At.Before(at); n++ {
			id = n
		}
		return id, nil
	}
	f.mu.Unlock()
	place, none, err := f.search(ctx, func(r *store.Record) bool {
		e := decodeEvent(r)
		return e != nil && e.At.Before(at)
	})
	if err != nil || none {
		return 0, err
	}
	records, err := f.log.Read(ctx, "", place-1, 1)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	return eventID(&records[0]), nil
}

// lastKept returns the id of the last event on disk, 0 where there is none.
func (f *feed) lastKept(ctx context.Context) (uint64, error) {
	last, err := f.log.Last(ctx)
	if err != nil || last == 0 {
		return 0, err
	}
	records, err := f.log.Read(ctx, "", last-1, 1)
	if err != nil || len(records) == 0 {
		return 0, err
	}
	return eventID(&records[0]), nil
}
