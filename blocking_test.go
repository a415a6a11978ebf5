package longwire_test

import (
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longwire/longwire"
)

// As many handlers may block at a time as there are connections, in whatever they
// wait for, and meanwhile others are answered. It is so the first time, when nobody
// knows yet that they block, and later.
func TestHandlersMayAllBlock(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		const conns, rounds = 100, 3
		var all sync.WaitGroup // in their handlers
		mux := new(longwire.Mux)
		mux.HandleFunc(1, func(_ context.Context, m *longwire.Message) (any, error) {
			all.Done()
			all.Wait()
			return longwire.Raw(m.Data), nil
		})
		mux.Register(2, echo)
		b := serve(t, n, &longwire.Server{Handler: mux})
		good := b.peer()
		var peers []*peer
		for range conns {
			peers = append(peers, b.peer())
		}
		for range rounds {
			all.Add(conns)
			for i, p := range peers {
				p.sendFrame(1, fmt.Sprint(i))
				good.sendFrame(2, "quick")
				good.wantFrame(2)
			}
			for i, p := range peers {
				if got := p.wantFrame(1); got != fmt.Sprint(i) {
					t.Fatalf("got %q, want %d", got, i)
				}
			}
		}
	})
}

// A handler that blocks in the middle of what arrived together holds back what is
// behind it on its connection, and nothing before it; the order stays.
func TestHandlerBlocksInTheMiddleOfABurst(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		release := make(chan struct{})
		mux := &longwire.Mux{Fallback: echo}
		mux.HandleFunc(2, func(_ context.Context, m *longwire.Message) (any, error) {
			<-release
			return longwire.Raw(m.Data), nil
		})
		b := serve(t, n, &longwire.Server{Handler: mux})
		p, other := b.peer(), b.peer()
		burst := func(from int) (bytes []byte) {
			for i := range 100 {
				bytes = append(bytes, wire(longwire.Type(1+(from+i)%100/50), fmt.Sprint(from+i))...)
			}
			return bytes
		}
		want := func(i int) {
			t.Helper()
			if got := p.wantFrame(longwire.Type(1 + i%100/50)); got != fmt.Sprint(i) {
				t.Fatalf("got %q, want %d", got, i)
			}
		}
		p.send(burst(0))
		for i := range 50 {
			want(i)
		}
		p.send(burst(100))
		other.sendFrame(1, "quick")
		other.wantFrame(1)
		close(release)
		for i := 50; i < 200; i++ {
			want(i)
		}
	})
}

// What a handler pushes goes between the answers before it and its own.
func TestPushesOfAHandlerKeepTheirPlace(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			if err := m.Conn().Push(ctx, 2, m.Raw(m.Data)); err != nil {
				return nil, err
			}
			return m.Raw(m.Data), nil
		})})
		p := b.peer()
		var frames []byte
		const messages = 50
		for i := range messages {
			frames = append(frames, wire(1, fmt.Sprint(i))...)
		}
		p.send(frames)
		for i := range messages {
			for _, typ := range []longwire.Type{2, 1} {
				if got := p.wantFrame(typ); got != fmt.Sprint(i) {
					t.Fatalf("type %v: got %q, want %d", typ, got, i)
				}
			}
		}
	})
}

// A handler's call that waits, for the answer of its own connection's peer or of
// another's, does not make others wait: here each question would wait for the next.
func TestHandlersAskAcross(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		const boards = 20
		var conns sync.Map // by number
		srv := &longwire.Server{Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			var number int // of the board that asks
			if err := m.Decode(&number); err != nil {
				return nil, err
			}
			next, ok := conns.Load(number + 1)
			if !ok {
				return 1, nil
			}
			var hops int
			err := next.(*longwire.Conn).Ask(ctx, 1, number+1, &hops)
			return hops + 1, err
		})}
		srv.Admit = func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			m, err := c.Receive(ctx)
			if err != nil {
				return nil, err
			}
			var number int
			err = m.Decode(&number)
			conns.Store(number, c)
			return nil, err
		}
		b := serve(t, n, srv)
		var first *longwire.Conn
		for i := range boards {
			var c *longwire.Conn
			c = b.conn(longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
				var number, hops int
				if err := m.Decode(&number); err != nil {
					return nil, err
				}
				err := c.Ask(ctx, 1, number, &hops) // and the server asks the next board
				return hops, err
			}))
			if err := c.Ask(t.Context(), 1, i, nil); err != nil {
				t.Fatal(err)
			}
			if i == 0 {
				first = c
			}
		}
		var hops int
		if err := first.Ask(t.Context(), 1, 0, &hops); err != nil || hops != boards {
			t.Errorf("%d hops, want %d; %v", hops, boards, err)
		}
	})
}

