package gateway

import (
	"context"
	"encoding/json"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// EventName is what an event is about.
type EventName string

const (
	EventMessage    EventName = "message"    // a device has sent something
	EventConnect    EventName = "connect"    // a device has connected
	EventDisconnect EventName = "disconnect" // its connection is over
	EventCommand    EventName = "command"    // a command for it has come into another state
)

// An Event is something that has happened.
type Event struct {
	ID         uint64          `json:"-"` // grows, also from one run of the gateway to the next
	Name       EventName       `json:"-"`
	Device     string          `json:"device"`
	At         time.Time       `json:"at"`
	Listener   string          `json:"listener,omitempty"`
	RemoteAddr string          `json:"remote_addr,omitempty"`
	Epoch      uint64          `json:"epoch,omitempty"`
	Reason     string          `json:"reason,omitempty" doc:"why the connection is over"`
	Type       *longwire.Type  `json:"type,omitempty" doc:"of the message"`
	TypeName   string          `json:"type_name,omitempty"`
	Key        string          `json:"call_back_key,omitempty"`
	Data       json.RawMessage `json:"data,omitempty" doc:"what the message says, where that is JSON"`
	Raw        []byte          `json:"raw,omitempty" doc:"the data of the frame in base64, where it is not"`
	Size       int             `json:"size,omitempty" doc:"bytes of the frame's data; more than 64 KiB of it are left out, but where the type is stored"`
	Command    *CommandEvent   `json:"command,omitempty"`
}

// A CommandEvent is what an event says of a command.
type CommandEvent struct {
	ID       string          `json:"id"`
	Type     longwire.Type   `json:"type"`
	State    queue.State     `json:"state"`
	Attempts int             `json:"attempts"`
	Error    string          `json:"error,omitempty"`
	Answer   json.RawMessage `json:"answer,omitempty"`
}

const (
	keepEvents    = 8192     // how many events are remembered
	keepEventSize = 16 << 20 // and how many bytes of messages in them
	maxEventData  = 64 << 10 // of one message
)

// A feed remembers the latest events, for any number of readers, each at its own pace. It
// holds nothing for a reader.
type feed struct {
	log  *store.Log   // where events are kept that shall be; nil means nowhere
	lost atomic.Int64 // events that could not be kept

	mu    sync.Mutex
	ring  [keepEvents]Event
	start uint64        // id of the first of this run
	first uint64        // id of the oldest that is remembered
	next  uint64        // id of the next
	size  int           // bytes of messages
	added chan struct{} // closed when there is another; nil while nobody waits
}

// init begins with ids that are larger than those of any run before.
func (f *feed) init(after uint64, now time.Time) {
	f.start = max(uint64(now.UnixMicro()), after+1)
	f.first, f.next = f.start, f.start
}

// add adds an event.
func (f *feed) add(e Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.addLocked(&e)
}

// addKept adds an event, and has it kept. Done, if not nil, is told when that has been done, or
// why it has not.
func (f *feed) addKept(e Event, done func(error)) {
	if f.log == nil {
		f.add(e)
		if done != nil {
			done(nil)
		}
		return
	}
	told := func(_ uint64, err error) {
		if err != nil {
			f.lost.Add(1)
		}
		if done != nil {
			done(err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	whole := f.addLocked(&e)
	// In the order of the ids, so that readers can find an id in the log.
	if !f.log.Submit(told, store.Record{Key: eventKey(e.Device), Data: whole.encode()}) {
		told(0, store.ErrUnavailable)
	}
}

// addLocked gives an event its id and its time, and remembers it without what is too large.
func (f *feed) addLocked(e *Event) (whole *Event) {
	e.At = time.Now().UTC()
	e.ID = f.next
	f.next++
	small := *e
	if len(e.Data)+len(e.Raw) > maxEventData {
		small.Data, small.Raw = nil, nil
	}
	f.size += small.weight()
	for f.next-f.first > keepEvents || f.size > keepEventSize && f.first < e.ID {
		old := &f.ring[f.first%keepEvents]
		f.size -= old.weight()
		*old = Event{}
		f.first++
	}
	f.ring[e.ID%keepEvents] = small
	if f.added != nil {
		close(f.added)
		f.added = nil
	}
	return e
}

// weight is how many bytes of messages are in an event.
func (e *Event) weight() int {
	n := len(e.Data) + len(e.Raw)
	if e.Command != nil {
		n += len(e.Command.Answer)
	}
	return n
}

// LastEvent returns the id of the latest event.
func (g *Gateway) LastEvent() uint64 {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	return g.events.next - 1
}

// An EventReader reads events, in the order in which they happened. It may be used by one goroutine at
// a time.
type EventReader struct {
	// After is the id of the last event that has been read. Those behind it are next.
	After uint64

	// Device, if not "", is the one whose events alone are read from the disk. Others
	// may be among those that are in memory.
	Device string

	feed  *feed
	place uint64 // behind which to go on in the log; 0 when that is not known
	kept  uint64 // how many events this reader has had from the log since it knows the place
	from  uint64 // After when it came to know it
	gone  uint64 // events that are gone, and have not been told of
}

// Events returns a reader of the events behind the one with the id after. 0 means all that are
// remembered or kept.
func (g *Gateway) Events(after uint64) *EventReader {
	return &EventReader{After: after, feed: &g.events}
}

// Next returns the next events, at most limit, and waits until there is one or ctx ends. Missed
// is how many there have been that are not remembered any more, and at least 1 where it is
// not known how many.
func (r *EventReader) Next(ctx context.Context, limit int) (events []Event, missed uint64, err error) {
	f := r.feed
	for {
		f.mu.Lock()
		if r.After >= f.next { // of a gateway whose clock was ahead
			r.After = f.next - 1
		}
		if r.After+1 < f.first && f.log != nil {
			first := f.first
			f.mu.Unlock()
			events, err := r.fromLog(ctx, first, limit)
			if len(events) > 0 {
				missed, r.gone = r.gone, 0
				return events, missed, nil
			}
			if err != nil { // it will be back
				select {
				case <-time.After(time.Second):
				case <-ctx.Done():
					return nil, 0, context.Cause(ctx)
				}
			}
			continue
		}
		missed, r.gone = r.gone, 0
		if from := r.After + 1; from < f.first {
			switch {
			case r.After == 0: // whoever wants all that there is misses nothing
			case from < f.start:
				missed += max(f.first-f.start, 1) // and nobody knows how many of the run before
			default:
				missed += f.first - from
			}
			r.After = f.first - 1
		}
		r.place = 0
		for id := r.After + 1; id < f.next && len(events) < limit; id++ {
			events = append(events, f.ring[id%keepEvents])
		}
		if len(events) > 0 || missed > 0 {
			f.mu.Unlock()
			r.After += uint64(len(events))
			return events, missed, nil
		}
		if f.added == nil {
			f.added = make(chan struct{})
		}
		added := f.added
		f.mu.Unlock()
		select {
		case <-added:
		case <-ctx.Done():
			return nil, 0, context.Cause(ctx)
		}
	}
}
