package longwire_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"runtime"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// Faults row 11: a peer that sends more than it may is read more slowly, loses nothing
// and delays nobody.
func TestRates(t *testing.T) {
	for name, limits := range map[string]longwire.Limits{
		"frames": {FrameRate: 100},
		"bytes":  {ByteRate: 100 * 108},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}), &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: limits}})
				flood, other := b.peer(), b.peer()
				const frames = 1000
				go func() {
					for i := range frames {
						flood.nc.Write(wire(1, fmt.Sprintf("%0100d", i)))
					}
				}()
				start := time.Now()
				for i := range frames {
					if got := flood.wantFrame(1); got != fmt.Sprintf("%0100d", i) {
						t.Fatalf("frame %d: %s", i, got)
					}
					if i%200 == 0 {
						start := time.Now()
						other.here()
						if d := time.Since(start); d > 0 {
							t.Errorf("the other peer was answered after %v", d)
						}
					}
				}
				if d := time.Since(start); d < 7*time.Second || d > 11*time.Second {
					t.Errorf("1,000 frames at 100 per second took %v", d)
				}
			})
		})
	}
}

// The same with the driver for Linux, which has another way to pause.
func TestRatesOverTCP(t *testing.T) {
	b := serve(t, tcp(), &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{FrameRate: 50}}})
	p := b.peer()
	var frames []byte
	const number = 120
	for i := range number {
		frames = append(frames, wire(1, fmt.Sprint(i))...)
	}
	p.send(frames)
	p.closeWrite()
	start := time.Now()
	for i := range number {
		if got := p.wantFrame(1); got != fmt.Sprint(i) {
			t.Fatalf("frame %d: %s", i, got)
		}
	}
	p.wantEnd()
	if d := time.Since(start); d < time.Second {
		t.Errorf("%d frames at 50 per second took only %v", number, d)
	}
}

// What peers over their rate have sent ahead is no unfinished frame: they are slowed down, and
// none of them ends, however many they are.
func TestManyAreOverTheirRate(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		const peers, rate = 40, 10
		flood, unfinished := bytes.Repeat(wire(1, string(make([]byte, 100))), 1000), 1<<20
		if n.slow {
			flood, unfinished = flood[:len(flood)/10], unfinished/10
		}
		for name, limits := range map[string]longwire.Limits{
			"frames": {FrameRate: rate, Unfinished: unfinished},
			"bytes":  {ByteRate: rate * 108, Unfinished: unfinished},
		} {
			t.Run(name, func(t *testing.T) {
				b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: limits}})
				began := time.Now()
				var wg sync.WaitGroup
				for range peers {
					p := b.peer()
					go p.nc.Write(flood)
					wg.Go(func() {
						for i := range rate + 1 { // until it has been slowed down
							if _, err := p.r.Next(); err != nil {
								t.Errorf("answer %d: %v", i, err)
								return
							}
						}
					})
				}
				wg.Wait()
				stats := b.srv.Stats()
				if seconds := int64(time.Since(began)/time.Second) + 3; stats.FramesIn > peers*rate*seconds { // begun, and a look that is late
					t.Errorf("%d frames of %d peers in less than %d seconds", stats.FramesIn, peers, seconds)
				}
				if len(stats.Closed) > 0 {
					t.Errorf("over: %v", stats.Closed)
				}
			})
		}
	})
}

// What is read ahead of peers over their rate is bounded: what they send stays with them.
func TestMemoryOfPeersOverTheirRate(t *testing.T) {
	for _, portable := range []bool{false, true} {
		n := tcp()
		n.portable = portable
		const peers, budget = 300, 1 << 20
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{FrameRate: 1, Unfinished: budget}}})
		var all []*peer
		for range peers {
			p := b.peer()
			p.here()
			all = append(all, p)
		}
		flood := bytes.Repeat(wire(1, string(make([]byte, 100))), 10_000)
		used := func() uint64 {
			runtime.GC()
			runtime.GC() // what pools keep is gone with the second
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := used()
		for _, p := range all {
			go p.nc.Write(flood)
		}
		for _, p := range all {
			for range 2 {
				p.wantFrame(1)
			}
		}
		grown := int64(used()) - int64(before)
		if grown > 2*budget+peers*(8<<10) {
			t.Errorf("%d peers that send ahead hold %d bytes, with a budget of %d (portable: %v)", peers, grown, budget, portable)
		}
		if closed := b.srv.Stats().Closed; len(closed) > 0 {
			t.Errorf("over: %v", closed)
		}
	}
}

