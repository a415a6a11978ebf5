package gateway

import (
	"context"
	"slices"
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
	ID        uint64        `json:"id" doc:"grows from one frame of the device to the next, also over restarts"`
	At        time.Time     `json:"at"`
	Direction Direction     `json:"direction" enum:"in,out"`
	Type      longwire.Type `json:"type"`
	TypeName  string        `json:"type_name,omitempty" doc:"of its type, if it has one"`
	Size      int           `json:"size" doc:"bytes of its data"`
	Data      []byte        `json:"data,omitempty" doc:"the first of them in base64: 4,096 of frames that somebody watches, and 1,024 of others where the configuration says so"`
}

const (
	maxRecorded   = 1 << 10     // bytes of the data of a frame
	maxWatched    = 4 << 10     // and while somebody watches
	watchedFrames = 512         // that are remembered then
	watchedBytes  = 256 << 10   // of their data; the watchers are as many as there may be streams
	watchedFor    = time.Minute // after the last watcher has gone, who may come back
)

// A recorder remembers the latest frames of a device. There is one where the configuration
// says so, and while somebody watches.
type recorder struct {
	mu       sync.Mutex
	frames   []Frame // the latest has the id next-1
	start    uint64  // id of the first that it was told of
	next     uint64
	size     int // bytes of data in frames
	watchers int
	left     time.Time     // when the last watcher went
	added    chan struct{} // closed at the next frame; nil when nobody waits
}

// newRecorder returns one whose ids are larger than those of any before it.
func newRecorder(now time.Time) *recorder {
	id := uint64(now.UnixMicro())
	return &recorder{start: id, next: id}
}

// recorder returns that of a device, nil when nothing is remembered of it.
func (d *device) recorder(conf *settings, now time.Time) *recorder {
	r := d.frames.Load()
	if r == nil && conf.Frames > 0 {
		d.frames.CompareAndSwap(nil, newRecorder(now))
		r = d.frames.Load()
	}
	return r
}

// isRecorded reports whether frames of a device are remembered, which for most costs no more
// than this.
func (g *Gateway) isRecorded(d *device) bool {
	return d.frames.Load() != nil || g.settings.Load().Frames > 0
}

// record remembers a frame, if frames are remembered.
func (g *Gateway) record(d *device, way Direction, t longwire.Type, data []byte, now time.Time) {
	if !g.isRecorded(d) {
		return
	}
	conf := g.settings.Load()
	r := d.recorder(conf, now)
	if r == nil {
		return // the last watcher has just gone
	}
	f := Frame{At: now.UTC(), Direction: way, Type: t, Size: len(data)}
	r.mu.Lock()
	defer r.mu.Unlock()
	most, mostBytes := conf.Frames, conf.Frames*maxRecorded
	switch {
	case r.watchers > 0:
		f.Data = slices.Clone(data[:min(len(data), maxWatched)])
	case conf.FrameData:
		f.Data = slices.Clone(data[:min(len(data), maxRecorded)])
	}
	if r.watchers > 0 || !r.left.IsZero() {
		most, mostBytes = max(most, watchedFrames), max(mostBytes, watchedBytes)
	}
	r.add(f, most, mostBytes)
}

// add adds a frame, for which the oldest make room.
func (r *recorder) add(f Frame, most, mostBytes int) {
	f.ID = r.next
	r.next++
	r.frames = append(r.frames, f)
	r.size += len(f.Data)
	r.trim(most, mostBytes)
	if r.added != nil {
		close(r.added)
		r.added = nil
	}
}

// trim forgets the oldest frames while there are too many.
func (r *recorder) trim(most, mostBytes int) {
	for len(r.frames) > most || r.size > mostBytes && len(r.frames) > 1 {
		r.size -= len(r.frames[0].Data)
		r.frames[0] = Frame{}
		r.frames = r.frames[1:]
	}
}

// restLocked leaves of the frames of a device that nobody watches what the configuration says.
func (r *recorder) restLocked(d *device, conf *settings) {
	if conf.Frames == 0 {
		d.frames.Store(nil)
		return
	}
	for i := range r.frames {
		f := &r.frames[i]
		r.size -= len(f.Data)
		switch {
		case !conf.FrameData:
			f.Data = nil
		case len(f.Data) > maxRecorded:
			f.Data = slices.Clone(f.Data[:maxRecorded])
		}
		r.size += len(f.Data)
	}
	r.trim(conf.Frames, conf.Frames*maxRecorded)
}

