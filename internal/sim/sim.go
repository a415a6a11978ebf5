// Package sim simulates boards: fleets of them that send, answer and come back as boards
// do, and some that do what they should not.
//
// A board without a fault, and one that takes part in storms, is a [longwire.Client]. The
// others do what the library would not, so they are plain connections with package frame
// on top.
package sim

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/dial"
)

// Options say what [New] makes.
type Options struct {
	// Addr is the gateway's TCP address. Where it is empty the fleet is only checked.
	Addr string

	// Scenario says which boards there are and what they do. It must be complete.
	Scenario *config.Scenario

	// Format is how frames look, and MaxFrame how large they may be, head to tail.
	Format   frame.Format
	MaxFrame int
}

// A Fleet is boards that have not begun, or are at work, or were.
type Fleet struct {
	Options
	seed   uint64
	codec  *frame.Codec
	hello  bool // the format has room for its type
	groups []*group
	boards []*board          // in the order in which they begin
	known  map[string]*board // by their ids
	dialer *dial.Dialer
	gate   chan struct{} // holds a token for each connection that is being opened
	epoch  time.Time     // when the first one began

	enough chan struct{} // closed when nothing more is to be sent
	asking sync.RWMutex  // read-locked while a board waits for an answer
}

// mostDialling is how many connections are being opened at once. A storm of all boards does not
// fill the queue of those that the gateway has yet to accept.
const mostDialling = 128

// New checks everything that can be checked before anything connects. The error is
// [config.Problems] where the scenario is at fault, and a [*dial.LimitError] when there are too
// many boards for this process.
func New(o Options) (*Fleet, error) {
	f := &Fleet{Options: o, seed: uint64(o.Scenario.Seed), gate: make(chan struct{}, mostDialling), enough: make(chan struct{}), known: make(map[string]*board)}
	if f.seed == 0 {
		f.seed = rand.Uint64()
	}
	var err error
	if f.codec, err = frame.NewCodec(o.Format); err != nil {
		return nil, err
	}
	f.hello = f.codec.MaxType() >= 0xFFFF
	var problems config.Problems
	if len(o.Scenario.Boards) == 0 {
		problems = append(problems, o.Scenario.Problem("boards", "there are none; write a group of them"))
	}
	for i := range o.Scenario.Boards {
		c := compiler{f: f, path: boardsPath(i)}
		f.groups = append(f.groups, c.group(&o.Scenario.Boards[i]))
		problems = append(problems, c.problems...)
	}
	if len(problems) > 0 {
		return nil, problems
	}
	f.interleave()
	if o.Addr != "" {
		f.dialer, err = dial.New(o.Addr, len(f.boards))
	}
	return f, err
}

// interleave puts the boards in the order in which they begin: all groups grow together.
func (f *Fleet) interleave() {
	for _, g := range f.groups {
		f.boards = append(f.boards, g.boards...)
	}
	slices.SortStableFunc(f.boards, func(a, b *board) int {
		return cmp.Compare((a.place+1)*len(b.g.boards), (b.place+1)*len(a.g.boards))
	})
	for i, b := range f.boards {
		b.index = i
	}
}

// Boards returns how many boards there are.
func (f *Fleet) Boards() int { return len(f.boards) }

// Run has the boards begin, lets them work, and returns what came of it. It ends early when ctx
// does. It calls progress once a second and must be called once.
func (f *Fleet) Run(ctx context.Context, progress func(Progress)) *Report {
	alive, end := context.WithCancel(context.WithoutCancel(ctx))
	defer end()
	began := time.Now()
	f.epoch = began
	watching := make(chan struct{})
	var watch sync.WaitGroup
	watch.Go(func() { f.watch(began, watching, progress) })
	defer watch.Wait()
	defer close(watching)

	var boards sync.WaitGroup
	ramp := f.start(ctx, alive, &boards)
	cut := ctx.Err() != nil
	if f.Scenario.Duration > 0 {
		timed, cancel := context.WithTimeout(ctx, time.Duration(f.Scenario.Duration))
		defer cancel()
		ctx = timed
	}
	<-ctx.Done()
	close(f.enough)
	f.asking.Lock() // when the last answer has come, or is late
	r := &Report{Ramp: ramp, Elapsed: time.Since(began)}
	for _, g := range f.groups {
		r.Groups = append(r.Groups, Group{Name: g.conf.Name, Boards: len(g.boards), Fault: g.conf.Fault.Kind, Online: int(g.tally.online.Load()), cut: cut})
	}
	f.asking.Unlock()
	end()
	boards.Wait()
	for i, g := range f.groups {
		g.tally.report(&r.Groups[i])
	}
	return r
}

// start has the boards begin at the rate of the ramp, and returns how long that took.
func (f *Fleet) start(ctx, alive context.Context, boards *sync.WaitGroup) time.Duration {
	began := time.Now()
	pause := time.NewTimer(0)
	defer pause.Stop()
	for i, b := range f.boards {
		pause.Reset(time.Until(began.Add(time.Duration(i) * time.Second / time.Duration(f.Scenario.Ramp))))
		select {
		case <-pause.C:
		case <-ctx.Done():
			return time.Since(began)
		}
		b.g.tally.begun.Add(1)
		boards.Go(func() { b.live(alive) })
	}
	return time.Since(began)
}

// watch reports once a second.
func (f *Fleet) watch(began time.Time, over <-chan struct{}, progress func(Progress)) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-over:
			return
		case now := <-tick.C:
			p := Progress{Elapsed: now.Sub(began), Boards: len(f.boards), Online: f.online()}
			for _, g := range f.groups {
				g.tally.addTo(&p)
			}
			progress(p)
		}
	}
}

// online returns how many boards are connected.
func (f *Fleet) online() (n int) {
	for _, g := range f.groups {
		n += int(g.tally.online.Load())
	}
	return n
}

// isEnough reports whether nothing more is to be sent.
func (f *Fleet) isEnough() bool {
	select {
	case <-f.enough:
		return true
	default:
		return false
	}
}
