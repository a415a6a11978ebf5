package poll

import (
	"encoding/binary"
	"fmt"
	"os"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Events is what a socket is ready for, or its handler wants to be told of.
type Events uint8

const (
	Readable Events = 1 << iota // bytes may be read
	Writable                    // bytes may be written
	HungUp                      // the peer ended its stream, or the socket is broken: read to learn which
	Urgent                      // there is urgent data: a read that comes back short may not have been all
	Flush                       // posted: what waits to be written is to be written
	Behind                      // posted, or given to Again: it is to come behind what others are ready for, see leastBehind
)

// A Handler is told of the events of a socket, on the goroutine that has the turn
// of its loop, and never by two at a time. It must not block, but between t.Enter
// and t.Leave.
type Handler interface {
	comparable
	Ready(t *Turn, ev Events)
}

// A Loop watches sockets, with one goroutine.
type Loop[H Handler] struct {
	epoll *os.File
	fd    int // of epoll
	wait  syscall.RawConn
	wake  int           // an eventfd that epoll watches, for Post
	done  chan struct{} // closed when the loop has ended
	guard guard
	busy  atomic.Bool

	mu     sync.Mutex
	slots  []*[slotsPiece]slot[H] // by file descriptor, in pieces that never move
	posted []due[H]
	closed bool // no more sockets are added
	ended  bool // nobody is told of anything any more
}

// slotsPiece is how many slots are added at a time: a table that grows by copying
// would leave several times its size to the garbage collector.
const slotsPiece = 1024

// A slot holds the handler of a socket. Its generation tells an event of an earlier
// socket with the same number.
type slot[H Handler] struct {
	handler    H
	generation uint32
}

// due is a handler with something to do.
type due[H Handler] struct {
	handler H
	events  Events
}

const (
	// readBuffer is how many bytes a turn lends its handlers.
	readBuffer = 64 << 10
	// maxEvents is how many events are fetched at a time.
	maxEvents = 256
	// Handlers that are behind are told of something for half as long as the others of
	// the round took, or for leastBehind where they took less, and one at least is. Those
	// are meant whose work is done on goroutines, which costs about as much again: so
	// neither kind can take the processor from the other.
	leastBehind = 50 * time.Microsecond
)

// one is what is written to an eventfd. Nobody reads it: each write is an event.
var one = binary.NativeEndian.AppendUint64(nil, 1)

// NewLoop starts a loop.
func NewLoop[H Handler]() (*Loop[H], error) {
	l := &Loop[H]{done: make(chan struct{})}
	if err := l.open(); err != nil {
		return nil, err
	}
	l.guard.init()
	l.begin(l.newTurn())
	return l, nil
}

func (l *Loop[H]) open() (err error) {
	if l.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	// Package os watches non-blocking descriptors with the runtime's own epoll, and
	// one epoll can watch another: so the goroutine waits as any other does, and
	// takes no thread with it.
	if err := unix.SetNonblock(l.fd, true); err != nil {
		unix.Close(l.fd)
		return os.NewSyscallError("fcntl", err)
	}
	l.epoll = os.NewFile(uintptr(l.fd), "epoll")
	if l.wake, err = unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK); err != nil {
		l.epoll.Close()
		return os.NewSyscallError("eventfd", err)
	}
	l.wait, err = l.epoll.SyscallConn()
	if err == nil {
		err = unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, l.wake, &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: -1})
	}
	if err != nil {
		l.epoll.Close()
		unix.Close(l.wake)
		return fmt.Errorf("epoll: %w", err)
	}
	return nil
}

// Close ends the loop, when it has told the handlers of what was posted. The sockets
// stay as they are.
func (l *Loop[H]) Close() {
	l.mu.Lock()
	first := !l.closed
	l.closed = true
	l.mu.Unlock()
	if first {
		l.epoll.Close()
	}
	<-l.done
}

