package longwire_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// here makes sure that a peer's connection has been accepted.
func (p *peer) here() {
	p.t.Helper()
	p.sendFrame(1, "here")
	p.wantFrame(1)
}

// wantGone reads the end of the stream, or that the connection was reset.
func (p *peer) wantGone() {
	p.t.Helper()
	if f, err := p.r.Next(); err == nil {
		p.t.Fatalf("frame %v %.80q; want the end of the connection", f.Type, f.Data)
	}
}

// Faults row 23.
func TestTooManyConnections(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{Conns: 10}}})
		var in []*peer
		for range 10 {
			p := b.peer()
			p.here()
			in = append(in, p)
		}
		for range 5 {
			b.peer().wantGone()
		}
		b.wantClosed(longwire.ReasonTooMany, 5)
		if lines := b.log.lines("too_many", "10 connections"); len(lines) == 0 {
			t.Error("the log does not say why")
		}
		for _, p := range in {
			p.here()
		}
		in[0].nc.Close()
		b.wantClosed(longwire.ReasonPeerClosed, 1)
		for { // it is over, and its place is free a moment later
			p := b.peer()
			p.send(wire(1, "here"))
			if _, err := p.r.Next(); err == nil {
				break
			}
		}
	})
}

// from returns the same, reached over TCP from another address of this machine.
func (b *bench) from(ip string) *bench {
	c := *b
	c.net.dial = (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(ip)}}).DialContext
	return &c
}

func TestTooManyConnectionsFromOneAddress(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs more than one address of its own")
	}
	for _, portable := range []bool{false, true} {
		n := tcp()
		n.portable = portable
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{ConnsPerAddr: 3}}})
		from := func(ip string) *peer { return b.from(ip).peer() }
		for range 3 {
			from("127.0.0.1").here()
		}
		from("127.0.0.1").wantGone()
		from("127.0.0.2").here()
		b.wantClosed(longwire.ReasonTooMany, 1)
	}
}

// What is in force can be asked for before and while the server serves.
func TestLimitsInForce(t *testing.T) {
	s := &longwire.Server{Config: &longwire.Config{Limits: longwire.Limits{Conns: 10, Unsent: -1}}}
	if l := s.Limits(); l.Conns != 10 || l.Unsent != math.MaxInt || l.Strangers != 1000 || l.Waiting <= 0 || l.Waiting > 256<<20 || l.Handlers != 0 {
		t.Errorf("%+v", l)
	}
	s = &longwire.Server{Config: &longwire.Config{MaxFrame: 1}}
	if l := s.Limits(); l != (longwire.Limits{}) {
		t.Errorf("%+v", l)
	}
}

// A connection that one limit has refused is not taken off the other's count.
func TestLimitsOfConnectionsTogether(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("needs more than one address of its own")
	}
	b := serve(t, tcp(), &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{Conns: 3, ConnsPerAddr: 2}}})
	from := func(ip string) *peer { return b.from(ip).peer() }
	from("127.0.0.1").here()
	from("127.0.0.1").here()
	other := from("127.0.0.2")
	other.here()
	from("127.0.0.1").wantGone()
	from("127.0.0.1").wantGone()
	other.nc.Close()
	b.wantClosed(longwire.ReasonPeerClosed, 1)
	for { // until its place is free
		p := from("127.0.0.2")
		p.send(wire(1, "here"))
		if _, err := p.r.Next(); err == nil {
			p.nc.Close()
			break
		}
	}
	b.wantClosed(longwire.ReasonPeerClosed, 2)
	for range 20 {
		p := from("127.0.0.1")
		p.nc.Write(wire(1, "here"))
		if _, err := p.r.Next(); err == nil {
			t.Fatal("a third connection from one address")
		}
	}
}

// Faults row 17: peers that never log in hold up those who want to for a second or two,
// and those who have not at all.
func TestTooManyStrangers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{
			Handler: echo,
			Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
				_, err := c.Receive(ctx)
				return nil, err
			},
			Config: &longwire.Config{Limits: longwire.Limits{Strangers: 5}},
		})
		login := func() *peer {
			p := b.peer()
			p.sendFrame(1, question("login", "1"))
			p.wantAnswer(1, "login", "200")
			return p
		}
		before := login()
		for round := range 10 {
			for range 5 {
				b.peer()
			}
			start := time.Now()
			login()
			if d := time.Since(start); d > 2*time.Second {
				t.Errorf("round %d: logged in after %v", round, d)
			}
			start = time.Now()
			before.here()
			if d := time.Since(start); d > 0 {
				t.Errorf("an admitted peer was answered after %v", d)
			}
		}
		if b.srv.Stats().Closed[longwire.ReasonTooMany] == 0 {
			t.Error("nobody made room")
		}
	})
}

