package longwire

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

const (
	smallRead = 4 << 10  // what a quiet connection reads into
	largeRead = 64 << 10 // what a busy one does
	writeStep = 64 << 10 // bytes that are written at a time, to see progress

	lingerWrite = 5 * time.Second        // for what is queued when the connection is closed
	lingerRead  = 500 * time.Millisecond // for the peer to end its stream in turn
	lingerBytes = 4 << 20                // that the peer may send meanwhile
)

// A netLink is the portable driver: a goroutine that reads, over any net.Conn, and
// one that writes while there is something to write.
type netLink struct {
	c       *Conn
	nc      net.Conn
	resumed chan struct{} // holds one token: reading may go on
	read    chan struct{} // closed when the reading goroutine has ended
	closing sync.Once     // starts letGo
}

// startNet begins a connection over nc.
func startNet(e *endpoint, nc net.Conn, admit admitFunc) *Conn {
	c := newConn(e, admit)
	l := &netLink{c: c, nc: nc, resumed: make(chan struct{}, 1), read: make(chan struct{})}
	c.link = l
	e.add(c)
	e.wg.Go(l.readLoop)
	if admit != nil {
		e.wg.Go(c.admit)
	}
	return c
}

func (l *netLink) addrs() (local, remote net.Addr) { return l.nc.LocalAddr(), l.nc.RemoteAddr() }

func (l *netLink) resume() {
	select {
	case l.resumed <- struct{}{}:
	default:
	}
}

// readLoop reads until the connection is over or its stream is.
func (l *netLink) readLoop() {
	defer close(l.read)
	buf, n := make([]byte, smallRead), 0
	for {
		for l.c.feed(buf[:n]) {
			n = 0
			select {
			case <-l.resumed:
			case <-l.c.Done():
			}
		}
		if l.c.inputOver() {
			l.drain(buf)
			return
		}
		if n == len(buf) && n < largeRead {
			buf = make([]byte, largeRead)
		}
		var err error
		if n, err = l.nc.Read(buf); n > 0 {
			continue // an error comes again
		}
		switch {
		case err == nil:
		case errors.Is(err, io.EOF):
			l.c.endInput()
			return
		default:
			l.c.close(&CloseError{Reason: ReasonLost, Err: err}, false)
			return
		}
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

func (l *netLink) kick() { l.c.end.wg.Go(l.flush) }

// flush writes until nothing is queued.
func (l *netLink) flush() {
	for b := l.c.takeOut(); b != nil; b = l.c.takeOut() {
		var err error
		for rest := b.b; len(rest) > 0 && err == nil; {
			var n int
			n, err = l.nc.Write(rest[:min(len(rest), writeStep)])
			l.c.progress(n)
			rest = rest[n:]
		}
		l.c.wrote(b, err)
	}
}

// shut lets go of the connection: at once, or when what is queued is written and
// the peer has had time to read it.
func (l *netLink) shut(linger bool) {
	if !linger {
		l.nc.Close()
	}
	l.closing.Do(func() { l.c.end.wg.Go(func() { l.letGo(linger) }) })
}

func (l *netLink) letGo(linger bool) {
	if linger {
		l.nc.SetReadDeadline(time.Now().Add(lingerWrite + lingerRead))
		l.nc.SetWriteDeadline(time.Now().Add(lingerWrite))
		for claimed, wait := l.c.unwritten(); claimed || wait != nil; claimed, wait = l.c.unwritten() {
			if claimed {
				l.flush()
			} else {
				<-wait
			}
		}
		if half, ok := l.nc.(interface{ CloseWrite() error }); ok && half.CloseWrite() == nil {
			l.nc.SetReadDeadline(time.Now().Add(lingerRead))
			<-l.read
		}
	}
	l.nc.Close()
	<-l.read
	l.c.end.gone(l.c)
}