// Add begins to watch a socket, which must not block. The handler is told of every
// change from then on, beginning with what there is.
func (l *Loop[H]) Add(fd int, h H) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return os.ErrClosed
	}
	for fd/slotsPiece >= len(l.slots) {
		l.slots = append(l.slots, nil)
	}
	if l.slots[fd/slotsPiece] == nil {
		l.slots[fd/slotsPiece] = new([slotsPiece]slot[H])
	}
	s := l.slot(fd)
	s.handler = h
	s.generation++
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLPRI | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd), Pad: int32(s.generation)}
	if err := unix.EpollCtl(l.fd, unix.EPOLL_CTL_ADD, fd, &ev); err != nil {
		l.forget(fd)
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

// Remove forgets a socket, if it knows it. It must be called before the descriptor
// is closed, which is what ends the watching.
func (l *Loop[H]) Remove(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd/slotsPiece < len(l.slots) && l.slots[fd/slotsPiece] != nil {
		l.forget(fd)
	}
}

func (l *Loop[H]) forget(fd int) {
	var none H
	s := l.slot(fd)
	s.handler = none
	s.generation++
}

func (l *Loop[H]) slot(fd int) *slot[H] { return &l.slots[fd/slotsPiece][fd%slotsPiece] }

// Post has h told of the events, which may be none, though its socket may have been
// removed. It reports whether it will be; when not, the loop has ended and tells
// nobody of anything any more.
func (l *Loop[H]) Post(h H, ev Events) bool {
	l.mu.Lock()
	if l.ended {
		l.mu.Unlock()
		<-l.done
		return false
	}
	if l.posted = append(l.posted, due[H]{h, ev}); len(l.posted) == 1 && !l.closed {
		unix.Write(l.wake, one)
	}
	l.mu.Unlock()
	return true
}

// Busy reports whether the loop has something to do at this moment, so that it costs
// little to have it do more.
func (l *Loop[H]) Busy() bool { return l.busy.Load() }

// HandOver lets another goroutine take the loop over, as the calling one is about
// to block between Enter and Leave. It does nothing when nobody is there.
func (l *Loop[H]) HandOver() { l.guard.turn.Load().handOver() }

// newTurn returns a turn that has not begun.
func (l *Loop[H]) newTurn() *turn[H] {
	t := &turn[H]{loop: l, raw: make([]unix.EpollEvent, maxEvents)}
	t.Buf, t.Round = make([]byte, readBuffer), time.Now()
	t.guard, t.pass = &l.guard, t.passOn
	return t
}

func (l *Loop[H]) begin(t *turn[H]) {
	l.guard.turn.Store(&t.Turn)
	go t.run()
}

// lookUp appends the handlers of the events and of what is posted. It reports
// whether the loop goes on.
func (l *Loop[H]) lookUp(events []unix.EpollEvent, ready *[]due[H], behind *queue[H]) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	carried := len(*ready) // handlers that have more to do: few, as a rule none
	tell := func(h H, ev Events) {
		for i := range carried {
			if d := &(*ready)[i]; d.handler == h {
				d.events |= ev
				return
			}
		}
		*ready = append(*ready, due[H]{h, ev})
	}
	for i := range events {
		ev := &events[i]
		if ev.Fd < 0 {
			continue // it is l.wake
		}
		if s := l.slot(int(ev.Fd)); s.generation == uint32(ev.Pad) { // and not of a socket that is gone
			tell(s.handler, eventsOf(ev.Events))
		}
	}
	for _, d := range l.posted {
		if d.events&Behind != 0 {
			behind.push(d)
		} else {
			tell(d.handler, d.events)
		}
	}
	clear(l.posted)
	l.posted = l.posted[:0]
	l.ended = l.closed && len(*ready) == 0 && behind.empty()
	return !l.ended
}

