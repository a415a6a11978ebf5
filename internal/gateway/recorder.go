package gateway

import (
	"sync"
	"time"

	"github.com/longwire/longwire"
)

// Direction is which way a frame went.
type Direction string

const (
	In  Direction = "in"  // from the device
	Out Direction = "out" // to it
)

// A Frame is what is remembered of a frame.
type Frame struct {
	At        time.Time     `json:"at"`
	Direction Direction     `json:"direction" enum:"in,out"`
	Type      longwire.Type `json:"type"`
	Size      int           `json:"size" doc:"bytes of its data"`
	Data      []byte        `json:"data,omitempty" doc:"the first 1,024 of them in base64, where the configuration says so"`
}

const maxRecorded = 1 << 10

// A recorder remembers the latest frames of a device.
type recorder struct {
	mu   sync.Mutex
	ring []Frame
	n    int // how many there have been
}

// record remembers a frame, if frames are remembered.
func (g *Gateway) record(d *device, way Direction, t longwire.Type, data []byte, now time.Time) {
	conf := g.settings.Load()
	if conf.Frames <= 0 {
		return
	}
	r := d.frames.Load()
	if r == nil || len(r.ring) != conf.Frames {
		fresh := &recorder{ring: make([]Frame, conf.Frames)}
		d.frames.CompareAndSwap(r, fresh)
		r = d.frames.Load()
	}
	f := Frame{At: now.UTC(), Direction: way, Type: t, Size: len(data)}
	if conf.FrameData {
		f.Data = append(f.Data, data[:min(len(data), maxRecorded)]...)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ring[r.n%len(r.ring)] = f
	r.n++
}

// Frames returns the latest frames of a device, the oldest first.
func (g *Gateway) Frames(id string) ([]Frame, error) {
	g.registry.mu.Lock()
	d := g.registry.byID[id]
	g.registry.mu.Unlock()
	if d == nil {
		return nil, ErrUnknown
	}
	frames := []Frame{}
	if r := d.frames.Load(); r != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		for i := max(r.n-len(r.ring), 0); i < r.n; i++ {
			frames = append(frames, r.ring[i%len(r.ring)])
		}
	}
	return frames, nil
}