// Handlers that block now and then, in one way or another, while peers send as fast
// as they can and some hang up: every answer comes, once and in order.
func TestHandlersBlockAtRandom(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("nothing new byte by byte")
		}
		var handled atomic.Int64
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			switch i := handled.Add(1); {
			case i%97 == 0:
				time.Sleep(5 * time.Millisecond) // the handler's, not the test's
			case i%53 == 0:
				for begin := time.Now(); time.Since(begin) < 4*time.Millisecond; {
				}
			case i%31 == 0:
				panic("now and then")
			}
			return longwire.Raw(m.Data), nil
		})})
		const peers, bursts = 20, 20
		var wg sync.WaitGroup
		for range peers {
			p := b.peer()
			wg.Go(func() {
				for j := range bursts {
					var frames []byte
					for k := range 10 {
						frames = append(frames, wire(longwire.Type(k%3), question(fmt.Sprint(j, k), `1`))...)
					}
					if _, err := p.nc.Write(frames); err != nil {
						t.Error(err)
						return
					}
					for k := range 10 {
						f, err := p.r.Next()
						if err != nil || f.Type != longwire.Type(k%3) || !strings.Contains(string(f.Data), fmt.Sprintf(`%q`, fmt.Sprint(j, k))) {
							t.Errorf("burst %d, answer %d: type %v, %s, %v", j, k, f.Type, f.Data, err)
							return
						}
					}
				}
				p.nc.Close()
			})
			hasty := b.peer() // hangs up before it is answered
			wg.Go(func() {
				hasty.nc.Write(wire(1, "x"))
				hasty.nc.Close()
			})
		}
		wg.Wait()
	})
}

// Handlers that wait answer while others keep the server busy: every answer comes, once
// and in order, large ones too, and connections end in the middle of it.
func TestHandlersWaitBesideBusyOnes(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("nothing new byte by byte")
		}
		mux := &longwire.Mux{Fallback: rawEcho}
		mux.HandleFunc(1, func(_ context.Context, m *longwire.Message) (any, error) {
			time.Sleep(time.Millisecond) // the handler's, not the test's
			return longwire.Raw(m.Data), nil
		})
		mux.HandleFunc(2, func(_ context.Context, m *longwire.Message) (any, error) {
			time.Sleep(time.Millisecond)
			m.Conn().Close(longwire.ReasonClosed)
			return nil, nil
		})
		b := serve(t, n, &longwire.Server{Handler: mux})
		var busy, wg sync.WaitGroup
		defer busy.Wait()
		for range 4 {
			p := b.peer()
			defer p.nc.Close()
			busy.Go(func() {
				frames := slices.Repeat(wire(3, "as fast as it goes"), 100)
				for {
					if _, err := p.nc.Write(frames); err != nil {
						return
					}
				}
			})
			busy.Go(func() { io.Copy(io.Discard, p.nc) })
		}
		large := strings.Repeat("0123456789", 20_000)
		for i := range 12 {
			p := b.peer()
			wg.Go(func() {
				for k := range 10 {
					for part := range 3 {
						if _, err := p.nc.Write(wire(1, fmt.Sprint(3*k+part))); err != nil {
							t.Error(err)
							return
						}
					}
					for part := range 3 {
						if f, err := p.r.Next(); err != nil || string(f.Data) != fmt.Sprint(3*k+part) {
							t.Errorf("answer %d: %q, %v", 3*k+part, f.Data, err)
							return
						}
					}
				}
				switch i % 3 {
				case 0: // the peer goes in the middle of it
					p.nc.Write(wire(1, "x"))
					p.nc.Close()
				case 1:
					p.nc.Write(slices.Concat(wire(1, large), wire(2, "")))
					if f, err := p.r.Next(); err != nil || string(f.Data) != large {
						t.Errorf("%d bytes, want %d; %v", len(f.Data), len(large), err)
					}
					if _, err := p.r.Next(); err != io.EOF {
						t.Errorf("got %v, want the end of the stream", err)
					}
				}
			})
		}
		wg.Wait()
	})
}
