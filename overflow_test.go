package longwire_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

// stalled starts a server in fake time, and returns its connection to a peer that has
// not read anything yet.
func stalled(t *testing.T, conf *longwire.Config) (*bench, *longwire.Conn, *slowReader) {
	b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}), &longwire.Server{Handler: ok, Config: conf})
	p := b.peer()
	p.nc.SetReadDeadline(time.Time{})
	synctest.Wait()
	return b, b.only(), &slowReader{peer: p}
}

// A slowReader is a peer that reads what there is when it likes to, in fake time.
type slowReader struct {
	*peer
	rest []byte // of a frame
}

// readAll reads until nothing has come for a moment.
func (p *slowReader) readAll() (frames []frame.Frame) {
	p.t.Helper()
	for buf := make([]byte, 10_000); ; {
		p.nc.SetReadDeadline(time.Now().Add(time.Millisecond)) // nothing else goes on then
		n, err := p.nc.Read(buf)
		p.rest = append(p.rest, buf[:n]...)
		if err != nil {
			break
		}
	}
	for {
		f, n, err := frame.Default.Parse(p.rest, 1<<20)
		if err != nil {
			return frames
		}
		p.rest = p.rest[n:]
		frames = append(frames, f)
	}
}

// readNumbers does the same and returns the numbers of the messages by type.
func (p *slowReader) readNumbers() map[longwire.Type][]int {
	p.t.Helper()
	got := make(map[longwire.Type][]int)
	for _, f := range p.readAll() {
		got[f.Type] = append(got[f.Type], number(p.t, f.Data))
	}
	return got
}

// numbered returns a message of 1,000 bytes that begins with its number.
func numbered(i int) longwire.Raw {
	return longwire.Raw(fmt.Sprintf("%03d%s", i, strings.Repeat(".", 997)))
}

func number(t testing.TB, data []byte) int {
	n, err := strconv.Atoi(string(data[:3]))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func TestOverflow(t *testing.T) {
	const pushes = 100
	ends := func(n []int) bool { return n[len(n)-1] == pushes-1 }
	for _, test := range []struct {
		how  longwire.Overflow
		want func(got []int) bool
		err  error // of the last push
	}{
		{longwire.OverflowDropNewest, func(n []int) bool { return len(n) > 14 && len(n) < 20 && n[12] == 12 }, longwire.ErrDropped},
		{longwire.OverflowDropOldest, func(n []int) bool { return len(n) > 12 && len(n) < 20 && ends(n) && n[len(n)-7] == pushes-7 }, nil},
		{longwire.OverflowLatest, func(n []int) bool { return len(n) > 0 && len(n) < 4 && ends(n) }, nil},
	} {
		synctest.Test(t, func(t *testing.T) {
			b, c, p := stalled(t, &longwire.Config{MaxOutbox: 16 << 10, Overflow: map[longwire.Type]longwire.Overflow{7: test.how}})
			began := time.Now()
			var err error
			for i := range pushes {
				if err = c.Push(t.Context(), 7, numbered(i)); err != nil && !errors.Is(err, longwire.ErrDropped) {
					t.Fatal(err)
				}
				synctest.Wait() // what can be written is, so that there is room for no more
			}
			if time.Since(began) != 0 || !errors.Is(err, test.err) {
				t.Errorf("%v: the last push took %v and returned %v, want %v at once", test.how, time.Since(began), err, test.err)
			}
			got := p.readNumbers()[7]
			if !slices.IsSorted(got) || !test.want(got) {
				t.Errorf("%v: the peer got %v", test.how, got)
			}
			if n := b.srv.Stats().Dropped; int(n) != pushes-len(got) {
				t.Errorf("%v: %d counted as dropped, and %d arrived of %d", test.how, n, len(got), pushes)
			}
			if err := c.Push(t.Context(), 7, numbered(5)); err != nil { // there is room again
				t.Error(err)
			}
			if got := p.readNumbers()[7]; !slices.Equal(got, []int{5}) {
				t.Errorf("%v: then it got %v", test.how, got)
			}
		})
	}
}

func TestOverflowCloses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, c, p := stalled(t, &longwire.Config{MaxOutbox: 16 << 10, Overflow: map[longwire.Type]longwire.Overflow{7: longwire.OverflowClose}})
		var err error
		n := 0
		for ; err == nil; n++ {
			err = c.Push(t.Context(), 7, numbered(n))
		}
		if e, is := errors.AsType[*longwire.CloseError](err); !is || e.Reason != longwire.ReasonOverflow || n < 15 || n > 20 {
			t.Errorf("%d pushes, then %v", n, err)
		}
		b.wantClosed(longwire.ReasonOverflow, 1)
		if len(b.log.lines("overflow", "0x0007")) != 1 {
			t.Error("no line in the log says so")
		}
		p.readAll()
	})
}

