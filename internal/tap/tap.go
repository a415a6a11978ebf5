// Package tap stands between boards and their server: it passes on what each side sends, shows the
// frames in it, records it, and does what a bad network does when it is asked to.
package tap

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
)

// Config is what a Tap is to do. The fields without a zero meaning must be set.
type Config struct {
	Codec    *frame.Codec
	MaxFrame int // bytes of the largest frame, head to tail
	// Dial connects to the server.
	Dial func(ctx context.Context) (net.Conn, error)
	// Conns is how many connections there may be at a time; those above are refused.
	Conns   int
	Printer *show.Printer
	Filter  show.Filter
	// Record gets what both sides send, as it comes; nil means that nothing is recorded. When it fails it
	// gets nothing more.
	Record *capture.Writer
	Faults Faults
	// Say gets what is to be told beside frames, a sentence each.
	Say func(string)
}

// Faults are what a Tap does to the bytes that it passes on. The zero Faults do nothing.
type Faults struct {
	Direction string        // show.ToServer or show.ToBoard; "" means both
	Delay     time.Duration // for how long bytes are kept before they are passed on
	Jitter    time.Duration // up to how much longer, at random; the order stays
	Split     int           // bytes in each write; 0 means as they come
	Drop      []frame.Type  // types whose frames are not passed on
	DropEvery int           // the last of as many frames of a direction is not passed on; 0 means none
	Cut       Cut
}

// A Cut says when a connection is broken off. What is zero does not count.
type Cut struct {
	Frames int64 // after as many of them, which are passed on
	Bytes  int64
	After  time.Duration // since it began
}

func (f *Faults) hit(at show.Place) bool { return f.Direction == "" || f.Direction == at.Direction() }

// byFrame reports whether frames have to be known before their bytes are passed on.
func (f *Faults) byFrame() bool { return len(f.Drop) > 0 || f.DropEvery > 0 || f.Cut.Frames > 0 }

const (
	dialTimeout = 10 * time.Second
	mostKept    = 256 << 20 // bytes of unfinished frames, of all connections
)

// A Tap is a running proxy.
type Tap struct {
	conf Config
	fail context.CancelCauseFunc

	mu     sync.Mutex // prints and records in one order
	count  int        // connections so far
	room   show.Room
	totals show.Totals
	record *capture.Writer
}

// Serve taps the connections that listener accepts until ctx ends or nothing can be printed any more, which
// is the error then. It closes the listener and all connections.
func Serve(ctx context.Context, listener net.Listener, conf Config) (Result, error) {
	ctx, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	t := &Tap{conf: conf, fail: fail, room: show.Room{Left: mostKept}, record: conf.Record}
	defer context.AfterFunc(ctx, func() { listener.Close() })()
	var conns sync.WaitGroup
	slots := make(chan struct{}, conf.Conns)
	for ctx.Err() == nil {
		board, err := listener.Accept()
		if err != nil {
			t.acceptFailed(ctx, err)
			continue
		}
		select {
		case slots <- struct{}{}:
			conns.Go(func() {
				t.handle(ctx, board)
				<-slots
			})
		default:
			conf.Say(fmt.Sprintf("refused %v: there are %d connections already", board.RemoteAddr(), conf.Conns))
			reset(board)
		}
	}
	conns.Wait()
	result := Result{Connections: t.count, Totals: t.totals}
	if e, ok := errors.AsType[*PrintError](context.Cause(ctx)); ok {
		return result, e
	}
	return result, nil
}

// A Result counts what a Tap has seen.
type Result struct {
	Connections int
	show.Totals
}

// A PrintError ends a Tap.
type PrintError struct{ Err error }

func (e *PrintError) Error() string { return e.Err.Error() }
func (e *PrintError) Unwrap() error { return e.Err }

// acceptFailed waits: the machine may have run out of something that comes back.
func (t *Tap) acceptFailed(ctx context.Context, err error) {
	if ctx.Err() != nil {
		return
	}
	if errors.Is(err, net.ErrClosed) {
		t.fail(err)
		return
	}
	t.conf.Say(fmt.Sprintf("cannot accept a connection: %v", err))
	select {
	case <-time.After(time.Second):
	case <-ctx.Done():
	}
}

// handle taps one connection.
func (t *Tap) handle(ctx context.Context, board net.Conn) {
	dial, cancel := context.WithTimeout(ctx, dialTimeout)
	server, err := t.conf.Dial(dial)
	cancel()
	if err != nil {
		if ctx.Err() == nil {
			t.conf.Say(fmt.Sprintf("cannot connect to the server for %v: %v", board.RemoteAddr(), err))
		}
		reset(board) // who notices finds that it has been said
		return
	}
	c := newConn(t, board, server)
	defer context.AfterFunc(ctx, func() { c.end(false, false, "") })()
	c.run()
}

// printed ends the Tap when printing has failed.
func (t *Tap) printed(err error) {
	if err != nil {
		t.fail(&PrintError{err})
	}
}

// recorded stops the recording when it has failed. What passes is more important.
func (t *Tap) recorded(err error) {
	if err != nil && t.record != nil {
		t.record = nil
		t.conf.Say(fmt.Sprintf("cannot record any more, and go on without it: %v", err))
	}
}

// addrPort returns the address of a side, as far as it has one with a port.
func addrPort(a net.Addr) netip.AddrPort {
	if tcp, is := a.(*net.TCPAddr); is {
		return tcp.AddrPort()
	}
	return netip.AddrPort{}
}

// why says why a connection has broken.
func why(err error) string {
	if e, ok := errors.AsType[syscall.Errno](err); ok {
		return e.Error()
	}
	return err.Error()
}

// reset breaks a connection off, so that the other side is told at once.
func reset(c net.Conn) {
	if tcp, is := c.(*net.TCPConn); is {
		tcp.SetLinger(0)
	}
	c.Close()
}
