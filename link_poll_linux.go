package longwire

import (
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/longwire/longwire/internal/poll"
)

// A pollConn is a connection and its driver for TCP on Linux, in one piece of memory:
// what an idle one costs. It reads on the goroutine of a loop that it shares with many
// others, has its handlers run there while they come back soon, and writes without
// blocking.
type pollConn struct {
	conn    Conn
	poller  *poller
	socket  poll.Socket
	flags   atomic.Uint32
	loop    uint16 // index in poller.loops
	remote  compactAddr
	apart   bool  // its latest frames are for a goroutine; owned by the loop
	behind  bool  // it is to be read behind others; owned by the loop
	drained int32 // bytes that have been read and thrown away; owned by the loop
	readEnd atomic.Pointer[signal]

	// Owned by whoever has claimed the writing.
	written int32
	pending *buffer // what is being written; written of it is
}

// The flags of a pollConn.
const (
	paused   = 1 << iota // reading has paused, until resume
	held                 // bytes that have been read wait in the connection; owned by the loop
	hungUp               // the peer has ended its stream, or the socket is broken
	urgent               // the peer has sent urgent data, where reading stops short
	readAll              // nothing more is read
	blocked              // pending waits for the socket to be writable
	writable             // it has become so since a write found it not to be
	closing              // shut has been called
	finished             // the loop is to let go
	released             // and has done so
)

func (l *pollConn) is(flag uint32) bool { return l.flags.Load()&flag != 0 }
func (l *pollConn) set(flag uint32) bool {
	return l.flags.Load()&flag != flag && l.flags.Or(flag)&flag == 0
}
func (l *pollConn) clear(flag uint32) bool { return l.is(flag) && l.flags.And(^flag)&flag != 0 }

// A signal is a channel that is closed once.
type signal struct {
	sync.Once
	c chan struct{}
}

// maxWrites is how many buffers a caller writes before another goroutine goes on.
const maxWrites = 16

// startPoll begins a connection over an accepted socket.
func startPoll(e *endpoint, p *poller, fd int, remote netip.AddrPort, admit admitFunc) *Conn {
	l := &pollConn{poller: p, loop: uint16(p.next.Add(1) % uint32(len(p.loops)))}
	l.conn.init(e, l, admit)
	l.remote.set(remote)
	l.socket.Init(fd)
	setUserTimeout(uintptr(fd)) // a listener for MPTCP would not hand it on
	if admit != nil {
		l.set(paused) // until it is received from
	}
	if !e.add(&l.conn) {
		return &l.conn
	}
	err := l.socket.Use(func(fd int) error { return p.loops[l.loop].Add(fd, l) }, p.loops[l.loop].Remove)
	if err != nil { // or it was closed as soon as it was known
		l.conn.close(&CloseError{Reason: ReasonLost, Err: err}, false)
	}
	if admit != nil {
		e.wg.Go(l.conn.admit)
	}
	return &l.conn
}

// Ready is called by the loop.
func (l *pollConn) Ready(t *poll.Turn, ev poll.Events) {
	if ev&poll.Flush != 0 && l.write() {
		t.Again(poll.Flush | poll.Behind)
	}
	if l.is(finished) {
		l.release()
		return
	}
	if ev&poll.HungUp != 0 {
		if l.set(hungUp); l.is(paused) {
			l.conn.hangUp()
		}
	}
	if ev&poll.Urgent != 0 {
		l.set(urgent)
	}
	if ev&poll.Writable != 0 {
		if l.set(writable); l.clear(blocked) {
			l.goOn()
		}
	}
	if ev&poll.Readable == 0 {
		return
	}
	if ev&poll.Behind != 0 {
		l.behind = false
	}
	switch {
	case l.behind || l.is(paused|readAll):
	case l.apart && ev&poll.Behind == 0 && !l.is(closing):
		l.behind = true
		t.Again(poll.Readable | poll.Behind)
	default:
		// The answers are written from here, and not from within: a processor has forgotten during a
		// system call where the calls around it return to, and guesses wrongly at each.
		if l.read(t) && l.write() {
			l.goOn()
		}
	}
}

// read reads once, and looks at what it has read; when there may be more, it is the
// others' turn first. It reports whether pending is to be written by the caller.
func (l *pollConn) read(t *poll.Turn) (claimed bool) {
	n := 0
	if l.is(held) {
		l.clear(held)
		t.Again(poll.Readable)
	} else {
		buf := t.Buf
		if l.conn.end.muchAhead() {
			buf = buf[:smallRead]
		}
		var err error
		n, err = l.socket.Read(buf)
		switch {
		case n > 0:
			if n == len(buf) || l.is(hungUp|urgent) { // otherwise there will be another event
				t.Again(poll.Readable)
			}
		case err == nil:
			l.endRead()
			l.conn.endInput()
			return false
		case err == syscall.EAGAIN:
			return false
		default:
			l.endRead()
			l.conn.close(&CloseError{Reason: ReasonLost, Err: err}, false)
			return false
		}
	}
	w, _ := t.Local.(*worker)
	if w == nil {
		w = new(worker)
		t.Local = w
	}
	w.arrived, w.apart = false, false
	pause, over := l.conn.feed(t.Buf[:n], l.conn.end.at(t.Round), w)
	if w.arrived || w.batch != nil {
		l.apart = w.apart
	}
	switch {
	case pause:
		l.pause(t)
	case over:
		l.drain(n)
	}
	b := w.handleInline(t)
	if b == nil {
		return false
	}
	l.pending, l.written = b, 0
	return true
}