// One place that is used by one after another is not room enough for all: those that say
// nothing do not keep the others for that.
func TestTooManyStrangersButOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const strangers, honest = 50, 16
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{
			Handler: echo,
			Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
				_, err := c.Receive(ctx)
				time.Sleep(500 * time.Millisecond) // who it is takes a while to find out
				return nil, err
			},
			Config: &longwire.Config{Limits: longwire.Limits{Strangers: strangers}},
		})
		for range strangers - 1 {
			b.peer()
		}
		start := time.Now()
		var wg sync.WaitGroup
		for range honest {
			p := b.peer()
			wg.Go(func() {
				p.sendFrame(1, question("login", "1"))
				p.wantAnswer(1, "login", "200")
			})
		}
		wg.Wait()
		if d := time.Since(start); d > 2500*time.Millisecond {
			t.Errorf("the last of %d was in after %v", honest, d)
		}
		b.wantClosed(longwire.ReasonTooMany, strangers-1)
	})
}

// Faults row 26: a storm is let in at the rate that was set, and nobody is lost.
func TestAcceptRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{
			Handler: echo,
			Config:  &longwire.Config{Limits: longwire.Limits{AcceptRate: 100}},
		})
		start := time.Now()
		var wg sync.WaitGroup
		for range 500 {
			p := b.peer()
			wg.Go(p.here)
		}
		wg.Wait()
		if d := time.Since(start); d < 4500*time.Millisecond || d > 5500*time.Millisecond {
			t.Errorf("500 connections at 100 per second took %v", d)
		}
	})
}

// However many listeners a server has, it accepts no faster.
func TestAcceptRateOfTwoListeners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := &longwiretest.Network{}
		b := serve(t, memory(n), &longwire.Server{
			Handler: echo,
			Config:  &longwire.Config{Limits: longwire.Limits{AcceptRate: 100}},
		})
		second, err := n.Listen("server:2")
		if err != nil {
			t.Fatal(err)
		}
		go b.srv.Serve(second)
		other := *b
		other.addr = "server:2"
		start := time.Now()
		var wg sync.WaitGroup
		for range 250 {
			wg.Go(b.peer().here)
			wg.Go(other.peer().here)
		}
		wg.Wait()
		if d := time.Since(start); d < 4500*time.Millisecond || d > 5500*time.Millisecond {
			t.Errorf("500 connections at 100 per second took %v", d)
		}
	})
}

func TestTooManyQuestions(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{Questions: 3}}})
		p := b.peer()
		p.here()
		c := b.only()
		ctx, cancel := context.WithCancel(t.Context())
		asked := make(chan error)
		for i := range 3 {
			go func() { asked <- c.Ask(ctx, 2, i, nil) }()
		}
		for range 3 {
			p.wantFrame(2)
		}
		if err := c.Ask(ctx, 2, "one more", nil); !errors.Is(err, longwire.ErrTooManyQuestions) {
			t.Errorf("a fourth: %v", err)
		}
		if err := c.AskByType(ctx, 2, "one more", nil); !errors.Is(err, longwire.ErrTooManyQuestions) {
			t.Errorf("a fourth, by type: %v", err)
		}
		cancel()
		for range 3 {
			if err := <-asked; !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
		}
		p.here()
	})
}