// What is not pushed is not dropped.
func TestOverflowKeepsQuestionsAndAnswers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		all := map[longwire.Type]longwire.Overflow{7: longwire.OverflowDropNewest, 8: longwire.OverflowLatest, 9: longwire.OverflowDropOldest}
		b, c, p := stalled(t, &longwire.Config{MaxOutbox: 4 << 10, Overflow: all})
		for i := range 20 {
			for typ := range all {
				c.Push(t.Context(), typ, numbered(i))
			}
		}
		for typ := range all {
			p.sendFrame(typ, question("q", "1"))
			go c.Ask(t.Context(), typ, "?", nil)
		}
		synctest.Wait()
		questions, answers := 0, 0
		for _, f := range p.readAll() {
			switch {
			case strings.Contains(string(f.Data), `"status"`):
				answers++
			case strings.Contains(string(f.Data), `"?"`):
				questions++
			}
		}
		if questions != len(all) || answers != len(all) {
			t.Errorf("%d questions and %d answers arrived, want %d each", questions, answers, len(all))
		}
		b.srv.Close()
	})
}

// Whatever is pushed, and however it is read: what arrives of a type is in order, the
// last of a type that keeps the latest arrives, nothing that waits for room is lost, and
// every message has arrived or is counted as dropped.
func TestOverflowOfMixedTypes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		plan := rapid.SliceOfN(rapid.IntRange(0, 5), 1, 200).Draw(rt, "plan")
		limit := rapid.IntRange(1000, 20_000).Draw(rt, "limit")
		synctest.Test(t, func(t *testing.T) {
			b, c, p := stalled(t, &longwire.Config{MaxOutbox: limit, WriteTimeout: -1, Overflow: map[longwire.Type]longwire.Overflow{
				1: longwire.OverflowDropNewest, 2: longwire.OverflowDropOldest, 3: longwire.OverflowLatest, 4: longwire.OverflowLatest}})
			pushed, arrived, last := make(map[longwire.Type]int), make(map[longwire.Type]int), make(map[longwire.Type]int)
			read := func() {
				for typ, numbers := range p.readNumbers() {
					for _, n := range numbers {
						if n < last[typ] {
							t.Errorf("%d of type %v arrived after %d", n, typ, last[typ])
						}
						last[typ] = n
						arrived[typ]++
					}
				}
			}
			for i, what := range plan {
				if what == 5 {
					read()
					continue
				}
				typ := longwire.Type(what)
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				err := c.Push(ctx, typ, numbered(i))
				cancel()
				switch {
				case err == nil && typ == 0:
					pushed[typ]++
				case typ == 0 && errors.Is(err, context.DeadlineExceeded):
				case err == nil || errors.Is(err, longwire.ErrDropped):
					pushed[typ]++
				default:
					t.Errorf("push of type %v: %v", typ, err)
				}
			}
			latest := make(map[longwire.Type]int)
			for i, what := range plan {
				latest[longwire.Type(what)] = i
			}
			read()
			all, there := 0, 0
			for typ, n := range pushed {
				all, there = all+n, there+arrived[typ]
				if (typ == 3 || typ == 4) && last[typ] != latest[typ] {
					t.Errorf("the last of type %v that arrived is %d, want %d", typ, last[typ], latest[typ])
				}
			}
			if dropped := int(b.srv.Stats().Dropped); arrived[0] != pushed[0] || there+dropped != all {
				t.Errorf("%d pushed, %d arrived, %d dropped (%v of %v)", all, there, dropped, arrived, pushed)
			}
			if c.Err() != nil {
				t.Error(c.Err())
			}
		})
	})
}

func TestBroadcastOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b, _, p := stalled(t, &longwire.Config{MaxOutbox: 16 << 10, Overflow: map[longwire.Type]longwire.Overflow{7: longwire.OverflowLatest}})
		for i := range 50 {
			for _, typ := range []longwire.Type{6, 7} {
				queued, err := longwire.Broadcast(b.srv.Conns(), typ, numbered(i))
				if err != nil || typ == 7 && queued != 1 {
					t.Fatalf("type %v: queued on %d connections, %v", typ, queued, err)
				}
			}
		}
		for queued := 1; queued > 0; { // what room the writing goroutine has made before it came to a halt
			synctest.Wait()
			queued, _ = longwire.Broadcast(b.srv.Conns(), 6, numbered(50))
		}
		for c, err := range longwire.BroadcastEach(b.srv.Conns(), 6, numbered(50)) {
			if c == nil || !errors.Is(err, longwire.ErrDropped) {
				t.Errorf("%v: %v, want %v", c, err, longwire.ErrDropped)
			}
		}
		got := p.readNumbers()
		if n := got[6]; len(n) < 14 || len(n) > 20 || n[12] != 12 {
			t.Errorf("of the type that waits arrived %v", n)
		}
		if n := got[7]; len(n) > 4 || n[len(n)-1] != 49 {
			t.Errorf("of the type that keeps the latest arrived %v", n)
		}
	})
}

func TestMaxOutboxFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, c, p := stalled(t, &longwire.Config{MaxOutboxFrames: 10, Overflow: map[longwire.Type]longwire.Overflow{7: longwire.OverflowDropNewest}})
		queued := 0
		for i := range 50 {
			if c.Push(t.Context(), 7, numbered(i)) == nil {
				queued++
			}
		}
		if got := p.readNumbers()[7]; len(got) != queued || queued < 10 || queued > 13 {
			t.Errorf("%d queued, %d arrived, want 10 and what was being written", queued, len(got))
		}
	})
}

// A peer that reads, but so slowly that much waits for it all the time, is given up; one
// that catches up now and then is not.
func TestSoftOutbox(t *testing.T) {
	for _, catchesUp := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			b, c, p := stalled(t, &longwire.Config{SoftOutbox: 128 << 10, SoftOutboxTime: 20 * time.Second, WriteTimeout: -1})
			began := time.Now()
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				time.Sleep(300 * time.Millisecond) // after the server has looked
				for range 60 {
					for i := range 40 {
						c.Push(t.Context(), 7, numbered(i))
					}
					time.Sleep(time.Second)
				}
			}()
			time.Sleep(600 * time.Millisecond)
			for i := range 50 {
				n := int64(100)
				if catchesUp && i%15 == 14 {
					n = 40 * 15 * 1008
				}
				if _, err := io.CopyN(io.Discard, p.nc, n); err != nil {
					break
				}
				time.Sleep(time.Second)
			}
			<-ended
			over := b.srv.Stats().Closed[longwire.ReasonOverflow]
			if catchesUp {
				if over != 0 || c.Err() != nil {
					t.Errorf("a peer that catches up: %v", c.Err())
				}
				return
			}
			last := b.srv.Ended()
			if over != 1 || len(last) != 1 {
				t.Fatalf("closed: %v", b.srv.Stats().Closed)
			}
			if after := last[0].End.Sub(began); after < 20*time.Second || after > 26*time.Second {
				t.Errorf("given up after %v, want 20 s", after)
			}
		})
	}
}

// A large frame on a slow link arrives, when the link is not slower than it may be.
func TestMinRate(t *testing.T) {
	for _, test := range []struct {
		perSecond int
		minRate   int
		want      time.Duration // until it is closed; 0: the frame arrives
	}{
		{17 << 10, 0, 0},
		{8 << 10, 0, 20 * time.Second}, // 10 s and one for each 16 KiB: 160 KiB
		{17 << 10, -1, 10 * time.Second},
		{64 << 10, -1, 10 * time.Second},
		{8 << 10, 4 << 10, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok, Config: &longwire.Config{MinRate: test.minRate}})
			p := b.peer()
			p.nc.SetReadDeadline(time.Time{})
			began := time.Now()
			var sender sync.WaitGroup
			defer sender.Wait()
			defer p.nc.Close()
			sender.Go(func() {
				rest := wire(1, strings.Repeat("x", 1<<20-8))
				for len(rest) > 0 {
					n := min(len(rest), test.perSecond/10)
					if _, err := p.nc.Write(rest[:n]); err != nil {
						return
					}
					rest = rest[n:]
					time.Sleep(time.Second / 10)
				}
			})
			_, err := p.r.Next()
			took := time.Since(began)
			switch {
			case test.want == 0 && err != nil:
				t.Errorf("%d bytes per second, at least %d: %v after %v", test.perSecond, test.minRate, err, took)
			case test.want != 0 && (err == nil || took < test.want-time.Second || took > test.want+2500*time.Millisecond):
				t.Errorf("%d bytes per second, at least %d: %v after %v, want the end after %v", test.perSecond, test.minRate, err, took, test.want)
			}
		})
	}
}
