package poll_test

import (
	"errors"
	"os"
	"runtime"
	"syscall"
	"testing"
	"time"

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

// A handler is a function that is told of events.
type handler struct {
	ready func(t *poll.Turn, ev poll.Events)
}

func (h *handler) Ready(t *poll.Turn, ev poll.Events) { h.ready(t, ev) }

func newLoop(t *testing.T) *poll.Loop[*handler] {
	t.Helper()
	loop, err := poll.NewLoop[*handler]()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(loop.Close)
	return loop
}

// watch adds a socket to a loop, and returns it and its other end.
func watch(t *testing.T, loop *poll.Loop[*handler], ready func(t *poll.Turn, ev poll.Events)) (near, far *poll.Socket) {
	t.Helper()
	near, far = pair(t)
	h := &handler{ready}
	if err := near.Use(func(fd int) error { return loop.Add(fd, h) }, loop.Remove); err != nil {
		t.Fatal(err)
	}
	return near, far
}

// Whoever has more events does not get more turns.
func TestLoopIsFair(t *testing.T) {
	loop := newLoop(t)
	const enough = 2000
	start := make(chan struct{})
	var turns, seen [2]int // by the loop's goroutine
	over := make(chan struct{}, 2)
	var far [2]*poll.Socket
	for i := range 2 {
		_, far[i] = watch(t, loop, func(turn *poll.Turn, _ poll.Events) {
			select {
			case <-start:
			default:
				turn.Again(poll.Readable)
				return
			}
			if turns[i]++; turns[i] == enough {
				seen[i] = turns[1-i]
				over <- struct{}{}
			}
			if turns[i] < enough {
				turn.Again(poll.Readable)
			}
		})
	}
	for range 200 {
		far[0].Write([]byte{1})
	}
	close(start)
	<-over
	<-over
	loop.Close()
	if seen[0] < enough/2 || seen[1] < enough/2 {
		t.Errorf("in %d turns of the one, the other had %d; and the other way round %d", enough, seen[0], seen[1])
	}
}

// hold has the loop wait until the function that it returns is called.
func hold(loop *poll.Loop[*handler]) (release func()) {
	gate, begun := make(chan struct{}), make(chan struct{})
	loop.Post(&handler{func(*poll.Turn, poll.Events) {
		close(begun)
		<-gate
	}}, 0)
	<-begun
	return func() { close(gate) }
}

// Those who are behind have half of the time that others have had, or little, in each
// round: however long each of them takes.
func TestBehindIsNotBefore(t *testing.T) {
	loop := newLoop(t)
	release := hold(loop)
	const behind = 50
	rounds := map[time.Time]int{} // of which others are told; by the loop's goroutine, as what follows
	var round, first, latest time.Time
	told, over := 0, make(chan struct{})
	for range 4 {
		loop.Post(&handler{func(turn *poll.Turn, _ poll.Events) {
			rounds[turn.Round]++
			if told < behind {
				turn.Again(poll.Readable)
			}
		}}, poll.Readable)
	}
	for i := range behind {
		ev := poll.Flush | poll.Behind
		if i%2 == 0 {
			ev = poll.Readable
		}
		loop.Post(&handler{func(turn *poll.Turn, ev poll.Events) {
			if ev&poll.Behind == 0 {
				turn.Again(poll.Readable | poll.Behind)
				return
			}
			began := time.Now()
			if rounds[turn.Round] < 4 {
				t.Error("one comes before the others")
			}
			if turn.Round != round {
				round, first = turn.Round, began
			} else if had, most := latest.Sub(first), max(first.Sub(round)/2, 50*time.Microsecond); had > most {
				t.Errorf("one more comes when others of the round have had %v, which may be %v", had, most)
			}
			time.Sleep(time.Millisecond) // it takes as long
			latest = time.Now()
			if told++; told == behind {
				close(over)
			}
		}}, ev)
	}
	release()
	<-over
	loop.Close()
}

// Those who are behind have half of the time that others have had, however few these
// are.
func TestBehindIsNotNever(t *testing.T) {
	loop := newLoop(t)
	release := hold(loop)
	const behind = 500
	rounds, told := 0, 0 // by the loop's goroutine
	over := make(chan struct{})
	loop.Post(&handler{func(turn *poll.Turn, _ poll.Events) {
		rounds++
		time.Sleep(2 * time.Millisecond) // it takes as long
		if told < behind {
			turn.Again(poll.Readable)
		}
	}}, poll.Readable)
	for i := range behind {
		loop.Post(&handler{func(*poll.Turn, poll.Events) {
			if told != i {
				t.Errorf("%d is told as number %d", i, told)
			}
			if told++; told == behind {
				close(over)
			}
		}}, poll.Flush|poll.Behind)
	}
	release()
	<-over
	loop.Close()
	if rounds > behind/10 {
		t.Errorf("%d rounds until %d are told", rounds, behind)
	}
}

// Where nobody else is they come all the same, and whoever blocks does not keep them.
func TestBehindAlone(t *testing.T) {
	loop := newLoop(t)
	begin, release := hold(loop), make(chan struct{})
	loop.Post(&handler{func(turn *poll.Turn, _ poll.Events) {
		turn.Enter(func() {})
		<-release
		turn.Leave()
	}}, 0)
	const many = 100
	told := make(chan int, many)
	for i := range many {
		loop.Post(&handler{func(*poll.Turn, poll.Events) { told <- i }}, poll.Behind)
	}
	begin()
	for i := range many {
		if got := <-told; got != i {
			t.Fatalf("%d is told before %d", got, i)
		}
	}
	close(release)
}

func TestLoopForgets(t *testing.T) {
	loop := newLoop(t)
	loop.Remove(5000) // that it never knew
	told := make(chan poll.Events, 100)
	near, far := watch(t, loop, func(_ *poll.Turn, ev poll.Events) { told <- ev })
	<-told
	near.Close(loop.Remove)
	far.Write([]byte{1})
	loop.Close()
	if len(told) != 0 {
		t.Error("it is told of events after it was removed")
	}
}

// Nothing is told after the end, and Post says so.
func TestPost(t *testing.T) {
	loop := newLoop(t)
	told := make(chan poll.Events, 100)
	h := &handler{func(_ *poll.Turn, ev poll.Events) { told <- ev }}
	for range 300 { // more than a counter of one byte could count
		if !loop.Post(h, poll.Writable) {
			t.Fatal("not posted")
		}
		if ev := <-told; ev != poll.Writable {
			t.Fatalf("told of %b", ev)
		}
	}
	loop.Close()
	if loop.Post(h, poll.Writable) || len(told) > 0 {
		t.Error("posted to a loop that has ended")
	}
}

// What is posted while the loop ends is told or refused, and never lost.
func TestPostWhileTheLoopEnds(t *testing.T) {
	for i := range 400 {
		loop := newLoop(t)
		told := make(chan struct{}, 1)
		h := &handler{func(*poll.Turn, poll.Events) { told <- struct{}{} }}
		go loop.Close()
		if loop.Post(h, []poll.Events{0, poll.Behind}[i%2]) {
			<-told
		}
	}
}

// While code that may block does block, another goroutine runs the loop, and
// everybody is told of everything once.
func TestHandOver(t *testing.T) {
	for _, way := range []string{"noticed", "asked for"} {
		t.Run(way, func(t *testing.T) {
			loop := newLoop(t)
			release, handed, left := make(chan struct{}), make(chan struct{}), make(chan bool)
			blocked, early := make(chan struct{}), make(chan struct{})
			again := make(chan poll.Events, 1)
			first := true
			slow := &handler{func(turn *poll.Turn, ev poll.Events) {
				if !first {
					again <- ev
					return
				}
				first = false
				turn.Again(poll.Writable)
				turn.Enter(func() {
					select {
					case <-early:
						t.Error("the next turn has begun before this one knows that it is over")
					case <-time.After(10 * time.Millisecond): // for what must not happen
					}
					close(handed)
				})
				loop.Post(&handler{func(*poll.Turn, poll.Events) { close(early) }}, 0)
				close(blocked)
				<-release
				kept, _ := turn.Leave()
				left <- kept
			}}
			loop.Post(slow, poll.Readable)
			<-blocked
			if way == "asked for" {
				loop.HandOver()
				select {
				case <-handed:
				default:
					t.Fatal("not at once")
				}
			}
			<-handed
			if ev := <-again; ev != poll.Writable {
				t.Errorf("told of %b again, want %b", ev, poll.Writable)
			}
			for range 10 {
				told := make(chan struct{})
				loop.Post(&handler{func(*poll.Turn, poll.Events) { close(told) }}, 0)
				<-told
			}
			close(release)
			if <-left {
				t.Error("it has kept its turn")
			}
		})
	}
}

// Code that comes back keeps its turn, however often it is called. Where the machine
// is busy it may look like code that blocks, when its thread has stood still within it;
// then the loop is handed over, which takes three milliseconds at least, and goes on.
func TestTurnIsKept(t *testing.T) {
	loop := newLoop(t)
	lost, handed, done := 0, 0, make(chan struct{})
	turns := 0
	began := time.Now()
	var h *handler
	h = &handler{func(turn *poll.Turn, _ poll.Events) {
		noticed := make(chan struct{})
		turn.Enter(func() { handed++; close(noticed) })
		kept, _ := turn.Leave()
		if kept {
			loop.HandOver() // nobody is between Enter and Leave
		} else {
			lost++
			<-noticed
		}
		switch turns++; {
		case turns == 10_000:
			close(done)
		case kept:
			turn.Again(poll.Readable)
		default:
			loop.Post(h, poll.Readable)
		}
	}}
	loop.Post(h, poll.Readable)
	<-done
	if most := int(time.Since(began) / (2 * time.Millisecond)); lost > most || handed != lost {
		t.Errorf("it has lost %d turns, and was told of %d; at most %d can have been taken", lost, handed, most)
	}
}

// What takes long without being handed over is noticed too.
func TestTurnIsMeasured(t *testing.T) {
	loop := newLoop(t)
	const long = 500 * time.Microsecond
	measured := make(chan struct{})
	var h *handler
	h = &handler{func(turn *poll.Turn, _ poll.Events) {
		turn.Enter(func() {})
		for began := time.Now(); time.Since(began) < long; {
		}
		if _, took := turn.Leave(); took >= long {
			close(measured)
		} else { // it was not measured this time, or did not get a processor
			loop.Post(h, 0)
		}
	}}
	loop.Post(h, 0)
	<-measured
}

// A handler that ends its goroutine does not end the loop.
func TestGoexit(t *testing.T) {
	loop := newLoop(t)
	handed := make(chan struct{})
	loop.Post(&handler{func(turn *poll.Turn, _ poll.Events) {
		turn.Enter(func() { close(handed) })
		runtime.Goexit()
	}}, 0)
	<-handed
	told := make(chan struct{})
	loop.Post(&handler{func(*poll.Turn, poll.Events) { close(told) }}, 0)
	<-told
}

// Close does not wait for code that blocks.
func TestCloseWhileAHandlerBlocks(t *testing.T) {
	loop := newLoop(t)
	blocked, release, left := make(chan struct{}), make(chan struct{}), make(chan struct{})
	loop.Post(&handler{func(turn *poll.Turn, _ poll.Events) {
		turn.Enter(func() {})
		close(blocked)
		<-release
		turn.Leave()
		close(left)
	}}, 0)
	<-blocked
	loop.Close()
	close(release)
	<-left
}
