package longwire

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire/internal/poll"
)

// A pollConn is a connection and its link in one piece of memory: what an idle one
// costs.
type pollConn struct {
	Conn
	pollLink
}

// A pollLink is the driver for TCP on Linux: it reads on the goroutine of a loop
// that it shares with many others, and writes without blocking.
type pollLink struct {
	c      *Conn
	poller *poller
	socket poll.Socket
	loop   uint16 // index in poller.loops
	remote compactAddr

	reading  atomic.Uint32 // readIdle, readBusy, …
	paused   atomic.Bool   // reading has paused, until resume
	hungUp   atomic.Bool   // the peer has ended its stream, or the socket is broken
	readAll  atomic.Bool   // all of the stream has been read
	blocked  atomic.Bool   // pending waits for the socket to be writable
	writable atomic.Bool   // it has become so since the latest write began
	closing  atomic.Bool   // shut has been called
	readEnd  atomic.Pointer[signal]
	stopped  chan struct{} // closed by the one that reads last

	// Owned by whoever has claimed the writing.
	pending *buffer // what takeOut returned last, nil when it is written
	written int     // how much of it is written
}

// A signal is a channel that is closed once.
type signal struct {
	sync.Once
	c chan struct{}
}

const (
	readIdle  = iota
	readBusy  // somebody is reading
	readAgain // and has to look again
	readLast  // and has to say when it has done so
	readNever // nobody reads any more
)

// maxReads is how often one connection is read before it is the others' turn, and
// maxWrites how many buffers a caller writes before another goroutine goes on.
const (
	maxReads  = 4
	maxWrites = 16
	readStep  = 4 << 10
)

// startPoll begins a connection over an accepted socket.
func startPoll(e *endpoint, p *poller, fd int, remote unix.Sockaddr, admit admitFunc) *Conn {
	pc := new(pollConn)
	c, l := &pc.Conn, &pc.pollLink
	c.init(e, admit)
	c.link = l
	l.c = c
	l.poller, l.loop = p, uint16(p.next.Add(1)%uint32(len(p.loops)))
	l.remote.set(remote)
	l.socket.Init(fd)
	l.paused.Store(admit != nil) // until it is received from
	e.add(c)
	err := l.socket.Use(func(fd int) error { return p.loops[l.loop].Add(fd, l) }, p.loops[l.loop].Remove)
	if err != nil { // or it was closed as soon as it was known
		c.close(&CloseError{Reason: ReasonLost, Err: err}, false)
	}
	if admit != nil {
		e.wg.Go(c.admit)
	}
	return c
}

// Ready is called by the loop.
func (l *pollLink) Ready(ev poll.Events, buf []byte) (again poll.Events) {
	if ev&poll.HungUp != 0 {
		l.hungUp.Store(true)
		if l.paused.Load() {
			l.c.hangUp()
		}
	}
	if ev&poll.Writable != 0 {
		if l.writable.Store(true); l.blocked.CompareAndSwap(true, false) {
			l.flush()
		}
	}
	if ev&poll.Readable != 0 && !l.read(buf) {
		return poll.Readable
	}
	return 0
}

// read reads what there is, unless reading has paused. It reports whether it has
// come to the end of it. When somebody else is reading, that one looks
// again.
func (l *pollLink) read(buf []byte) (done bool) {
	for !l.reading.CompareAndSwap(readIdle, readBusy) {
		if l.reading.CompareAndSwap(readBusy, readAgain) || l.reading.Load() >= readAgain {
			return true
		}
	}
	for {
		done = l.readSome(buf)
		switch s := l.reading.Load(); {
		case s == readLast:
			l.reading.Store(readNever)
			close(l.stopped)
			return true
		case done && s == readAgain && l.reading.CompareAndSwap(s, readBusy):
			continue
		case !(done && s == readAgain) && l.reading.CompareAndSwap(s, readIdle):
			return done
		}
	}
}

// readSome reads until there is nothing, a pause or an end, at most maxReads times.
func (l *pollLink) readSome(buf []byte) (done bool) {
	n := 0
	for range maxReads {
		if l.feed(buf[:n]) {
			return true
		}
		if l.c.inputOver() {
			return l.drain(buf)
		}
		hungUp := l.hungUp.Load()
		var err error
		switch n, err = l.socket.Read(buf); {
		case err == nil && n > 0:
			if n < len(buf) && !hungUp { // there is no more, or there will be another event
				return l.feed(buf[:n]) || !l.c.inputOver() || l.drain(buf)
			}
		case err == nil:
			l.endRead()
			l.c.endInput()
			return true
		case errors.Is(err, syscall.EAGAIN):
			return true
		default:
			l.endRead()
			l.c.close(&CloseError{Reason: ReasonLost, Err: err}, false)
			return true
		}
	}
	return l.feed(buf[:n])
}

// endRead notes that all of the stream has been read.
func (l *pollLink) endRead() {
	l.readAll.Store(true)
	if s := l.readEnd.Load(); s != nil {
		s.Do(func() { close(s.c) })
	}
}

