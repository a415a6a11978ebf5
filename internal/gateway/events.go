package gateway

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/longwire/longwire"
)

// EventName is what an event is about.
type EventName string

const (
	EventMessage    EventName = "message"    // a device has sent something
	EventConnect    EventName = "connect"    // a device has connected
	EventDisconnect EventName = "disconnect" // its connection is over
)

// An Event is something that has happened.
type Event struct {
	ID         uint64          `json:"-"` // grows, also from one run of the gateway to the next
	Name       EventName       `json:"-"`
	Device     string          `json:"device"`
	At         time.Time       `json:"at"`
	Listener   string          `json:"listener"`
	RemoteAddr string          `json:"remote_addr,omitempty"`
	Epoch      uint64          `json:"epoch"`
	Reason     string          `json:"reason,omitempty" doc:"why the connection is over"`
	Type       *longwire.Type  `json:"type,omitempty" doc:"of the message"`
	TypeName   string          `json:"type_name,omitempty"`
	Key        string          `json:"call_back_key,omitempty"`
	Data       json.RawMessage `json:"data,omitempty" doc:"what the message says, where that is JSON"`
	Raw        []byte          `json:"raw,omitempty" doc:"the data of the frame in base64, where it is not"`
	Size       int             `json:"size,omitempty" doc:"bytes of the frame's data; more than 64 KiB of it are left out"`
}

const (
	keepEvents    = 8192     // how many events are remembered
	keepEventSize = 16 << 20 // and how many bytes of messages in them
	maxEventData  = 64 << 10 // of one message
)

// A feed remembers the latest events, for any number of readers, each at its own pace. It
// holds nothing for a reader.
type feed struct {
	mu    sync.Mutex
	ring  [keepEvents]Event
	start uint64        // id of the first of this run
	first uint64        // id of the oldest that is remembered
	next  uint64        // id of the next
	size  int           // bytes of messages
	added chan struct{} // closed when there is another; nil while nobody waits
}

// init begins with ids that are larger than those of any run before.
func (f *feed) init(now time.Time) {
	f.start = uint64(now.UnixMicro())
	f.first, f.next = f.start, f.start
}

func (f *feed) add(e Event) {
	e.At = time.Now().UTC()
	f.mu.Lock()
	defer f.mu.Unlock()
	e.ID = f.next
	f.next++
	f.size += len(e.Data) + len(e.Raw)
	for f.next-f.first > keepEvents || f.size > keepEventSize && f.first < e.ID {
		old := &f.ring[f.first%keepEvents]
		f.size -= len(old.Data) + len(old.Raw)
		*old = Event{}
		f.first++
	}
	f.ring[e.ID%keepEvents] = e
	if f.added != nil {
		close(f.added)
		f.added = nil
	}
}

// LastEvent returns the id of the latest event.
func (g *Gateway) LastEvent() uint64 {
	g.events.mu.Lock()
	defer g.events.mu.Unlock()
	return g.events.next - 1
}

// Events returns events behind the one with the id after, at most limit, and waits until
// there is one or ctx ends. Missed is how many there have been that are not remembered any more, and at least 1
// where after is an event of an earlier run of the gateway.
func (g *Gateway) Events(ctx context.Context, after uint64, limit int) (events []Event, missed uint64, err error) {
	f := &g.events
	for {
		f.mu.Lock()
		if after >= f.next { // of a gateway whose clock was ahead
			after = f.next - 1
		}
		if from := after + 1; from < f.first {
			switch {
			case after == 0: // whoever wants all that there is misses nothing
			case from < f.start:
				missed = max(f.first-f.start, 1) // and nobody knows how many of the run before
			default:
				missed = f.first - from
			}
			after = f.first - 1
		}
		for id := after + 1; id < f.next && len(events) < limit; id++ {
			events = append(events, f.ring[id%keepEvents])
		}
		if len(events) > 0 {
			f.mu.Unlock()
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
			return nil, missed, context.Cause(ctx)
		}
	}
}
