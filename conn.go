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
// Conn does no I/O. A driver gives it the bytes that arrive (feed, endInput) and
// takes the bytes to send (takeOut, wrote); Conn reaches the driver through link.
type Conn struct {
	end  *endpoint // what the connections of one Server or Client share
	link link
	born int64 // by the endpoint's clock, as are all times here

	// Owned by the driver's reading side, one goroutine at a time.
	dec frame.Decoder
	in  []byte // read and not yet understood

	// Written by the reading side, looked at by the sweep.
	heard  atomic.Int64 // when bytes arrived last
	begun  atomic.Int64 // when the unfinished frame in in began; 0 when there is none
	pinged int64        // when a ping went out last; the sweep's own

	mu       sync.Mutex // guards what follows; never held over I/O or a call of the user's code
	phase    phase
	working  bool    // a goroutine is handling messages
	deaf     bool    // messages that wait are not handled any more
	knows    bool    // the peer has shown that it knows ping and goaway
	hello    bool    // the peer has said hello
	flushing bool    // somebody has undertaken to write until out is empty
	control  control // control frames to send, ahead of out
	released bool    // the driver has let go of the connection

	adm   *admission // while the peer is a stranger
	id    string     // "" means the remote address
	attrs map[any]any
	leave func(error) // what Admit returned, nil when it has been called
	inbox *batch      // messages for the handler, nil when there are none
	asks  *asks       // questions of this side without an answer yet; nil when there are none

	out      *buffer       // frames to send, nil when there are none
	sending  int           // bytes that the driver is writing
	sendFrom int64         // since when it has been writing them, 0 when it is not
	room     chan struct{} // closed when some of that has been written; nil when nobody waits

	parting *CloseError   // set: close, for this reason, as soon as nothing is going on
	ended   int64         // since when nothing more is read, 0 while there is
	hungUp  int64         // since when the peer has ended its stream while reading had paused, else 0
	goaway  *goaway       // what the peer said with it, nil if it did not
	err     *CloseError   // why it is over
	done    chan struct{} // closed when it is over; nil until somebody asks for it
	after   map[*afterFunc]struct{}
	gone    chan struct{} // closed when the driver has let go; nil until somebody waits for it
	index   int           // in endpoint.conns, guarded by endpoint.mu
}

type phase uint8

const (
	stranger phase = iota // connected, not admitted
	admitted              // messages go to the handler
	over                  // for one reason
)

// A link is what a driver gives a connection: the other half of the connection,
// the one that does I/O. Its methods are never called with Conn.mu held.
type link interface {
	flush()           // write what is queued; the caller has claimed the writing, and may block
	kick()            // do the same without blocking the caller; either keeps the claim until takeOut returns nil
	resume()          // reading had paused and may go on
	shut(linger bool) // the connection is over: let go, at once or after what is queued
	addrs() (local, remote net.Addr)
}

// init makes c a connection whose driver has not begun yet.
func (c *Conn) init(e *endpoint, admit admitFunc) {
	c.end, c.born = e, e.now()
	c.heard.Store(c.born)
	if admit == nil {
		c.phase = admitted
		c.dec = frame.NewDecoder(e.admitted)
		return
	}
	c.dec = frame.NewDecoder(e.stranger)
	c.adm = &admission{admit: admit, arrived: make(chan struct{}, 1)}
}

// ID returns the name that Server.Admit gave the peer with SetID; without one it
// is the remote address.
func (c *Conn) ID() string {
	c.mu.Lock()
	id := c.id
	c.mu.Unlock()
	if id == "" {
		id = c.RemoteAddr().String()
	}
	return id
}

// SetID gives the peer a name, in Server.Admit as a rule. It may appear in logs.
func (c *Conn) SetID(id string) {
	c.mu.Lock()
	c.id = id
	c.mu.Unlock()
}

// Value returns what SetValue has kept under the key, nil if nothing.
func (c *Conn) Value(key any) any {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.attrs[key]
}

// SetValue keeps a value with the connection. Like a context's, keys should have a
// type of their own.
func (c *Conn) SetValue(key, value any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.attrs == nil {
		c.attrs = make(map[any]any)
	}
	c.attrs[key] = value
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
	if c.done == nil {
		c.done = make(chan struct{})
		if c.phase == over {
			close(c.done)
		}
	}
	return c.done
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
func (c *connContext) Value(any) any                           { return nil }
func (c *connContext) String() string                          { return "longwire: the life of a connection" }

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
	if c.after == nil {
		c.after = make(map[*afterFunc]struct{})
	}
	a := &afterFunc{f}
	c.after[a] = struct{}{}
	return func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		_, waiting := c.after[a]
		delete(c.after, a)
		return waiting
	}
}

func (c *connContext) Err() error {
	if (*Conn)(c).isOver() {
		return context.Canceled
	}
	return nil
}
