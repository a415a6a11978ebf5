package longwire

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire/frame"
)

// A Conn is one connection. Both ends are the same thing: either side asks,
// answers and pushes. All methods may be called from any goroutine.
//
// A connection lives in three phases: the peer is a stranger until it is admitted,
// then its messages go to the handler, then the connection is over, for one
// Reason, and every call that waits on it returns.
//
// Conn does no I/O. A driver gives it the bytes that arrive (feed, endInput) and is
// given the bytes to send (link.flush, wrote).
type Conn struct {
	end  *endpoint // what the connections of one Server or Client share
	link link

	// Owned by the driver's reading side, one goroutine at a time.
	dec frame.Decoder
	in  *buffer // read and not yet understood, nil when there is nothing

	mu       sync.Mutex // guards what follows; never held over I/O or a call of the user's code
	phase    phase
	working  bool    // somebody is handling messages
	inline   bool    // and does it on the driver's goroutine
	knows    bool    // the peer has shown that it knows ping and goaway
	hello    bool    // the peer has said hello
	flushing bool    // somebody has undertaken to write until out is empty
	choked   bool    // reading has paused because too much is queued
	waits    bool    // reading has paused because too many messages wait for the handler
	control  control // control frames to send, ahead of out
	has      holder  // who still has the connection
	holding  bool    // there was something in in; owned by the reading side
	common   bool    // what is being written is what other connections have too

	deaf  atomic.Bool // messages that wait are not handled any more
	index int32       // in endpoint.conns, guarded by endpoint.mu

	born     uint32 // seconds after endpoint.clock, which ticks cannot tell for long
	heard    tick   // when bytes arrived last
	begun    tick   // when the unfinished frame in in began; only the reading side writes it
	pinged   tick   // when a ping went out last
	sendFrom tick   // since when the peer has taken nothing of what is being written
	ended    tick   // since when nothing more is read
	hungUp   tick   // since when the peer has ended its stream while reading had paused

	inbox *batch // messages for the handler, nil when there are none
	asks  *asks  // questions of this side without an answer yet; nil when there are none

	out     *buffer // frames to send, nil when there are none; see also gathering
	sending int     // bytes that the driver is writing

	parting *CloseError // set: close, for this reason, as soon as nothing is going on
	err     *CloseError // why it is over
	rare    *rare       // what few connections have; nil while this one has none of it
}

// rare is the part of a connection that an idle one can do without.
type rare struct {
	adm    *admission // while the peer is a stranger
	id     string     // "" means the remote address
	attrs  []attr
	leave  func(error) // what Admit returned, nil when it has been called
	goaway *goaway     // what the peer said with it, nil if it did not
	after  map[*afterFunc]struct{}

	// What Limits bounds.
	ahead      int   // memory of Conn.in, while the peer is over its rate
	unfinished int   // bytes in Conn.in, while it is not
	unsent     int   // bytes that wait for a peer that has stopped reading
	bytes      int   // that have been taken from the peer in this second
	frames     int32 // likewise
	fullSince  tick  // since when more than Config.SoftOutbox has been waiting

	lanes *lanes // frames to send that may be dropped, nil when there are none

	// Channels that are nil until somebody waits.
	room chan struct{} // closed when some of what is queued has been written
	done chan struct{} // closed when the connection is over
	gone chan struct{} // closed when the driver has let go and no handler runs
}

// rareLocked returns the rare part to write to.
func (c *Conn) rareLocked() *rare {
	if c.rare == nil {
		c.rare = new(rare)
	}
	return c.rare
}

type phase uint8

const (
	stranger phase = iota // connected, not admitted
	admitted              // messages go to the handler
	over                  // for one reason
)

// A holder says who has a connection.
type holder uint8

const (
	aDriver  holder = iota
	noDriver        // it has let go of it
	nobody          // nor does one run, and nobody keeps it
)

// A link is what a driver gives a connection: the other half of the connection,
// the one that does I/O. Its methods are never called with Conn.mu held.
type link interface {
	flush(b *buffer)  // write b, which the caller has claimed, and then what wrote returns; may block
	kick(b *buffer)   // do the same without blocking the caller
	pass(b *buffer)   // do the same, or have the driver do it: for goroutines that handlers run on
	resume()          // reading had paused and may go on
	yield()           // the caller may be on the driver's goroutine, and is about to block
	shut(linger bool) // the connection is over: let go, at once or after what is queued
	addrs() (local, remote net.Addr)
}

