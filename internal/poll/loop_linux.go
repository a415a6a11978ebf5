package poll

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

// Events is what a socket is ready for.
type Events uint8

const (
	Readable Events = 1 << iota // bytes may be read
	Writable                    // bytes may be written
	HungUp                      // the peer ended its stream, or the socket is broken: read to learn which
)

// A Handler is told of the events of a socket, on the goroutine of its loop. It
// must not block, and may use buf, which is lent, until it returns. When it
// reports that there is more to do, it is called again before the loop waits, with
// the events that it returns.
type Handler interface {
	comparable
	Ready(ev Events, buf []byte) (again Events)
}

// A Loop watches sockets, with one goroutine.
type Loop[H Handler] struct {
	epoll *os.File
	done  chan struct{} // closed when the goroutine has ended

	mu    sync.Mutex
	slots []*[slotsPiece]slot[H] // by file descriptor, in pieces that never move
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

// readBuffer is how many bytes a loop lends its handlers.
const readBuffer = 64 << 10

// maxEvents is how many events are fetched at a time.
const maxEvents = 256

// NewLoop starts a loop.
func NewLoop[H Handler]() (*Loop[H], error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, os.NewSyscallError("epoll_create1", err)
	}
	// Package os watches non-blocking descriptors with the runtime's own epoll, and
	// one epoll can watch another: so the goroutine waits as any other does, and
	// takes no thread with it.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, os.NewSyscallError("fcntl", err)
	}
	l := &Loop[H]{epoll: os.NewFile(uintptr(fd), "epoll"), done: make(chan struct{})}
	wait, err := l.epoll.SyscallConn()
	if err != nil {
		l.epoll.Close()
		return nil, err
	}
	go l.run(wait)
	return l, nil
}

// Close ends the loop. The sockets stay as they are.
func (l *Loop[H]) Close() {
	l.epoll.Close()
	<-l.done
}

// Add begins to watch a socket, which must not block. The handler is told of every
// change from then on, beginning with what there is.
func (l *Loop[H]) Add(fd int, h H) error {
	l.mu.Lock()
	for fd/slotsPiece >= len(l.slots) {
		l.slots = append(l.slots, nil)
	}
	if l.slots[fd/slotsPiece] == nil {
		l.slots[fd/slotsPiece] = new([slotsPiece]slot[H])
	}
	s := l.slot(fd)
	s.handler = h
	s.generation++
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET, Fd: int32(fd), Pad: int32(s.generation)}
	l.mu.Unlock()
	err := l.control(unix.EPOLL_CTL_ADD, fd, &ev)
	if err != nil {
		l.Remove(fd)
	}
	return err
}

func (l *Loop[H]) control(op, fd int, ev *unix.EpollEvent) error {
	conn, err := l.epoll.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	err = conn.Control(func(epoll uintptr) { failed = unix.EpollCtl(int(epoll), op, fd, ev) })
	if err = errors.Join(err, failed); err != nil {
		return fmt.Errorf("epoll_ctl: %w", err)
	}
	return nil
}

// Remove forgets a socket, if it knows it. It must be called before the descriptor
// is closed, which is what ends the watching.
func (l *Loop[H]) Remove(fd int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if fd/slotsPiece >= len(l.slots) || l.slots[fd/slotsPiece] == nil {
		return // it was never added
	}
	s := l.slot(fd)
	var none H
	s.handler = none
	s.generation++
}

func (l *Loop[H]) slot(fd int) *slot[H] { return &l.slots[fd/slotsPiece][fd%slotsPiece] }

// due is a handler with something to do.
type due[H Handler] struct {
	handler H
	events  Events
}

// run is the loop.
func (l *Loop[H]) run(wait syscall.RawConn) {
	defer close(l.done)
	raw := make([]unix.EpollEvent, maxEvents)
	buf := make([]byte, readBuffer)
	var ready []due[H]
	n := 0
	fetch := func(epoll uintptr) (done bool) {
		n = fetchEvents(int(epoll), raw)
		return n > 0 || len(ready) > 0 // otherwise wait
	}
	for {
		if wait.Read(fetch) != nil {
			return
		}
		l.lookUp(raw[:n], &ready)
		more := ready[:0]
		for _, d := range ready {
			if again := d.handler.Ready(d.events, buf); again != 0 {
				more = append(more, due[H]{d.handler, again})
			}
		}
		clear(ready[len(more):])
		ready = more
		runtime.Gosched() // what the handlers have started may run
	}
}

// lookUp appends the handlers of the events.
func (l *Loop[H]) lookUp(events []unix.EpollEvent, ready *[]due[H]) {
	l.mu.Lock()
	defer l.mu.Unlock()
	carried := len(*ready) // handlers that have more to do: few, as a rule none
events:
	for _, ev := range events {
		s := l.slot(int(ev.Fd))
		if s.generation != uint32(ev.Pad) {
			continue // of a socket that is gone
		}
		var e Events
		if ev.Events&unix.EPOLLIN != 0 {
			e |= Readable
		}
		if ev.Events&unix.EPOLLOUT != 0 {
			e |= Writable
		}
		if ev.Events&(unix.EPOLLRDHUP|unix.EPOLLHUP|unix.EPOLLERR) != 0 {
			e |= HungUp | Readable
		}
		for i := range carried {
			if d := &(*ready)[i]; d.handler == s.handler {
				d.events |= e
				continue events
			}
		}
		*ready = append(*ready, due[H]{s.handler, e})
	}
}