// A frame that waits behind others until the next second, and the next, is not late, but one
// that is never completed is, once all before it have been taken.
func TestFrameOfAPeerOverItsRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo, Config: &longwire.Config{
			FrameTimeout: 2 * time.Second, Limits: longwire.Limits{FrameRate: 1}}})
		p := b.peer()
		last := wire(1, "the last")
		p.send(append(bytes.Repeat(wire(1, "one of many"), 30), last[:10]...))
		for range 30 {
			p.wantFrame(1)
		}
		p.send(last[10:])
		p.wantFrame(1)
		p.send(append(bytes.Repeat(wire(1, "one of many"), 30), last[:10]...))
		for range 30 {
			p.wantFrame(1)
		}
		began := time.Now()
		p.wantGone()
		if d := time.Since(began); d < 2*time.Second || d > 4*time.Second {
			t.Errorf("gone after %v", d)
		}
		b.wantClosed(longwire.ReasonFrameTimeout, 1)
	})
}

// A peer over its rate that answers pings is not given up when all that it has sent is taken:
// nobody has listened to it for longer than it may be silent.
func TestPeerOverItsRateIsNotSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{FrameRate: 1}}})
		p := b.peer()
		p.nc.SetReadDeadline(time.Time{})
		p.sendFrame(longwire.TypePing, "")
		p.wantFrame(longwire.TypePing)
		const number = 200
		p.send(bytes.Repeat(wire(1, "one of many"), number))
		for answers, pings := 0, 0; answers < number || pings < 3; {
			f, err := p.r.Next()
			if err != nil {
				t.Fatalf("after %d answers and %d pings: %v", answers, pings, err)
			}
			if f.Type == longwire.TypePing {
				pings++
				p.sendFrame(longwire.TypePing, "1")
			} else {
				answers++
			}
		}
	})
}

// A frame that has begun is unfinished also when reading pauses before it ends: peers cannot
// hide large ones that way.
func TestBegunFrameCountsWhileReadingPauses(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		const part, most = 10_000, 5000
		began, release := make(chan struct{}), make(chan struct{})
		mux := &longwire.Mux{Fallback: echo}
		mux.HandleFunc(2, func(context.Context, *longwire.Message) (any, error) {
			began <- struct{}{}
			<-release
			return longwire.Raw("done"), nil
		})
		b := serve(t, n, &longwire.Server{Handler: mux, Config: &longwire.Config{Limits: longwire.Limits{Waiting: most}}})
		until := func(what string, is func(longwire.Stats) bool) {
			t.Helper()
			for range 10_000 {
				if is(b.srv.Stats()) {
					return
				}
				time.Sleep(time.Millisecond) // a poll
			}
			t.Fatalf("%s: %+v", what, b.srv.Stats())
		}
		p, other := b.peer(), b.peer()
		large := wire(1, string(make([]byte, 2*part)))
		p.sendFrame(2, "and wait")
		<-began
		p.sendFrame(1, "one behind it")
		until("a message waits", func(s longwire.Stats) bool { return s.Waiting > 0 })
		p.send(large[:part])
		until("a frame has begun", func(s longwire.Stats) bool { return s.Unfinished == part })
		other.sendFrame(2, "and wait")
		<-began
		other.sendFrame(1, string(make([]byte, most)))
		until("too much waits", func(s longwire.Stats) bool { return s.Waiting >= most })
		before := b.srv.Stats().BytesIn
		p.send(large[part : part+1])
		until("more of it is here", func(s longwire.Stats) bool { return s.BytesIn > before })
		if held := b.srv.Stats().Unfinished; held < part {
			t.Errorf("%d bytes are unfinished, want %d", held, part)
		}
		close(release)
		p.send(large[part+1:])
		for _, typ := range []longwire.Type{2, 1, 1} {
			p.wantFrame(typ)
		}
	})
}

// A frame may be larger than ByteRate: then nothing is read for longer than a second.
func TestByteRateOfLargeFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const rate, size, seconds = 10 << 10, 50 << 10, 100
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}), &longwire.Server{Handler: ok, Config: &longwire.Config{Limits: longwire.Limits{ByteRate: rate}}})
		p := b.peer()
		go func() {
			large := wire(1, string(make([]byte, size)))
			for err := error(nil); err == nil; {
				_, err = p.nc.Write(large)
			}
		}()
		go io.Copy(io.Discard, p.nc)
		time.Sleep(seconds * time.Second)
		stats := b.srv.Stats()
		if n := stats.FramesIn * size / seconds; n > rate*12/10 || n < rate*8/10 {
			t.Errorf("%d bytes per second, want %d", n, rate)
		}
		if len(stats.Closed) > 0 {
			t.Errorf("over: %v", stats.Closed)
		}
	})
}
