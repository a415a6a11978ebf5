package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// keptDevice is what is on disk of a device. Those that are known by their address alone are not
// there: that tells nothing when they come back.
type keptDevice struct {
	ID         string            `json:"id"`
	Identity   Identity          `json:"identity"`
	Epoch      uint64            `json:"epoch"`
	RemoteAddr string            `json:"remote_addr"`
	Listener   string            `json:"listener"`
	Groups     []string          `json:"groups,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
	LastClose  *LastClose        `json:"last_close,omitempty"`
	Seen       int64             `json:"seen"` // Unix milliseconds
	FramesIn   int64             `json:"frames_in"`
	FramesOut  int64             `json:"frames_out"`
	BytesIn    int64             `json:"bytes_in"`
	BytesOut   int64             `json:"bytes_out"`
}

// keepLocked writes what is known of a device. It does not wait; what cannot be written now
// is tried again.
func (g *Gateway) keepLocked(d *device) {
	if g.devices == nil || d.byAddress {
		return
	}
	k := keptDevice{
		ID: d.id, Identity: d.kind, Epoch: d.epoch, RemoteAddr: d.addr, Listener: d.listener, Groups: d.groups, Attributes: d.attributes, LastClose: d.lastClose,
		Seen: d.seen.Load(), FramesIn: d.framesIn.Load(), FramesOut: d.framesOut.Load(), BytesIn: d.bytesIn.Load(), BytesOut: d.bytesOut.Load(),
	}
	b, err := json.Marshal(&k)
	if err != nil {
		panic(fmt.Sprintf("gateway: device %s: %v", d.id, err)) // there is nothing in it that cannot be JSON
	}
	failed := func() {
		d.unkept.Store(true)
		g.unkept.Store(true)
	}
	d.unkept.Store(false)
	taken := g.devices.Submit(func(_ uint64, err error) {
		if err != nil {
			failed()
		}
	}, store.Record{Key: "d/" + d.id, Data: b})
	if !taken {
		failed()
	}
}

// forgotten has the disk forget a device too.
func (g *Gateway) forgotten(d *device) {
	if g.devices != nil && !d.byAddress {
		g.devices.Submit(nil, store.Record{Key: "d/" + d.id, TTL: 24 * time.Hour})
	}
}

// keepAgain writes what could not be written before.
func (g *Gateway) keepAgain() {
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	for _, d := range g.registry.byID {
		if d.unkept.Load() {
			g.keepLocked(d)
		}
	}
}

// loadDevices makes the devices known that were known before.
func (g *Gateway) loadDevices(ctx context.Context) error {
	r := &g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*device
	for after := uint64(0); ; {
		records, err := g.devices.Read(ctx, "d/*", after, 1000)
		if err != nil {
			return fmt.Errorf("gateway: read devices: %w", err)
		}
		if len(records) == 0 {
			break
		}
		for _, record := range records {
			after = record.Seq
			var k keptDevice
			if len(record.Data) == 0 || json.Unmarshal(record.Data, &k) != nil {
				continue
			}
			d := &device{id: k.ID, kind: k.Identity, epoch: k.Epoch, addr: k.RemoteAddr, listener: k.Listener, groups: k.Groups, attributes: k.Attributes, lastClose: k.LastClose}
			d.seen.Store(k.Seen)
			d.framesIn.Store(k.FramesIn)
			d.framesOut.Store(k.FramesOut)
			d.bytesIn.Store(k.BytesIn)
			d.bytesOut.Store(k.BytesOut)
			r.epoch = max(r.epoch, k.Epoch)
			all = append(all, d)
		}
	}
	slices.SortFunc(all, func(a, b *device) int { return cmp.Compare(a.seen.Load(), b.seen.Load()) })
	for _, d := range all {
		d.away = r.away.PushBack(d)
		r.byID[d.id] = d
		r.order.add(d)
	}
	r.trimLocked(g.settings.Load(), time.Now())
	return nil
}
