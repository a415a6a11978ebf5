package gateway

import (
	"context"
	"math"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
	"unsafe"

	"github.com/longwire/longwire"
)

// A sample tells what happened in its ten seconds, and is there for an hour.
func TestSamples(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		began := time.Now()
		c := g.wantBoard("a", "", longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			switch m.Type {
			case 1:
				time.Sleep(100 * time.Millisecond)
			case 2:
				return longwire.NoAnswer, nil
			}
			return nil, nil
		}))
		for range 10 {
			if _, err := g.Ask(t.Context(), "a", Question{Type: 1}); err != nil {
				t.Fatal(err)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := g.Ask(ctx, "a", Question{Type: 2}); err != ErrNoAnswer {
			t.Fatal(err)
		}
		if got := g.Samples(time.Time{}); len(got) != 0 {
			t.Fatalf("%+v", got)
		}
		time.Sleep(9 * time.Second) // 11 s after the beginning
		got := g.Samples(time.Time{})
		if len(got) != 1 {
			t.Fatalf("%+v", got)
		}
		s := got[0]
		if !s.At.Equal(began.Add(SampleEvery)) || s.Connections != 1 || s.Asks != 11 || s.AsksFailed != 1 || s.FramesOut != 12 || s.FramesIn != 11 || s.BytesIn == 0 || s.BytesOut == 0 || s.Closed != nil || s.Memory < 1<<20 {
			t.Errorf("%+v", s)
		}
		for _, took := range []time.Duration{s.AskP50, s.AskP99} {
			if math.Abs(took.Seconds()-0.1) > 0.1/16 {
				t.Errorf("%v", took)
			}
		}
		c.Close(longwire.ReasonClosed)
		<-c.Done()
		time.Sleep(SampleEvery)
		got = g.Samples(s.At)
		if len(got) != 1 || got[0].Connections != 0 || got[0].Asks != 0 || got[0].AskP99 != 0 || len(got[0].Closed) != 1 || got[0].Closed[longwire.ReasonPeerClosed] != 1 {
			t.Errorf("%+v", got)
		}
		if all := g.Stats(); all.Asks != 11 || all.AsksFailed != 1 || !all.Started.Equal(began) {
			t.Errorf("%+v", all)
		}

		time.Sleep(2 * time.Hour)
		got = g.Samples(time.Time{})
		last := got[len(got)-1].At
		if len(got) != 360 || time.Since(last) >= SampleEvery || last.Sub(got[0].At) != 359*SampleEvery {
			t.Errorf("%d samples from %v to %v", len(got), got[0].At, last)
		}
		if !slices.IsSortedFunc(got, func(a, b Sample) int { return a.At.Compare(b.At) }) {
			t.Error("not in order")
		}
		if got := g.Samples(last.Add(-time.Minute)); len(got) != 6 {
			t.Errorf("%d samples of a minute", len(got))
		}
		if got := g.Samples(last); len(got) != 0 {
			t.Errorf("%+v", got)
		}
	})
}

// All that is remembered of an hour is small, whatever happens in it.
func TestMemoryOfSamples(t *testing.T) {
	const perReason = 64 // bytes in a map, with room to spare
	if size := keepSamples * (int(unsafe.Sizeof(Sample{})) + 256 + 32*perReason); size > 1<<20 {
		t.Errorf("%d bytes", size)
	}
}

// What is said of many durations is as near to the truth as promised.
func TestLatencies(t *testing.T) {
	var l latencies
	if p50, p99 := l.take(); p50 != 0 || p99 != 0 {
		t.Error(p50, p99)
	}
	random := rand.New(rand.NewPCG(1, 2))
	for _, scale := range []time.Duration{20 * time.Microsecond, time.Millisecond, 300 * time.Millisecond, 20 * time.Second} {
		for _, n := range []int{1, 2, 99, 100, 101, 5000} {
			all := make([]time.Duration, n)
			for i := range all {
				all[i] = time.Duration(random.Int64N(int64(scale)))
				l.add(all[i])
			}
			slices.Sort(all)
			p50, p99 := l.take()
			for _, c := range []struct{ got, want time.Duration }{{p50, all[(n+1)/2-1]}, {p99, all[(n*99+99)/100-1]}} {
				if off := (c.got - c.want).Abs(); off > c.want/16+time.Microsecond {
					t.Errorf("%d up to %v: %v, want %v", n, scale, c.got, c.want)
				}
			}
		}
	}
	if p50, p99 := l.take(); p50 != 0 || p99 != 0 {
		t.Error("it does not begin anew", p50, p99)
	}
	l.add(-time.Second)
	if p50, _ := l.take(); p50 > time.Microsecond {
		t.Error(p50)
	}
	l.add(time.Hour)
	if p50, _ := l.take(); p50 < 120*time.Second || p50 > 135*time.Second {
		t.Error(p50)
	}
}

// Every bucket follows on the one before.
func TestBuckets(t *testing.T) {
	for last, n := 0, uint64(0); n <= longestLatency; n += 1 + n/100 {
		b := bucketOf(n)
		if b != last && b != last+1 || b >= latencyBuckets {
			t.Fatalf("%d µs: bucket %d after %d", n, b, last)
		}
		last = b
	}
	if b := bucketOf(math.MaxUint64); b != latencyBuckets-1 {
		t.Error(b)
	}
}

// Samples are read while they are made, and asks counted.
func TestSamplesConcurrently(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := start(t, &Config{})
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				for range 500 {
					g.history.asked(nil, time.Millisecond)
					g.Samples(time.Time{})
					time.Sleep(time.Second)
				}
			})
		}
		all.Wait()
		time.Sleep(SampleEvery + time.Second)
		g.stop()
		var asks int64
		for _, s := range g.Samples(time.Time{}) {
			asks += s.Asks
		}
		if asks != 2000 {
			t.Error(asks)
		}
	})
}
