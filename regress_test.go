package longwire_test

import (
	"context"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// Each of these was once wrong.

// soleConn returns the server's only connection inside a synctest bubble.
func soleConn(b *bench) (c *longwire.Conn) {
	for c == nil {
		synctest.Wait()
		for c = range b.srv.Conns() {
		}
	}
	return c
}

func TestReceiveThatGaveUpBlocksNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok, Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			short, cancel := context.WithTimeout(ctx, 10*time.Millisecond)
			defer cancel()
			if _, err := c.Receive(short); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("Receive without a message: %v", err)
			}
			time.Sleep(30 * time.Millisecond)
			_, err := c.Receive(short) // which has ended, with a message there
			time.Sleep(30 * time.Millisecond)
			if err != nil {
				_, err = c.Receive(ctx)
			}
			return nil, err
		}})
		for range 20 {
			p := b.peer()
			time.Sleep(20 * time.Millisecond)
			p.send(append(wire(1, "a"), wire(2, "b")...))
			p.wantAnswer(1, "", "200")
			p.wantAnswer(2, "", "200")
			p.nc.Close()
		}
	})
}

func TestTimeLimitsHoldDuringShutdown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{BufferSize: 16}), &longwire.Server{Handler: longwire.HandlerFunc(
			func(ctx context.Context, m *longwire.Message) (any, error) {
				if m.Type == 2 {
					<-ctx.Done()
				}
				return longwire.Raw(m.Data), nil
			})})
		unread, left := b.peer(), b.peer()
		unread.sendFrame(1, strings.Repeat("x", 1000))
		left.sendFrame(2, "x")
		synctest.Wait()
		left.nc.Close()
		began := time.Now()
		if err := b.srv.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited > 13*time.Second {
			t.Errorf("Shutdown took %v, want the write timeout of 10 s", waited)
		}
	})
}

func TestReservedTypesAreNotTheApplicationsToSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok})
		c := b.conn(ok)
		for _, typ := range []longwire.Type{0xFF00, 0xFF01, 0xFFFF} {
			if c.Push(t.Context(), typ, 1) == nil || c.Ask(t.Context(), typ, 1, nil) == nil || c.AskByType(t.Context(), typ, 1, nil) == nil {
				t.Errorf("type %v was sent", typ)
			}
		}
		p := b.peer() // a hello from the server's side, and answers that nobody asked for, are not answered
		p.sendFrame(longwire.TypeHello, "{}")
		p.wantAnswer(longwire.TypeHello, "", "200")
		synctest.Wait()
		if out := b.srv.Stats().FramesOut; out != 1 {
			t.Errorf("%d frames were sent", out)
		}
	})
}

func TestLossBehindAFullInboxIsNoticed(t *testing.T) {
	for name, end := range map[string]func(*longwiretest.Conn){
		"reset": (*longwiretest.Conn).Reset,
		"close": func(c *longwiretest.Conn) { c.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Config: &longwire.Config{MaxInbox: 1},
					Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
						<-ctx.Done()
						return nil, nil
					})})
				p := b.peer()
				for range 3 {
					p.sendFrame(1, "x")
					synctest.Wait()
				}
				end(p.nc.(*longwiretest.Conn))
				time.Sleep(12 * time.Second)
				synctest.Wait()
				if s := b.srv.Stats(); s.Open != 0 {
					t.Errorf("still open: %+v", s)
				}
			})
		})
	}
}

// The first cause counts, whatever else goes wrong on the way.
func TestReasonDoesNotDependOnWhatFollows(t *testing.T) {
	slow := longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
		time.Sleep(time.Second)
		return longwire.Envelope{}, nil
	})
	for _, test := range []struct {
		name   string
		bytes  string
		then   func(b *bench, p *peer)
		reason longwire.Reason
	}{
		{"bad frame, and a peer that is gone", "bad!", func(b *bench, p *peer) { p.nc.Close() }, longwire.ReasonBadFrame},
		{"end of stream, and a peer that is gone", "", func(b *bench, p *peer) { p.nc.Close() }, longwire.ReasonPeerClosed},
		{"shutdown, and a peer that closes", "", func(b *bench, p *peer) {
			go b.srv.Shutdown(context.Background())
			synctest.Wait()
			p.closeWrite()
		}, longwire.ReasonShutdown},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: slow})
				p := b.peer()
				p.send([]byte(string(article) + string(article) + test.bytes))
				synctest.Wait()
				test.then(b, p)
				time.Sleep(10 * time.Second)
				b.wantClosed(test.reason, 1)
			})
		})
	}
}