// init makes c a connection whose driver has not begun yet.
func (c *Conn) init(e *endpoint, l link, admit admitFunc) {
	c.end, c.link = e, l
	c.born = uint32(time.Since(e.clock) / time.Second)
	c.heard = e.now()
	if admit == nil {
		c.phase = admitted
		c.dec = frame.NewDecoder(e.admitted)
		return
	}
	e.load.strangers.Add(1)
	c.dec = frame.NewDecoder(e.stranger)
	c.rare = &rare{adm: &admission{admit: admit, since: c.heard}}
}

// ID returns the name that Server.Admit gave the peer with SetID; without one it
// is the remote address.
func (c *Conn) ID() string {
	c.mu.Lock()
	id := ""
	if c.rare != nil {
		id = c.rare.id
	}
	c.mu.Unlock()
	if id == "" {
		id = c.RemoteAddr().String()
	}
	return id
}

// SetID gives the peer a name, in Server.Admit as a rule. It may appear in logs.
func (c *Conn) SetID(id string) {
	c.mu.Lock()
	c.rareLocked().id = id
	c.mu.Unlock()
}

// Value returns what SetValue has kept under the key, nil if nothing.
func (c *Conn) Value(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rare != nil {
		for _, a := range c.rare.attrs {
			if a.key == key {
				return a.value
			}
		}
	}
	return nil
}

// An attr is a value that is kept with a connection. There are few, and a map would be
// larger than all else of a connection.
type attr struct{ key, value any }

// SetValue keeps a value with the connection. Like a context's, keys should have a
// type of their own.
func (c *Conn) SetValue(key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	r := c.rareLocked()
	for i := range r.attrs {
		if r.attrs[i].key == key {
			r.attrs[i].value = value
			return
		}
	}
	r.attrs = append(r.attrs, attr{key, value})
}

// RemoteAddr returns the peer's address.
func (c *Conn) RemoteAddr() net.Addr { _, a := c.link.addrs(); return a }

// LocalAddr returns this side's address.
func (c *Conn) LocalAddr() net.Addr { a, _ := c.link.addrs(); return a }

// Done returns a channel that is closed when the connection is over.
func (c *Conn) Done() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.doneLocked()
}

func (c *Conn) doneLocked() chan struct{} {
	r := c.rareLocked()
	if r.done == nil {
		r.done = make(chan struct{})
		if c.phase == over {
			close(r.done)
		}
	}
	return r.done
}

// Err returns why the connection is over, a [*CloseError], and nil while it is not.
func (c *Conn) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		return nil
	}
	return c.err
}

// isOver reports whether the connection is over.
func (c *Conn) isOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == over
}

// strangerSince returns since when the peer has been waiting to be admitted, 0 when it
// is not.
func (c *Conn) strangerSince() tick {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.strangerSinceLocked()
}

func (c *Conn) strangerSinceLocked() tick {
	if c.phase != stranger {
		return 0
	}
	return c.rare.adm.since
}

// isAdmitted reports whether the connection is up and its peer let in.
func (c *Conn) isAdmitted() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == admitted
}

// context returns the handler's context, which is the connection itself.
func (c *Conn) context() context.Context { return (*connContext)(c) }

// connContext is a Conn as a context, so that no context is kept per connection.
type connContext Conn

func (c *connContext) Deadline() (deadline time.Time, ok bool) { return time.Time{}, false }
func (c *connContext) Done() <-chan struct{}                   { return (*Conn)(c).Done() }

// Value returns the connection to yield, and nil to everybody else.
func (c *connContext) Value(key any) any {
	if key == (handledBy{}) {
		return (*Conn)(c)
	}
	return nil
}

func (c *connContext) String() string { return "longwire: the life of a connection" }

// An afterFunc is a function that waits for the end of a connection.
type afterFunc struct{ f func() }

// AfterFunc is what package context looks for in a foreign context, so that a
// context derived from this one needs no goroutine of its own.
func (c *connContext) AfterFunc(f func()) (stop func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == over {
		go f()
		return func() bool { return false }
	}
	r := (*Conn)(c).rareLocked()
	if r.after == nil {
		r.after = make(map[*afterFunc]struct{})
	}
	a := &afterFunc{f}
	r.after[a] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waiting := r.after[a]
		delete(r.after, a)
		return waiting
	}
}

func (c *connContext) Err() error {
	if (*Conn)(c).isOver() {
		return context.Canceled
	}
	return nil
}
