package bench

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

func TestRateIsKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rep, err := Run(t.Context(), Options{
			Conns:       7,
			Rate:        1000,
			Size:        64,
			Warmup:      500 * time.Millisecond,
			Duration:    2 * time.Second,
			DialContext: serve(t, new(longwiretest.Network), answers(echo)),
		})
		if err != nil {
			t.Fatal(err)
		}
		if rep.Frames != 2000 || rep.Latency.Samples != 2000 || rep.First != nil {
			t.Errorf("%d frames, %d samples, %v", rep.Frames, rep.Latency.Samples, rep.First)
		}
		if rep.Latency.Max != 0 || !rep.Schedule.Kept() || rep.Schedule.MaxLag != 0 {
			t.Errorf("where no time passes, some passed: %+v, %+v", rep.Latency, rep.Schedule)
		}
	})
}

// A server that stalls once, for a tenth of the time, makes a tenth of the frames
// wait. Who only measured frames that were sent when the one before had come back
// would see a single slow one.
func TestStallIsNotHidden(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rep, err := Run(t.Context(), Options{
			Rate:     1000,
			Size:     64,
			Duration: 2 * time.Second,
			DialContext: serve(t, new(longwiretest.Network), answers(func(w *frame.Writer, i int, f frame.Frame) bool {
				if i == 1000 {
					time.Sleep(200 * time.Millisecond)
				}
				return echo(w, i, f)
			})),
		})
		if err != nil {
			t.Fatal(err)
		}
		l := rep.Latency
		if l.Samples != 2000 || l.P50 > time.Millisecond || l.P90 > time.Millisecond {
			t.Errorf("%+v", l)
		}
		if l.P99 < 170*time.Millisecond || l.P99 > 190*time.Millisecond || l.Max < 199*time.Millisecond || l.Max > 201*time.Millisecond {
			t.Errorf("the stall does not show: %+v", l)
		}
		if !rep.Schedule.Kept() {
			t.Errorf("frames were not sent while the server stalled: %+v", rep.Schedule)
		}
	})
}

// When frames cannot be sent, because the server takes none, that is said, and the
// time that they waited here counts too.
func TestScheduleThatIsNotKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rep, err := Run(t.Context(), Options{
			Rate:     1000,
			Size:     64,
			Duration: 2 * time.Second,
			DialContext: serve(t, &longwiretest.Network{BufferSize: 720}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
				if i == 1000 {
					time.Sleep(200 * time.Millisecond)
				}
				return echo(w, i, f)
			})),
		})
		if err != nil {
			t.Fatal(err)
		}
		s, l := rep.Schedule, rep.Latency
		if s.Kept() || s.Late < 100 || s.Late > 200 || s.Unsent != 0 || s.MaxLag < 150*time.Millisecond || s.MaxLag > 201*time.Millisecond {
			t.Errorf("%+v", s)
		}
		if l.Samples != 2000 || l.P50 > time.Millisecond || l.P99 < 170*time.Millisecond || rep.First != nil {
			t.Errorf("%+v, %v", l, rep.First)
		}
	})
}

// Frames whose time came while none could be sent, until the end, are not sent then.
func TestFramesThatAreNotSentAtAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rep, err := Run(t.Context(), Options{
			Rate:     1000,
			Size:     64,
			Duration: 2 * time.Second,
			DialContext: serve(t, &longwiretest.Network{BufferSize: 720}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
				if i == 1000 {
					time.Sleep(3 * time.Second)
				}
				return echo(w, i, f)
			})),
		})
		if err != nil {
			t.Fatal(err)
		}
		if s := rep.Schedule; s.Unsent < 900 || s.Unsent > 1000 || s.MaxLag < 2*time.Second {
			t.Errorf("%+v", s)
		}
		if rep.First != nil || rep.Latency.Samples+rep.Schedule.Unsent != 2000 {
			t.Errorf("%+v, %v", rep.Latency, rep.First)
		}
	})
}

func TestDue(t *testing.T) {
	for _, o := range []Options{
		{Conns: 1, Rate: 1}, {Conns: 1, Rate: 3}, {Conns: 3, Rate: 1}, {Conns: 7, Rate: 1000},
		{Conns: 1000, Rate: 99_999}, {Conns: 1, Rate: 1_000_000}, {Conns: 20_000, Rate: 7},
	} {
		for _, index := range []int{0, o.Conns / 2, o.Conns - 1} {
			c := &conn{run: &run{Options: o}, index: index}
			if c.dueBefore(0) != 0 || c.dueBefore(-int64(time.Second)) != 0 {
				t.Errorf("%+v, connection %d: something is due before the start", o, index)
			}
			for _, from := range []int64{0, 1_000_000} {
				for n := from; n < from+1000; n++ {
					due := c.due(n)
					if before, behind := c.dueBefore(due), c.dueBefore(due+1); before != n || behind != n+1 {
						t.Fatalf("%+v, connection %d: frame %d is due at %d, and before that %d are, up to it %d", o, index, n, due, before, behind)
					}
				}
			}
		}
	}
	// All connections together send evenly.
	o := Options{Conns: 4, Rate: 1000}
	for turn := range int64(100) {
		c := &conn{run: &run{Options: o}, index: int(turn % 4)}
		if got, want := time.Duration(c.due(turn/4)), time.Duration(turn)*time.Millisecond; got != want {
			t.Errorf("turn %d is due at %v, want %v", turn, got, want)
		}
	}
}