func TestRefusedHelloHasItsReason(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Admit: new(registry).admit})
		cl := &longwire.Client{Addr: b.addr, DialContext: n.dial, Hello: &longwire.Hello{Token: "wrong"}}
		const tries = 50
		for range tries {
			if _, err := cl.Dial(t.Context()); err == nil {
				t.Fatal("admitted")
			}
		}
		for range 2000 {
			if cl.Stats().Open == 0 {
				break
			}
			time.Sleep(5 * time.Millisecond) // a poll; nothing is decided by its length
		}
		if got := cl.Stats().Closed[longwire.ReasonNotAdmitted]; got != tries {
			t.Errorf("the client's reasons: %v", cl.Stats().Closed)
		}
	})
}

func TestLoginWithTheEndOfTheStreamIsAnswered(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok, Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			_, err := c.Receive(ctx)
			for range 100 {
				runtime.Gosched()
			}
			return nil, err
		}})
		for range 20 {
			p := b.peer()
			p.sendFrame(longwire.TypeHello, goodHello)
			p.closeWrite()
			p.wantAnswer(longwire.TypeHello, "", "200")
			p.wantEnd()
		}
	})
}

func TestRefusalsAreNotDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conf := longwire.Config{MaxInbox: 1, MaxOutbox: 1}
		double := longwire.Typed(func(_ context.Context, i int) (int, error) { return 2 * i, nil })
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: double, Config: &conf})
		cl := &longwire.Client{Addr: b.addr, DialContext: b.net.dial, Handler: double, Config: &conf}
		c, err := cl.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		s := soleConn(b)
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		done := make(chan error)
		const askers = 40
		for i := range askers {
			go func() { done <- []*longwire.Conn{c, s}[i%2].Ask(ctx, 1, i, nil) }()
		}
		for range askers {
			err := <-done
			if e, refused := errors.AsType[*longwire.RemoteError](err); err != nil && !(refused && e.Status == "429") {
				t.Errorf("neither answered nor refused: %v", err)
			}
		}
		c.Close(longwire.ReasonClosed)
	})
}

// Others who push without end on a slow line do not keep the handler from the next
// message.
func TestHandlerIsNotCapturedByPushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stop context.CancelFunc
		handled := make(chan time.Time, 2)
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1000}), &longwire.Server{Config: &longwire.Config{MaxOutbox: 100_000},
			Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
				if c := m.Conn(); m.Type == 1 {
					var ctx context.Context
					ctx, stop = context.WithCancel(context.Background())
					for range 5 {
						go func() {
							time.Sleep(time.Millisecond) // the answer is being written by now
							for c.Push(ctx, 9, longwire.Raw(make([]byte, 10_000))) == nil {
							}
						}()
					}
				}
				handled <- time.Now()
				return longwire.Raw(make([]byte, 10_000)), nil
			})})
		p := b.peer()
		p.sendFrame(1, "")
		<-handled
		time.Sleep(2 * time.Millisecond)
		var reader sync.WaitGroup
		reader.Go(func() {
			buf := make([]byte, 1000)
			for {
				if _, err := p.nc.Read(buf); err != nil {
					return
				}
				time.Sleep(time.Millisecond)
			}
		})
		began := time.Now()
		p.sendFrame(2, "")
		if waited := (<-handled).Sub(began); waited > time.Second {
			t.Errorf("the next message waited for %v", waited)
		}
		stop()
		p.nc.Close()
		reader.Wait()
	})
}

func TestSlowReaderIsNotCutWhileItReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1000}), &longwire.Server{Handler: longwire.HandlerFunc(
			func(context.Context, *longwire.Message) (any, error) { return longwire.Raw(make([]byte, 300_000)), nil })})
		p := b.peer()
		p.nc.SetReadDeadline(time.Time{})
		p.sendFrame(1, "")
		got, buf := 0, make([]byte, 400)
		for got < 300_008 { // 4 kB/s
			n, err := p.nc.Read(buf)
			if err != nil {
				t.Fatalf("cut after %d bytes: %v", got, b.srv.Stats().Closed)
			}
			got += n
			time.Sleep(100 * time.Millisecond)
		}
	})
}

func TestPingsKeepTheirInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		l := memory(&n).listen(t)
		defer l.Close()
		c, err := (&longwire.Client{Addr: l.Addr().String(), DialContext: n.DialContext}).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		nc, _ := l.Accept()
		pings := make(chan int, 1)
		go func() {
			sent, _ := io.ReadAll(nc)
			pings <- len(sent) / len(wire(longwire.TypePing, ""))
		}()
		time.Sleep(10*time.Minute + 5*time.Second)
		if c.Err() != nil {
			t.Error(c.Err())
		}
		c.Close(longwire.ReasonClosed)
		if n := <-pings; n < 19 || n > 20 {
			t.Errorf("%d pings in 10 minutes, want one in 30 s", n)
		}
		nc.Close()
	})
}