// restAll leaves of all frames what the configuration says, but for devices that are watched or have
// just been.
func (g *Gateway) restAll(conf *settings) {
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	for _, d := range g.registry.byID {
		if r := d.frames.Load(); r != nil {
			r.mu.Lock()
			if r.watchers == 0 && r.left.IsZero() {
				r.restLocked(d, conf)
			}
			r.mu.Unlock()
		}
	}
}

// Frames returns the latest frames of a device, the oldest first.
func (g *Gateway) Frames(id string) ([]Frame, error) {
	d, err := g.device(id)
	if err != nil {
		return nil, err
	}
	frames := []Frame{}
	if r := d.frames.Load(); r != nil {
		r.mu.Lock()
		frames = append(frames, r.frames...)
		r.mu.Unlock()
	}
	return g.nameTypes(frames), nil
}

func (g *Gateway) nameTypes(frames []Frame) []Frame {
	for i := range frames {
		frames[i].TypeName = g.TypeName(frames[i].Type)
	}
	return frames
}

// device returns a device that is known.
func (g *Gateway) device(id string) (*device, error) {
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	if d := g.registry.byID[id]; d != nil {
		return d, nil
	}
	return nil, ErrUnknown
}

// A Watch reads the frames of a device, beginning with those that are remembered. While there is one,
// the data of frames is remembered too. It may be used by one goroutine at a time.
type Watch struct {
	// After is the id of the last frame that has been read. Those behind it are next.
	After uint64

	g *Gateway
	d *device
	r *recorder
}

// Watch begins to watch a device, behind the frame with the id after; 0 means all that are remembered.
// The watch must be closed.
func (g *Gateway) Watch(id string, after uint64) (*Watch, error) {
	d, err := g.device(id)
	if err != nil {
		return nil, err
	}
	for {
		r := d.frames.Load()
		if r == nil {
			d.frames.CompareAndSwap(nil, newRecorder(time.Now()))
			continue
		}
		r.mu.Lock()
		if d.frames.Load() == r { // it was not taken away meanwhile
			r.watchers++
			r.mu.Unlock()
			return &Watch{After: after, g: g, d: d, r: r}, nil
		}
		r.mu.Unlock()
	}
}

// Current reports whether the device that is watched is still the one with its id: one that was
// forgotten may have come back as another.
func (w *Watch) Current() bool {
	d, err := w.g.device(w.d.id)
	return err == nil && d == w.d
}

// Next returns the next frames, and waits until there is one or ctx ends. Missed is how many there have been
// that are not remembered any more, and at least 1 where it is not known how many.
func (w *Watch) Next(ctx context.Context) (frames []Frame, missed uint64, err error) {
	r := w.r
	for {
		r.mu.Lock()
		first := r.next - uint64(len(r.frames))
		if w.After == 0 || w.After >= r.next { // or it was of another recorder
			w.After = first - 1
		}
		if w.After+1 < first {
			missed = first - max(w.After+1, r.start)
			if w.After+1 < r.start { // nobody knows how many there were before it
				missed++
			}
			w.After = first - 1
		}
		if frames = slices.Clone(r.frames[w.After+1-first:]); len(frames) > 0 {
			r.mu.Unlock()
			w.After += uint64(len(frames))
			return w.g.nameTypes(frames), missed, nil
		}
		if r.added == nil {
			r.added = make(chan struct{})
		}
		added := r.added
		r.mu.Unlock()
		select {
		case <-added:
		case <-ctx.Done():
			return nil, missed, context.Cause(ctx)
		}
	}
}

// Close ends the watch. What is remembered for watchers alone is forgotten a minute after the last one.
func (w *Watch) Close() {
	r := w.r
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.watchers--; r.watchers > 0 {
		return
	}
	left := time.Now()
	r.left = left
	time.AfterFunc(watchedFor, func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.watchers > 0 || r.left != left {
			return
		}
		r.left = time.Time{}
		r.restLocked(w.d, w.g.settings.Load())
	})
}