func eventsOf(bits uint32) (ev Events) {
	if bits&unix.EPOLLIN != 0 {
		ev |= Readable
	}
	if bits&unix.EPOLLOUT != 0 {
		ev |= Writable
	}
	if bits&unix.EPOLLPRI != 0 {
		ev |= Urgent | Readable
	}
	if bits&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
		ev |= HungUp | Readable
	}
	return ev
}

// end is called by the last turn.
func (l *Loop[H]) end() {
	l.mu.Lock()
	unix.Close(l.wake) // Post writes to it under the lock, until closed
	l.mu.Unlock()
	close(l.done)
}

// turn is a Turn with the work of its loop.
type turn[H Handler] struct {
	Turn
	loop   *Loop[H]
	raw    []unix.EpollEvent
	ready  []due[H]  // what the handlers are told of
	next   int       // the first of them that is not told yet
	more   []due[H]  // what they are told of in the round after
	behind queue[H]  // and behind others, in this round or after
	until  time.Time // when it is the others' turn again; zero while it still is in this round
}

// run is the loop, until it ends or another goroutine takes it over.
func (t *turn[H]) run() {
	defer t.handOver() // should a handler have ended the goroutine
	l, n := t.loop, 0
	fetch := func(epoll uintptr) (done bool) {
		n = fetchEvents(int(epoll), t.raw)
		if n > 0 || len(t.ready) > 0 || !t.behind.empty() {
			return true
		}
		l.busy.Store(false)
		return false // wait
	}
	for {
		for t.next < len(t.ready) || t.catchUp() {
			d := t.ready[t.next]
			t.next++
			d.handler.Ready(&t.Turn, d.events)
			if t.isLost() {
				return
			}
			t.keep(d.handler)
		}
		clear(t.ready)
		t.ready, t.more, t.next = t.more, t.ready[:0], 0
		runtime.Gosched() // what the handlers have started may run
		if l.wait.Read(fetch) != nil {
			n = 0 // Close has been called
		}
		if !l.busy.Load() {
			l.busy.Store(true)
		}
		if !l.lookUp(t.raw[:n], &t.ready, &t.behind) {
			l.end()
			return
		}
		t.Round, t.until = time.Now(), time.Time{}
	}
}

// keep notes what the handler called Again for.
func (t *turn[H]) keep(h H) {
	switch {
	case t.again&Behind != 0:
		t.behind.push(due[H]{h, t.again})
	case t.again != 0:
		t.more = append(t.more, due[H]{h, t.again})
	}
	t.again = 0
}

// catchUp takes the next of those who are behind into the round, which the others have had, if it
// is not over for them too.
func (t *turn[H]) catchUp() bool {
	if t.behind.empty() {
		return false // as a rule
	}
	switch now := time.Now(); {
	case t.until.IsZero():
		t.until = now.Add(max(now.Sub(t.Round)/2, leastBehind))
	case now.After(t.until):
		return false
	}
	t.ready = append(t.ready, t.behind.pop())
	return true
}

// A queue is a list that is taken from at its beginning.
type queue[H Handler] struct {
	all   []due[H]
	taken int // of all, from the beginning
}

func (q *queue[H]) empty() bool   { return len(q.all) == 0 }
func (q *queue[H]) push(d due[H]) { q.all = append(q.all, d) }

func (q *queue[H]) pop() due[H] {
	d := q.all[q.taken]
	q.all[q.taken] = due[H]{}
	if q.taken++; 2*q.taken >= len(q.all) { // each moves once, on average
		left := copy(q.all, q.all[q.taken:])
		clear(q.all[left:])
		q.all, q.taken = q.all[:left], 0
	}
	return d
}

// passOn begins a turn with what is left of this one, which is over.
func (t *turn[H]) passOn() {
	t.keep(t.ready[t.next-1].handler)
	next := t.loop.newTurn()
	next.ready, next.next, next.more, next.behind = t.ready, t.next, t.more, t.behind
	t.ready, t.more, t.behind = nil, nil, queue[H]{}
	t.loop.begin(next)
}