// Leave comes after the last handler, also of a connection that was lost.
func TestLeaveComesLast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		left := make(chan int, 1)
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{
			Admit: func(context.Context, *longwire.Conn) (func(error), error) {
				return func(error) { left <- handled }, nil
			},
			Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
				time.Sleep(time.Second)
				handled++
				return nil, nil
			})})
		p := b.peer()
		p.send([]byte(strings.Repeat(string(article), 10)))
		synctest.Wait()
		p.nc.(*longwiretest.Conn).Reset()
		if n := <-left; n != 10 {
			t.Errorf("leave after %d of 10 messages", n)
		}
	})
}

func TestFrameAfterSkippedBytesHasItsOwnTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo, Config: &longwire.Config{Resync: 1000}})
		p := b.peer()
		p.send([]byte("\xC8\x00\x00\x00\x64"))
		time.Sleep(8500 * time.Millisecond)
		good := wire(1, strings.Repeat("x", 200))
		p.send(good[:150])
		time.Sleep(3 * time.Second)
		p.send(good[150:])
		p.wantFrame(1)
	})
}

func TestOddListenersAndAdmits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := memory(&longwiretest.Network{})
		uncomparable := n
		uncomparable.listen = func(t *testing.T) net.Listener {
			return struct {
				net.Listener
				_ []int
			}{Listener: n.listen(t)}
		}
		b := serve(t, uncomparable, &longwire.Server{Config: &longwire.Config{AdmitTimeout: -1},
			Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
				runtime.Goexit()
				return nil, nil
			}})
		b.peer().wantEnd()
		b.wantClosed(longwire.ReasonNotAdmitted, 1)
	})
}

func TestContextsOfHandlersNeedNoGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inside := make(chan int)
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: longwire.HandlerFunc(
			func(ctx context.Context, m *longwire.Message) (any, error) {
				before := runtime.NumGoroutine()
				ctxs := make([]context.Context, 100)
				for i := range ctxs {
					var cancel context.CancelFunc
					ctxs[i], cancel = context.WithTimeout(ctx, time.Hour)
					if i%2 == 0 {
						defer cancel()
					} else {
						t.Cleanup(cancel)
					}
				}
				inside <- runtime.NumGoroutine() - before
				<-ctxs[99].Done()
				return nil, nil
			})})
		p := b.peer()
		p.sendFrame(1, "x")
		if n := <-inside; n > 10 {
			t.Errorf("100 contexts took %d goroutines", n)
		}
		soleConn(b).Close(longwire.ReasonKicked)
		p.wantEnd()
	})
}

// Shutdown of a connection that is going at the same moment.
func TestShutdownOfAConnectionThatEnds(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo})
	for i := range 4000 {
		c := b.conn(nil)
		c.Close(longwire.ReasonClosed)
		for range i % 100 {
			runtime.Gosched()
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
}

// A tornConn breaks after some bytes, in the middle of a frame, and then takes everything.
type tornConn struct {
	net.Conn
	mu     sync.Mutex
	left   int
	behind int // bytes that were written behind the broken frame
}

func (c *tornConn) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.left < 0:
		c.behind += len(b)
	case c.left < len(b):
		n := c.left
		c.left = -1
		return n, errors.New("broken")
	default:
		c.left -= len(b)
	}
	return len(b), nil
}

// Faults row 33: behind a part of a frame nothing is written, whoever is about to.
func TestNothingIsWrittenBehindABrokenFrame(t *testing.T) {
	for range 100 {
		near, far := longwiretest.Pipe()
		torn := &tornConn{Conn: near, left: 5001}
		cl := &longwire.Client{DialContext: func(context.Context, string, string) (net.Conn, error) { return torn, nil }}
		c, err := cl.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		for range 8 {
			wg.Go(func() {
				for c.Push(t.Context(), 1, longwire.Raw("reading")) == nil {
				}
			})
		}
		wg.Wait()
		c.Shutdown(t.Context())
		far.Close()
		if torn.behind > 0 {
			t.Fatalf("%d bytes were written behind a broken frame", torn.behind)
		}
		if err, ok := errors.AsType[*longwire.CloseError](c.Err()); !ok || err.Reason != longwire.ReasonLost {
			t.Fatalf("over: %v", c.Err())
		}
	}
}
