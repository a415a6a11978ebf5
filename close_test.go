package longwire_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

func TestHalfCloseIsAnsweredFirst(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		release := make(chan bool)
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			<-release
			return longwire.Raw(m.Data), nil
		})})
		p := b.peer()
		var all []byte
		for i := range 50 {
			all = append(all, wire(1, fmt.Sprint(i))...)
		}
		p.send(all)
		p.closeWrite()
		close(release)
		for i := range 50 {
			if got := p.wantFrame(1); got != fmt.Sprint(i) {
				t.Fatalf("answer %q, want %d", got, i)
			}
		}
		p.wantEnd()
		b.wantClosed(longwire.ReasonPeerClosed, 1)
	})
}

func TestLargeAnswersArriveAfterAHalfClose(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("megabytes")
		}
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
			return longwire.Raw(strings.Repeat("x", 1_000_000)), nil
		})})
		p := b.peer()
		p.send(append(wire(1, ""), wire(1, "")...))
		p.closeWrite()
		for range 2 {
			if got := p.wantFrame(1); len(got) != 1_000_000 {
				t.Fatalf("%d bytes", len(got))
			}
		}
		p.wantEnd()
	})
}

// What is queued when a connection is closed is still written, and what the peer
// sends meanwhile does not destroy it by a reset.
func TestCloseWritesWhatIsQueued(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return nil, nil })})
		size := 100_000
		if n.slow {
			size = 1000
		}
		for range 10 {
			p := b.peer()
			c := b.only()
			go p.nc.Write([]byte(strings.Repeat(string(article), 4000)))
			for i := range 10 {
				if err := c.Push(t.Context(), longwire.Type(i), strings.Repeat("x", size)); err != nil {
					t.Fatal(err)
				}
			}
			c.Close(longwire.ReasonReplaced)
			for i := range 10 {
				p.wantFrame(longwire.Type(i))
			}
			p.wantEnd()
			p.nc.Close()
		}
	})
}

func TestFirstReasonCounts(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
	p := b.peer()
	c := b.only()
	if c.Err() != nil {
		t.Errorf("error %v while it is up", c.Err())
	}
	c.Close(longwire.ReasonReplaced)
	c.Close(longwire.ReasonKicked)
	p.wantEnd()
	<-c.Done()
	if e, ok := errors.AsType[*longwire.CloseError](c.Err()); !ok || e.Reason != longwire.ReasonReplaced {
		t.Errorf("error %v", c.Err())
	}
	b.wantClosed(longwire.ReasonReplaced, 1)
	b.wantClosed(longwire.ReasonKicked, 0)
	if lines := b.log.lines("connection over"); len(lines) != 1 || !strings.Contains(lines[0], "replaced") {
		t.Errorf("log: %q", lines)
	}
}

func TestCloseForNoReason(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
	for i, reason := range []longwire.Reason{0, 200, longwire.ReasonKicked + 1} {
		p := b.peer()
		b.only().Close(reason)
		p.wantEnd()
		b.wantClosed(longwire.ReasonClosed, int64(i+1))
	}
}

func TestResetIsNoticedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok})
		p := b.peer()
		p.send(article)
		p.wantAnswer(0x10, "", "200")
		asked := make(chan error, 1)
		c := b.only()
		go func() { asked <- c.Ask(t.Context(), 1, nil, nil) }()
		p.wantQuestion(1, "null")
		p.nc.(*longwiretest.Conn).Reset()
		if e, ok := errors.AsType[*longwire.CloseError](<-asked); !ok || e.Reason != longwire.ReasonLost {
			t.Errorf("the question ended with %v", e)
		}
		b.wantClosed(longwire.ReasonLost, 1)
	})
}

func TestMessagesThatArrivedAreHandledThoughTheConnectionIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		handled := 0
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: longwire.HandlerFunc(
			func(context.Context, *longwire.Message) (any, error) {
				time.Sleep(time.Second)
				handled++
				return nil, nil
			})})
		p := b.peer()
		p.send([]byte(strings.Repeat(string(wire(1, "reading")), 10)))
		synctest.Wait()
		p.nc.(*longwiretest.Conn).Reset()
		time.Sleep(11 * time.Second)
		synctest.Wait()
		if handled != 10 {
			t.Errorf("%d of 10 handled", handled)
		}
	})
}