// Questions by type that wait for their turn have a place among the others.
func TestTooManyQuestionsByType(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Config: &longwire.Config{Limits: longwire.Limits{Questions: 3}}})
		p := b.peer()
		c := b.only()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		asked := make(chan error)
		for _, ctx := range []context.Context{t.Context(), t.Context(), ctx} {
			go func() { asked <- c.AskByType(ctx, 5, nil, nil) }()
			synctest.Wait()
		}
		wantFull := func(when string) {
			t.Helper()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			if err := c.AskByType(ctx, 5, nil, nil); !errors.Is(err, longwire.ErrTooManyQuestions) {
				t.Errorf("%s: one more of the type: %v", when, err)
			}
			if err := c.Ask(ctx, 6, nil, nil); !errors.Is(err, longwire.ErrTooManyQuestions) {
				t.Errorf("%s: one more with a key: %v", when, err)
			}
		}
		wantFull("one is asked, two wait")
		if err := <-asked; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the one that waits for a second: %v", err)
		}
		go func() { asked <- c.Ask(t.Context(), 6, nil, nil) }()
		synctest.Wait()
		wantFull("one has left, and one with a key has come")
		p.wantFrame(5)
		p.sendFrame(6, answer(p.wantQuestion(6, "null"), "200", "null"))
		p.sendFrame(5, "fine")
		p.wantFrame(5) // of the one that had to wait
		p.sendFrame(5, "fine")
		for range 3 {
			if err := <-asked; err != nil {
				t.Error(err)
			}
		}
	})
}

// Faults row 54.
func TestHandlersAreLimited(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		var now, most atomic.Int64
		b := serve(t, n, &longwire.Server{
			Config: &longwire.Config{Limits: longwire.Limits{Handlers: 3}},
			Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
				defer now.Add(-1)
				for n := now.Add(1); ; {
					if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
						break
					}
				}
				time.Sleep(time.Millisecond) // the handler's, not the test's
				if string(m.Data) == "3" {
					panic("and its place is free again")
				}
				return longwire.Raw(m.Data), nil
			})})
		var wg sync.WaitGroup
		for i := range 20 {
			p := b.peer()
			wg.Go(func() {
				for range 3 {
					p.nc.Write(wire(1, fmt.Sprint(i)))
					if _, err := p.r.Next(); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		if most.Load() > 3 {
			t.Errorf("%d ran at a time", most.Load())
		}
	})
}

// Faults row 5: peers that begin large frames and stall end when together they hold too
// much, those with the most first; one that has little is none of them.
func TestTooMuchIsUnfinished(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("megabytes")
		}
		const limit = 1 << 20
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{Unfinished: limit}}})
		honest := b.peer()
		honest.here()
		frame := wire(1, "an honest frame that comes in two pieces")
		honest.send(frame[:20])
		const attackers, each = 40, 100 << 10
		for range attackers {
			p := b.peer()
			p.nc.Write(wire(1, string(make([]byte, 1<<20-8)))[:each]) // it may be over already
			if held := b.srv.Stats().Unfinished; held > limit+each {
				t.Fatalf("%d bytes of unfinished frames", held)
			}
		}
		for b.srv.Stats().Closed[longwire.ReasonOverload] < attackers-limit/each {
			time.Sleep(time.Millisecond) // a poll
		}
		honest.send(frame[20:])
		honest.wantFrame(1)
		if n := b.srv.Stats().Closed[longwire.ReasonOverload]; n > attackers-limit/each*8/10 {
			t.Errorf("%d of %d ended, though %d have room", n, attackers, limit/each)
		}
	})
}

// Faults row 30.
func TestTooMuchIsUnsent(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("megabytes")
		}
		const limit = 8 << 20
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{MaxOutbox: 4 << 20, Limits: longwire.Limits{Unsent: limit}}})
		honest := b.peer()
		honest.here()
		good := b.only()
		const deaf = 20
		for range deaf {
			b.peer().here()
		}
		for range 100 {
			for c := range b.srv.Conns() {
				full, cancel := context.WithCancel(t.Context())
				cancel() // where there is no room it does not wait
				c.Push(full, 7, longwire.Raw(make([]byte, 200<<10)))
			}
			if unsent := b.srv.Stats().Unsent; unsent > limit+1<<20 {
				t.Fatalf("%d bytes are unsent", unsent)
			}
			honest.wantFrame(7)
		}
		if n := b.srv.Stats().Closed[longwire.ReasonOverload]; n == 0 || n == deaf {
			t.Errorf("%d of %d that do not read have ended", n, deaf)
		}
		if err := good.Err(); err != nil {
			t.Errorf("the one that reads: %v", err)
		}
	})
}