// pause waits for resume, which may have been called already.
func (l *pollConn) pause(t *poll.Turn) {
	l.set(held | paused)
	if _, still := l.conn.gate(); !still && l.clear(paused) {
		t.Again(poll.Readable)
	}
	if l.is(hungUp) {
		l.conn.hangUp()
	}
}

// drain counts what the peer still sends to a connection that is closing, and at some
// point reads no more; see netLink.drain.
func (l *pollConn) drain(n int) {
	if l.drained += int32(n); l.drained > lingerBytes {
		l.endRead()
	}
}

// endRead notes that nothing more is read.
func (l *pollConn) endRead() {
	l.set(readAll)
	if s := l.readEnd.Load(); s != nil {
		s.Do(func() { close(s.c) })
	}
}

func (l *pollConn) resume() {
	if l.is(paused) && l.clear(paused) {
		l.poller.loops[l.loop].Post(l, poll.Readable)
	}
}

func (l *pollConn) yield() { l.poller.loops[l.loop].HandOver() }

// flush writes what is queued, as far as the socket takes it; the loop goes on when
// it takes more.
func (l *pollConn) flush(b *buffer) {
	l.pending, l.written = b, 0
	l.goOn()
}

func (l *pollConn) kick(b *buffer) { l.flush(b) }

// pass has the loop write while it is busy, in its own time: with a thousand goroutines
// that each write, it would seldom have its turn. What takes the kernel long to copy is not
// for the loop.
func (l *pollConn) pass(b *buffer) {
	l.pending, l.written = b, 0
	if loop := l.poller.loops[l.loop]; len(b.bytes()) > flushAt || !loop.Busy() || !loop.Post(l, poll.Flush|poll.Behind) {
		l.goOn()
	}
}

func (l *pollConn) goOn() {
	for range maxWrites {
		if !l.write() {
			return
		}
	}
	l.conn.end.wg.Go(l.goOn)
}

// write writes pending. It reports whether there is another; if not, nothing here is
// the caller's any more.
func (l *pollConn) write() (more bool) {
	var err error
	for all := l.pending.bytes(); err == nil && int(l.written) < len(all); {
		rest := all[l.written:]
		var n int
		n, err = l.socket.Write(rest[:min(len(rest), mostStep)])
		switch {
		case n == len(rest):
			l.written += int32(n)
		case err == nil:
			l.written += int32(n)
			l.conn.progress(n)
		case err == syscall.EAGAIN:
			err = nil
			if l.clear(writable) {
				continue // it may have become so just now
			}
			l.conn.progress(0)
			l.set(blocked)
			if !l.is(writable) || !l.clear(blocked) {
				return false // the loop goes on, and it may have begun already
			}
		}
	}
	b := l.pending
	l.pending, l.written = nil, 0
	if b = l.conn.wrote(b, err); b == nil {
		return false
	}
	l.pending = b
	return true
}

// shut lets go of the connection: at once, or when what is queued is written and
// the peer has had time to read it.
func (l *pollConn) shut(linger bool) {
	if !linger {
		l.closeSocket()
		l.endRead()
	}
	if l.set(closing) {
		l.conn.end.wg.Go(func() { l.letGo(linger) })
	}
}

func (l *pollConn) closeSocket() {
	l.socket.Close(l.poller.loops[l.loop].Remove)
	l.set(writable) // a write that is about to wait tries again, and fails
	if l.clear(blocked) {
		l.conn.end.wg.Go(l.goOn) // one that has waited fails too
	}
}

func (l *pollConn) letGo(linger bool) {
	if linger && l.writeRest(lingerWrite) && l.socket.CloseWrite() == nil {
		s := &signal{c: make(chan struct{})}
		if l.readEnd.Store(s); !l.is(readAll) {
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
	if l.set(finished); !l.poller.loops[l.loop].Post(l, 0) {
		l.release() // the loop has ended
	}
}

// release is called by the loop, which tells nobody of anything any more, or after it;
// the first call counts.
func (l *pollConn) release() {
	if l.set(released) {
		l.conn.release()
	}
}

// writeRest waits until nothing is left to write, for at most so long.
func (l *pollConn) writeRest(limit time.Duration) (done bool) {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for b, wait := l.conn.unwritten(); b != nil || wait != nil; b, wait = l.conn.unwritten() {
		if b != nil {
			l.flush(b)
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

func (l *pollConn) addrs() (local, remote net.Addr) {
	return l.socket.LocalAddr(l.poller.local), net.TCPAddrFromAddrPort(l.remote.addrPort())
}

// A compactAddr is an address and a port in 20 bytes. It has no room for a zone.
type compactAddr struct {
	ip   [16]byte
	port uint16
	v4   bool
}

func (a *compactAddr) set(ap netip.AddrPort) {
	a.ip, a.port, a.v4 = ap.Addr().As16(), ap.Port(), ap.Addr().Is4()
}

func (a *compactAddr) addrPort() netip.AddrPort {
	ip := netip.AddrFrom16(a.ip)
	if a.v4 {
		ip = ip.Unmap()
	}
	return netip.AddrPortFrom(ip, a.port)
}
