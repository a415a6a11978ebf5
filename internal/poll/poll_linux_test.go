package poll_test

import (
	"errors"
	"os"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire/internal/poll"
)

// pair returns two connected sockets that do not block.
func pair(t *testing.T) (a, b *poll.Socket) {
	t.Helper()
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b = new(poll.Socket), new(poll.Socket)
	a.Init(fds[0])
	b.Init(fds[1])
	t.Cleanup(func() {
		a.Close(func(int) {})
		b.Close(func(int) {})
	})
	return a, b
}

func TestSocket(t *testing.T) {
	a, b := pair(t)
	buf := make([]byte, 10)
	if _, err := b.Read(buf); !errors.Is(err, syscall.EAGAIN) {
		t.Errorf("nothing to read: %v", err)
	}
	if n, err := a.Write([]byte("hello")); n != 5 || err != nil {
		t.Errorf("write: %d, %v", n, err)
	}
	if n, err := b.Read(buf); string(buf[:n]) != "hello" || err != nil {
		t.Errorf("read: %q, %v", buf[:n], err)
	}
	if err := a.CloseWrite(); err != nil {
		t.Error(err)
	}
	if n, err := b.Read(buf); n != 0 || err != nil {
		t.Errorf("the end of the stream: %d, %v", n, err)
	}
}

func TestSocketIsClosedWhenNobodyUsesIt(t *testing.T) {
	a, _ := pair(t)
	before, after := 0, 0
	err := a.Use(func(fd int) error {
		a.Close(func(int) { before++ })
		a.Close(func(int) { before++ })
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil {
			t.Errorf("the descriptor is closed while it is used: %v", err)
		}
		return nil
	}, func(int) { after++ })
	if !errors.Is(err, os.ErrClosed) || before != 1 || after != 1 {
		t.Errorf("%v; before was called %d times and after %d times, want once each", err, before, after)
	}
	if _, err := a.Read(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("read from a closed socket: %v", err)
	}
	if _, err := a.Write(nil); !errors.Is(err, os.ErrClosed) {
		t.Errorf("write to a closed socket: %v", err)
	}
	if err := a.Use(func(int) error { t.Error("it is used"); return nil }, func(int) {}); !errors.Is(err, os.ErrClosed) {
		t.Error(err)
	}
}

// A greedy handler always has more to do.
type greedy struct {
	start <-chan struct{} // turns count when it is closed
	other *greedy
	turns atomic.Int64
	seen  int64         // turns of the other one at the end
	over  chan struct{} // closed when it has had enough turns
}

func (g *greedy) Ready(ev poll.Events, _ []byte) (again poll.Events) {
	select {
	case <-g.start:
	default:
		return poll.Readable
	}
	switch n := g.turns.Add(1); {
	case n == 2000:
		if g.other != nil {
			g.seen = g.other.turns.Load()
		}
		close(g.over)
		return 0
	case n > 2000:
		return 0
	}
	return poll.Readable
}

// Whoever has more events does not get more turns.
func TestLoopIsFair(t *testing.T) {
	loop, err := poll.NewLoop[*greedy]()
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	start := make(chan struct{})
	one, two := &greedy{start: start, over: make(chan struct{})}, &greedy{start: start, over: make(chan struct{})}
	one.other, two.other = two, one
	var far [2]*poll.Socket
	for i, g := range []*greedy{one, two} {
		near, other := pair(t)
		far[i] = other
		if err := near.Use(func(fd int) error { return loop.Add(fd, g) }, loop.Remove); err != nil {
			t.Fatal(err)
		}
	}
	for range 200 {
		far[0].Write([]byte{1})
	}
	close(start)
	<-one.over
	<-two.over
	if one.seen < 1000 || two.seen < 1000 {
		t.Errorf("in 2,000 turns of the one, the other had %d; and the other way round %d", one.seen, two.seen)
	}
}

func TestLoopForgets(t *testing.T) {
	loop, err := poll.NewLoop[*greedy]()
	if err != nil {
		t.Fatal(err)
	}
	defer loop.Close()
	loop.Remove(5000) // that it never knew
	near, far := pair(t)
	start := make(chan struct{})
	close(start)
	g := &greedy{start: start, over: make(chan struct{})}
	if err := near.Use(func(fd int) error { return loop.Add(fd, g) }, loop.Remove); err != nil {
		t.Fatal(err)
	}
	<-g.over
	near.Close(loop.Remove)
	turns := g.turns.Load()
	far.Write([]byte{1})
	if g.turns.Load() != turns {
		t.Error("it is told of events after it was removed")
	}
}