// The frames of a broadcast are in memory once, whoever has not read them yet: nobody ends because
// many get one that is large.
func TestBroadcastIsUnsentOnce(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("megabytes")
		}
		const limit, size, peers, frames = 8 << 20, 1 << 20, 12, 4
		b := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{MaxOutbox: 8 << 20, Limits: longwire.Limits{Unsent: limit}}})
		var all []*peer
		for range peers {
			p := b.peer()
			p.here()
			all = append(all, p)
		}
		for range frames {
			if queued, err := longwire.Broadcast(b.srv.Conns(), 7, longwire.Raw(make([]byte, size-8))); queued != peers || err != nil {
				t.Fatalf("for %d of %d, %v", queued, peers, err)
			}
		}
		if unsent := b.srv.Stats().Unsent; unsent > limit {
			t.Errorf("%d bytes are unsent", unsent)
		}
		for _, p := range all {
			for range frames {
				p.wantFrame(7)
			}
		}
		if closed := b.srv.Stats().Closed; len(closed) > 0 {
			t.Errorf("over: %v", closed)
		}
	})
}

// Messages for handlers that do not come back are left with their senders when all
// connections together have too many; nothing is lost.
func TestTooMuchIsWaiting(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("megabytes")
		}
		const limit, peers, frames, size = 1 << 20, 40, 100, 2000
		release := make(chan struct{})
		mux := &longwire.Mux{Fallback: echo}
		mux.HandleFunc(2, func(context.Context, *longwire.Message) (any, error) {
			<-release
			return longwire.Raw("done"), nil
		})
		b := serve(t, n, &longwire.Server{Handler: mux, Config: &longwire.Config{Limits: longwire.Limits{Waiting: limit}}})
		honest := b.peer()
		honest.here()
		var wg sync.WaitGroup
		for range peers {
			p := b.peer()
			p.sendFrame(2, "and wait")
			wg.Go(func() {
				go func() {
					for range frames {
						p.nc.Write(wire(3, string(make([]byte, size))))
					}
				}()
				for i := range frames + 1 {
					if _, err := p.r.Next(); err != nil {
						t.Errorf("answer %d: %v", i, err)
						return
					}
				}
			})
		}
		for b.srv.Stats().Waiting < limit {
			time.Sleep(time.Millisecond) // a poll
		}
		for range 100 {
			honest.here()
			// Two of each may be too much: one that was let in as others were, and one behind
			// those that have been taken to be handled.
			if waiting := b.srv.Stats().Waiting; waiting > limit+2*peers*(size+100) {
				t.Fatalf("%d bytes wait", waiting)
			}
		}
		close(release)
		wg.Wait()
		for range 10_000 {
			if b.srv.Stats().Waiting == 0 {
				break
			}
			time.Sleep(time.Millisecond) // a poll: the last answer goes out before its message is forgotten
		}
		if waiting := b.srv.Stats().Waiting; waiting != 0 {
			t.Errorf("%d bytes wait for nothing", waiting)
		}
	})
}

// Messages that were taken together and stand behind one that is being handled wait too:
// peers that send one after another hold no more than those that send at once.
func TestTooMuchIsWaitingBehindHandlers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit, peers, frames, size, buffer = 1 << 20, 30, 900, 1000, 1 << 10
		var held, most atomic.Int64
		slow := longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			time.Sleep(100 * time.Millisecond)
			held.Add(-int64(len(m.Data)))
			return longwire.NoAnswer, nil
		})
		b := serve(t, memory(&longwiretest.Network{BufferSize: buffer}), &longwire.Server{
			Handler: slow,
			Config:  &longwire.Config{Limits: longwire.Limits{Waiting: limit}},
		})
		for range peers {
			p := b.peer()
			go func() {
				for range frames {
					if _, err := p.nc.Write(wire(1, string(make([]byte, size)))); err != nil {
						return // at the end of the test
					}
					most.Store(max(most.Load(), held.Add(size)))
				}
			}()
			time.Sleep(200 * time.Millisecond) // its handler has come back once
		}
		if b.srv.Stats().Waiting < limit/2 {
			t.Errorf("only %d bytes wait", b.srv.Stats().Waiting)
		}
		if most := most.Load(); most > limit+peers*(80<<10) { // what is read ahead of each is not counted here
			t.Errorf("%d bytes were taken and not handled, of all there may be %d", most, limit)
		}
	})
}