// Close, Push, Ask and the peer's end race; nothing panics, blocks or is left.
func TestCloseRacesWithEverything(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo})
	rounds := 2000
	if testing.Short() {
		rounds = 200
	}
	for i := range rounds {
		c := b.conn(echo)
		var wg sync.WaitGroup
		wg.Go(func() { c.Push(t.Context(), 1, i) })
		wg.Go(func() { c.Ask(t.Context(), 2, i, nil) })
		wg.Go(func() { c.AskByType(t.Context(), 3, i, nil) })
		wg.Go(func() { c.Close(longwire.ReasonClosed) })
		if i%2 == 0 {
			wg.Go(func() {
				for s := range b.srv.Conns() {
					s.Push(t.Context(), 4, i)
					s.Close(longwire.ReasonKicked)
				}
			})
		}
		wg.Wait()
		<-c.Done()
	}
}

func TestConnShutdownFinishesWhatIsInProgress(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return nil, nil })})
		size := 500_000
		if n.slow {
			size = 5000
		}
		asked, release := make(chan bool), make(chan bool)
		c := b.conn(longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
			close(asked)
			<-release
			return "answered", nil
		}))
		answered := make(chan error, 1)
		go func() {
			var s string
			err := b.only().Ask(t.Context(), 1, nil, &s)
			if s != "answered" {
				err = fmt.Errorf("%q, %w", s, err)
			}
			answered <- err
		}()
		<-asked
		in := b.srv.Stats().BytesIn
		for range 4 {
			if err := c.Push(t.Context(), 2, longwire.Raw(strings.Repeat("x", size))); err != nil {
				t.Fatal(err)
			}
		}
		ended := make(chan error, 1)
		go func() { ended <- c.Shutdown(t.Context()) }()
		close(release)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the question in progress: %v", err)
		}
		b.wantClosed(longwire.ReasonPeerClosed, 1)
		if got := b.srv.Stats().BytesIn - in; got < int64(4*size) {
			t.Errorf("%d bytes arrived, want %d and an answer", got, 4*size)
		}
		if err := c.Shutdown(t.Context()); err != nil {
			t.Errorf("a second Shutdown: %v", err)
		}
	})
}

func TestConnShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
		p := b.peer()
		c := b.only()
		go c.Ask(t.Context(), 1, nil, nil) // never answered
		p.wantQuestion(1, "null")
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		<-c.Done()
		p = b.peer()
		c = nil
		for c == nil {
			synctest.Wait()
			for c = range b.srv.Conns() {
			}
		}
		p.nc.(*longwiretest.Conn).Reset()
		<-c.Done()
		if e, ok := errors.AsType[*longwire.CloseError](c.Shutdown(t.Context())); !ok || e.Reason != longwire.ReasonLost {
			t.Errorf("Shutdown of a lost connection: %v", e)
		}
	})
}

func TestShutdownFinishesWhatIsRunning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			time.Sleep(5 * time.Second)
			return "done", nil
		})}
		b := serve(t, memory(&longwiretest.Network{}), srv)
		idle, busy, polite := b.peer(), b.peer(), b.peer()
		polite.sendFrame(longwire.TypePing, "")
		polite.wantFrame(longwire.TypePing)
		busy.sendFrame(1, question("running", "1"))
		synctest.Wait()
		began := time.Now()
		ended := make(chan error, 1)
		go func() { ended <- srv.Shutdown(t.Context()) }()
		idle.wantEnd() // without a frame that it might not expect
		if got := polite.wantFrame(longwire.TypeGoaway); !strings.Contains(got, `"after_ms":`) {
			t.Errorf("goaway %q", got)
		}
		polite.wantEnd()
		if waited := time.Since(began); waited > time.Second {
			t.Errorf("the idle ones were closed after %v", waited)
		}
		busy.sendFrame(2, question("too late", "1"))
		busy.wantAnswer(2, "too late", "503")
		busy.wantAnswer(1, "running", "200")
		busy.wantEnd()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if _, err := b.net.dial(t.Context(), "tcp", b.addr); err == nil {
			t.Error("a connection was accepted after Shutdown")
		}
	})
}

func TestShutdownEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		srv := &longwire.Server{Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
			<-release // whatever its context says
			return nil, nil
		})}
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}), srv)
		stuck, deaf := b.peer(), b.peer()
		stuck.sendFrame(1, "x")
		synctest.Wait()
		for c := range srv.Conns() {
			if c.RemoteAddr().String() == deaf.nc.LocalAddr().String() {
				c.Push(t.Context(), 1, strings.Repeat("x", 100_000))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		began := time.Now()
		if err := srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown: %v", err)
		}
		if waited := time.Since(began); waited != 3*time.Second {
			t.Errorf("Shutdown took %v", waited)
		}
		stuck.wantEnd()
		close(release)
	})
}

// Faults row 48: a server with many connections ends them one after the other, one
// handler that is stuck and one peer that never reads among them, and is done when its
// time is up.
func TestShutdownOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		defer close(release)
		mux := &longwire.Mux{Fallback: echo}
		mux.HandleFunc(2, func(context.Context, *longwire.Message) (any, error) {
			<-release
			return nil, nil
		})
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}), &longwire.Server{Handler: mux})
		const conns = 500
		ended := make(chan time.Duration, conns)
		start := time.Now()
		for range conns {
			p := b.peer()
			p.here()
			go func() {
				p.r.Next()
				ended <- time.Since(start)
			}()
		}
		stuck, deaf := b.peer(), b.peer()
		stuck.sendFrame(2, question("stuck", "1"))
		go deaf.nc.Write(wire(1, strings.Repeat("x", 100_000)))
		synctest.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		if err := b.srv.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Shutdown with a handler that is stuck: %v", err)
		}
		if d := time.Since(start); d > 6*time.Second {
			t.Errorf("it took %v", d)
		}
		perTick := make(map[time.Duration]int)
		for range conns {
			perTick[(<-ended).Truncate(10*time.Millisecond)]++
		}
		for at, n := range perTick {
			if n > 20 {
				t.Errorf("%d connections ended within 10 ms, after %v", n, at)
			}
		}
	})
}

// A question that has no answer when the connection ends tells the reason of the
// connection, also when that was to end anyway and the peer hung up first.
func TestQuestionHasTheReasonOfItsConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo})
		p := b.peer()
		c := soleConn(b)
		asked := make(chan error, 1)
		go func() { asked <- c.Ask(t.Context(), 1, "question", nil) }()
		p.wantFrame(1)
		go b.srv.Shutdown(t.Context())
		synctest.Wait()
		p.nc.Close()
		err, ok := errors.AsType[*longwire.CloseError](<-asked)
		if !ok || err.Reason != longwire.ReasonShutdown {
			t.Errorf("the question: %v", err)
		}
		b.wantClosed(longwire.ReasonShutdown, 1)
	})
}

// Whoever asks again and again does not keep a server from ending; a handler that runs may
// ask to its end.
func TestShutdownTakesNoMoreQuestions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		running := make(chan struct{})
		b := serve(t, memory(&n), &longwire.Server{Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			close(running)
			time.Sleep(300 * time.Millisecond) // Shutdown begins meanwhile
			return nil, m.Conn().Ask(ctx, 2, "and you?", nil)
		})})
		board, err := (&longwire.Client{Addr: b.addr, DialContext: b.net.dial, Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
			time.Sleep(100 * time.Millisecond)
			return nil, nil
		})}).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		answered := make(chan error, 1)
		go func() { answered <- board.Ask(t.Context(), 1, "a question whose handler asks back", nil) }()
		<-running
		c := soleConn(b)
		var others sync.WaitGroup
		for i := range 3 {
			others.Go(func() {
				time.Sleep(time.Duration(i) * 30 * time.Millisecond)
				err := error(nil)
				for err == nil {
					err = c.Ask(t.Context(), 3, "again", nil)
				}
				if over, ok := errors.AsType[*longwire.CloseError](err); !ok || over.Reason != longwire.ReasonShutdown {
					t.Errorf("a question: %v", err)
				}
			})
		}
		time.Sleep(200 * time.Millisecond)
		start := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := b.srv.Shutdown(ctx); err != nil || time.Since(start) > 2*time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		if err := <-answered; err != nil {
			t.Errorf("the handler that asked back: %v", err)
		}
		others.Wait()
	})
}