// feed gives the connection what has been read, and notes when it must pause.
func (l *pollLink) feed(b []byte) (paused bool) {
	if !l.c.feed(b) {
		return false
	}
	l.paused.Store(true)
	if l.c.feed(nil) { // resume may not have seen that it paused
		if l.hungUp.Load() {
			l.c.hangUp()
		}
		return true
	}
	l.paused.Store(false)
	return false
}

// drain reads and throws away what the peer still sends to a connection that is
// closing; see netLink.drain.
func (l *pollLink) drain(buf []byte) (done bool) {
	for range lingerBytes / readStep {
		n, err := l.socket.Read(buf[:min(len(buf), readStep)])
		if errors.Is(err, syscall.EAGAIN) {
			return true
		}
		if n == 0 || err != nil {
			break
		}
	}
	l.endRead()
	return true
}

// resume reads on a goroutine of its own: the caller may be in the middle of
// anything.
func (l *pollLink) resume() {
	if !l.paused.CompareAndSwap(true, false) {
		return
	}
	l.c.end.wg.Go(func() {
		buf := make([]byte, smallRead)
		for !l.read(buf) {
		}
	})
}

// flush writes what is queued, as far as the socket takes it; the loop goes on when
// it takes more.
func (l *pollLink) flush() {
	for range maxWrites {
		if l.pending == nil {
			b := l.c.takeOut()
			if b == nil {
				return // and the claim with it: nothing here is ours any more
			}
			l.pending, l.written = b, 0
		}
		if !l.write() {
			return
		}
	}
	l.c.end.wg.Go(l.flush)
}

// write writes pending. It reports whether it is all written, or never will be.
func (l *pollLink) write() (done bool) {
	var err error
	for l.written < len(l.pending.b) {
		rest := l.pending.b[l.written:]
		var n int
		l.writable.Store(false)
		n, err = l.socket.Write(rest[:min(len(rest), mostStep)])
		if errors.Is(err, syscall.EAGAIN) {
			l.blocked.Store(true)
			if !l.writable.Load() || !l.blocked.CompareAndSwap(true, false) {
				return false // the loop goes on, and it may have begun already
			}
			err = nil
			continue
		}
		if err != nil {
			break
		}
		l.written += n
		l.c.progress(n)
	}
	b := l.pending
	l.pending = nil
	l.c.wrote(b, err)
	return true
}

func (l *pollLink) kick() { l.flush() }

// shut lets go of the connection: at once, or when what is queued is written and
// the peer has had time to read it.
func (l *pollLink) shut(linger bool) {
	if !linger {
		l.closeSocket()
		l.endRead()
	}
	if l.closing.CompareAndSwap(false, true) {
		l.c.end.wg.Go(func() { l.letGo(linger) })
	}
}

func (l *pollLink) closeSocket() {
	l.socket.Close(l.poller.loops[l.loop].Remove)
	l.writable.Store(true) // a write that is about to wait tries again, and fails
	if l.blocked.CompareAndSwap(true, false) {
		l.c.end.wg.Go(l.flush) // one that has waited fails too
	}
}

func (l *pollLink) letGo(linger bool) {
	if linger && l.writeRest(lingerWrite) && l.socket.CloseWrite() == nil {
		s := &signal{c: make(chan struct{})}
		if l.readEnd.Store(s); !l.readAll.Load() {
			l.resume() // whatever it waits for
			timer := time.NewTimer(lingerRead)
			defer timer.Stop()
			select {
			case <-s.c:
			case <-timer.C:
			}
		}
	}
	l.closeSocket()
	l.writeRest(lingerWrite)
	l.stopReading()
	l.paused.Store(false) // there is nothing to resume
	l.c.end.gone(l.c)
}

// stopReading waits until nobody reads, and lets nobody read again.
func (l *pollLink) stopReading() {
	l.stopped = make(chan struct{})
	for {
		switch s := l.reading.Load(); {
		case s == readIdle && l.reading.CompareAndSwap(s, readNever):
			return
		case s != readIdle && l.reading.CompareAndSwap(s, readLast):
			<-l.stopped
			return
		}
	}
}

// writeRest waits until nothing is left to write, for at most so long.
func (l *pollLink) writeRest(limit time.Duration) (done bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for claimed, wait := l.c.unwritten(); claimed || wait != nil; claimed, wait = l.c.unwritten() {
		if claimed {
			l.flush()
			continue
		}
		select {
		case <-wait:
		case <-timer.C:
			return false
		}
	}
	return true
}

func (l *pollLink) addrs() (local, remote net.Addr) {
	return l.socket.LocalAddr(l.poller.local), net.TCPAddrFromAddrPort(l.remote.addrPort())
}

// A compactAddr is an address and a port in 20 bytes.
type compactAddr struct {
	ip   [16]byte
	port uint16
	v4   bool
}

func (a *compactAddr) set(sa unix.Sockaddr) {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		copy(a.ip[:], sa.Addr[:])
		a.port, a.v4 = uint16(sa.Port), true
	case *unix.SockaddrInet6:
		a.ip, a.port = sa.Addr, uint16(sa.Port)
	}
}

func (a *compactAddr) addrPort() netip.AddrPort {
	if a.v4 {
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(a.ip[:4])), a.port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(a.ip), a.port)
}
