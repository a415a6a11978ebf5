package longwire

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

const (
	smallRead = 4 << 10  // what a quiet connection reads into
	largeRead = 64 << 10 // what a busy one does
	lookahead = 64 << 10 // bytes that are read while reading has paused, to notice the end

	// A write tells only at its end how much the peer has taken, so a peer that
	// reads slowly gets its bytes in small steps, or it would seem to take none.
	firstStep = 16 << 10
	leastStep = 2 << 10
	mostStep  = 256 << 10
	slowStep  = time.Second // a write that takes longer makes the next ones small

	lingerWrite = 5 * time.Second // for what is queued when the connection is closed
	lingerRead  = time.Second     // for the peer to end its stream in turn
	lingerBytes = 4 << 20         // that the peer may send meanwhile
)

// A netLink is the portable driver: a goroutine that reads, over any net.Conn, and
// one that writes while there is something to write.
type netLink struct {
	c       *Conn
	nc      net.Conn
	resumed chan struct{} // holds one token: reading may go on
	read    chan struct{} // closed when the reading goroutine has ended
	ahead   atomic.Bool   // it reads though it has paused

	handshake chan struct{} // closed when the TLS handshake is over; nil when there is none
	closing   sync.Once     // starts letGo
}

// startNet begins a connection over nc.
func startNet(e *endpoint, nc net.Conn, admit admitFunc) *Conn {
	c := new(Conn)
	l := &netLink{c: c, nc: nc, resumed: make(chan struct{}, 1), read: make(chan struct{})}
	keepAlive(nc)
	if tc, ok := nc.(*tls.Conn); ok && !e.dials {
		l.handshake = make(chan struct{})
		admit = l.afterHandshake(tc, admit)
	}
	c.init(e, l, admit)
	room := e.add(c)
	e.wg.Go(l.readLoop)
	if admit != nil && room {
		e.wg.Go(c.admit)
	}
	return c
}

// afterHandshake makes the TLS handshake the first part of the admission: it ends by
// the same deadline, and until then the peer is a stranger like any other.
func (l *netLink) afterHandshake(tc *tls.Conn, admit admitFunc) admitFunc {
	return func(ctx context.Context, c *Conn) (leave func(error), err error) {
		if err := tc.HandshakeContext(ctx); err != nil {
			c.close(&CloseError{Reason: ReasonTLS, Err: err}, false)
			return nil, err
		}
		close(l.handshake)
		if admit == nil {
			return nil, nil
		}
		return admit(ctx, c)
	}
}

// acceptNet returns a function that accepts connections from any listener.
func (s *Server) acceptNet(e *endpoint, l net.Listener) func() (*Conn, error) {
	return func() (*Conn, error) {
		nc, err := l.Accept()
		if err != nil {
			return nil, err
		}
		return startNet(e, nc, s.Admit), nil
	}
}

func (l *netLink) addrs() (local, remote net.Addr) { return l.nc.LocalAddr(), l.nc.RemoteAddr() }

func (l *netLink) resume() {
	select {
	case l.resumed <- struct{}{}:
	default:
	}
	if l.ahead.Load() {
		l.nc.SetReadDeadline(time.Unix(1, 0)) // wakes it
	}
}

// readLoop reads until the connection is over or its stream is.
func (l *netLink) readLoop() {
	defer close(l.read)
	if l.handshake != nil {
		select {
		case <-l.handshake:
		case <-l.c.Done():
			return
		}
	}
	small := make([]byte, smallRead)
	buf, n := small, 0
	for {
		wait, over := l.feed(buf[:n])
		switch {
		case over:
			l.drain(buf)
			return
		case wait:
			if n = 0; l.c.end.muchAhead() {
				buf = small // a large one would be held meanwhile
			}
			l.wait()
			continue
		case n < smallRead/2 || l.c.end.muchAhead():
			buf = small // likewise, while the connection is quiet
		case n == len(buf) && n < largeRead:
			buf = make([]byte, largeRead)
		}
		var err error
		switch n, err = l.nc.Read(buf); {
		case n > 0 || err == nil: // an error comes again
		case errors.Is(err, io.EOF):
			l.c.hangUp()
			for paused := true; paused; {
				if paused, _ = l.take(nil); paused {
					l.wait()
				}
			}
			l.c.endInput()
			return
		case errors.Is(err, os.ErrDeadlineExceeded) && l.c.isOver(): // letGo has set it
			return
		case errors.Is(err, os.ErrDeadlineExceeded): // resume has set it
			if l.nc.SetReadDeadline(time.Time{}); l.c.isOver() { // and letGo may have set another
				l.nc.SetReadDeadline(time.Now().Add(lingerWrite + lingerRead))
			}
		default:
			l.c.close(&CloseError{Reason: ReasonLost, Err: err}, false)
			return
		}
	}
}

