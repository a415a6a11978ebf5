package poll

import (
	"sync/atomic"
	"time"
)

// A Turn is the time in which one goroutine runs a loop. It ends early when code
// that may block, between Enter and Leave, does: then another goroutine takes the
// loop over, with a turn of its own.
//
// This is what Go's scheduler does with a thread that is stuck in a system call.
type Turn struct {
	// Buf is lent to a Handler until its Ready returns.
	Buf []byte
	// Round is when the handlers began to be told of what is ready now.
	Round time.Time
	// Local is for the handlers to keep what they need during the turn.
	Local any

	again   Events
	entered time.Time // when the code between Enter and Leave began, if that is measured
	guard   *guard
	pass    func() // begins the next turn
	lost    func() // what Enter was given

	// state is even outside of Enter and Leave and odd between, grows with each,
	// and is lost when the turn is over.
	state atomic.Uint64
}

const lost = 1<<64 - 2

// Again has the handler that is being told of something told of ev in the next
// round, or with Behind in this one or one of the next; Ready is told of Behind too then. It must
// not be called between Enter and Leave.
func (t *Turn) Again(ev Events) { t.again |= ev }

// Enter says that code which may block begins. When it does not come back soon, or
// HandOver is called, handedOver is called, which must not block, and then another
// goroutine takes over the loop.
func (t *Turn) Enter(handedOver func()) {
	t.lost = handedOver
	if t.guard.measure.Load() {
		t.guard.measure.Store(false)
		t.entered = time.Now()
	}
	t.state.Store(t.state.Load() + 1)
	t.guard.watch()
}

// Leave says that this code has come back. It reports whether the goroutine has kept
// its turn; when not, Ready must return as soon as it is done, and use neither t nor
// what it owns because of it. Now and then, a thousand times a second at most, it also
// reports how long that took; otherwise took is 0.
func (t *Turn) Leave() (kept bool, took time.Duration) {
	s := t.state.Load()
	if s == lost || !t.state.CompareAndSwap(s, s+1) {
		return false, 0
	}
	if !t.entered.IsZero() {
		took = time.Since(t.entered)
		t.entered = time.Time{}
	}
	return true, took
}

// isLost reports whether the turn is over, though the goroutine goes on.
func (t *Turn) isLost() bool { return t.state.Load() == lost }

// handOver ends the turn when it is between Enter and Leave.
func (t *Turn) handOver() {
	s := t.state.Load()
	if s&1 == 0 || !t.state.CompareAndSwap(s, lost) {
		return
	}
	t.lost()
	t.pass()
}

// A guard looks whether the goroutine that has the turn comes back, every tick while
// there is anything to see. A goroutine that is just not getting a processor looks
// the same for a moment, so it looks several times.
type guard struct {
	turn  atomic.Pointer[Turn] // whose it is
	timer *time.Timer
	awake atomic.Bool // the timer runs

	measure atomic.Bool // how long what begins next takes: a clock for each would cost too much

	// Owned by look.
	seen  *Turn
	state uint64
	times int // that they were the same
}

const (
	guardTick  = time.Millisecond
	guardTicks = 3
)

func (g *guard) init() {
	g.timer = time.AfterFunc(time.Hour, g.look)
	g.timer.Stop()
	g.measure.Store(true)
}

// watch begins to look, if nobody does.
func (g *guard) watch() {
	if !g.awake.Load() && g.awake.CompareAndSwap(false, true) {
		g.timer.Reset(guardTick)
	}
}

func (g *guard) look() {
	g.measure.Store(true)
	t := g.turn.Load()
	switch s := t.state.Load(); {
	case t != g.seen || s != g.state: // it moves
		g.seen, g.state, g.times = t, s, 0
	case s&1 == 1:
		if g.times++; g.times >= guardTicks {
			t.handOver()
		}
	default: // it rests
		g.awake.Store(false)
		if g.turn.Load() == t && t.state.Load() == s || !g.awake.CompareAndSwap(false, true) {
			return
		}
	}
	g.timer.Reset(guardTick)
}