// feed gives the connection what has been read. It reports whether to wait before
// anything else, as reading must pause, and whether input is over. While it pauses a
// little is read ahead, so that the end of the stream is noticed.
func (l *netLink) feed(b []byte) (wait, over bool) {
	l.ahead.Store(false)
	for {
		paused, over := l.take(b)
		switch {
		case !paused:
			return false, over
		case !l.c.mayReadAhead(lookahead):
			return true, false
		}
		b = nil
		l.ahead.Store(true)
		select {
		case <-l.resumed: // meanwhile, so it may not have seen ahead
		default:
			return false, false
		}
	}
}

// take gives the connection what has been read, and reports whether reading must pause until resume is
// called: it has been already when that is not so any more a moment later.
func (l *netLink) take(b []byte) (paused, over bool) {
	for {
		if paused, over = l.c.feed(b, l.c.end.now(), nil); !paused {
			return false, over
		}
		if _, paused = l.c.gate(); paused {
			return true, false
		}
		b = nil
	}
}

// wait waits until reading may go on.
func (l *netLink) wait() {
	select {
	case <-l.resumed:
	case <-l.c.Done():
	}
}

// drain reads what the peer still sends to a connection that is closing, for a
// while: closing with bytes unread would destroy, by a reset, what the peer has
// yet to read.
func (l *netLink) drain(buf []byte) {
	<-l.c.Done() // with frames that went before still being handled, it may take a while
	for left := lingerBytes; left > 0; {
		n, err := l.nc.Read(buf)
		if err != nil {
			return
		}
		left -= n
	}
}

// kick writes, on a goroutine that ends when nothing is queued.
func (l *netLink) kick(b *buffer) { l.c.end.wg.Go(func() { l.flushAll(b) }) }

// flush writes what is queued. What others have queued meanwhile it leaves to
// another goroutine, or they could keep the caller for ever.
func (l *netLink) flush(b *buffer) {
	if b = l.write(b); b != nil {
		l.kick(b)
	}
}

func (l *netLink) pass(b *buffer) { l.flush(b) }

func (l *netLink) flushAll(b *buffer) {
	for b != nil {
		b = l.write(b)
	}
}

// yield does nothing: handlers have goroutines of their own.
func (l *netLink) yield() {}

// write writes one buffer, and returns the next.
func (l *netLink) write(b *buffer) (next *buffer) {
	var err error
	step := firstStep
	l.c.progress(0)
	for rest := b.bytes(); len(rest) > 0 && err == nil; {
		n, began := 0, time.Now()
		n, err = l.nc.Write(rest[:min(len(rest), step)])
		l.c.progress(n)
		rest = rest[n:]
		if step = min(2*step, mostStep); time.Since(began) > slowStep {
			step = leastStep
		}
	}
	return l.c.wrote(b, err)
}

// shut lets go of the connection: at once, or when what is queued is written and
// the peer has had time to read it.
func (l *netLink) shut(linger bool) {
	if _, ok := l.nc.(*tls.Conn); !linger && ok {
		l.c.end.wg.Go(func() { l.nc.Close() }) // it waits up to 5 s for a peer that takes nothing, and the caller may be the sweep
	} else if !linger {
		l.nc.Close()
	}
	l.closing.Do(func() { l.c.end.wg.Go(func() { l.letGo(linger) }) })
}

func (l *netLink) letGo(linger bool) {
	l.nc.SetReadDeadline(time.Now().Add(lingerWrite + lingerRead))
	l.nc.SetWriteDeadline(time.Now().Add(lingerWrite))
	for b, wait := l.c.unwritten(); b != nil || wait != nil; b, wait = l.c.unwritten() {
		if b != nil {
			l.flushAll(b)
		} else {
			<-wait
		}
	}
	if half, ok := l.nc.(interface{ CloseWrite() error }); linger && ok && half.CloseWrite() == nil {
		l.nc.SetReadDeadline(time.Now().Add(lingerRead))
		<-l.read
	}
	l.nc.Close()
	<-l.read
	l.c.release()
}
