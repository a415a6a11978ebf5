package longwire_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

func TestHandlerThatFailsEndsNothingElse(t *testing.T) {
	mux := new(longwire.Mux)
	mux.HandleFunc(1, func(_ context.Context, m *longwire.Message) (any, error) {
		counts := map[longwire.Type]map[string]int{}
		counts[m.Type]["nil map"]++
		return nil, nil
	})
	mux.HandleFunc(2, func(_ context.Context, m *longwire.Message) (any, error) {
		return m.Data[len(m.Data)+1], nil
	})
	mux.HandleFunc(3, func(context.Context, *longwire.Message) (any, error) { panic(errors.New("custom")) })
	mux.HandleFunc(4, func(context.Context, *longwire.Message) (any, error) {
		runtime.Goexit()
		return nil, nil
	})
	mux.HandleFunc(5, func(context.Context, *longwire.Message) (any, error) {
		return nil, errors.New("the database password is hunter2")
	})
	mux.HandleFunc(6, func(context.Context, *longwire.Message) (any, error) { return make(chan int), nil })
	mux.HandleFunc(7, func(context.Context, *longwire.Message) (any, error) { return "fine", nil })
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: mux})
		other := b.peer()
		p := b.peer()
		var all []byte
		for round := range 3 {
			for typ := longwire.Type(1); typ <= 7; typ++ {
				all = append(all, wire(typ, question(fmt.Sprint(round), "1"))...)
			}
		}
		p.send(all)
		for round := range 3 {
			for typ := longwire.Type(1); typ <= 6; typ++ {
				e := p.wantAnswer(typ, fmt.Sprint(round), "500")
				if e.Message != "internal error" || string(e.Data) != "null" {
					t.Errorf("type %v: the peer was told %q, %s", typ, e.Message, e.Data)
				}
			}
			p.wantAnswer(7, fmt.Sprint(round), "200")
			other.sendFrame(7, question("o", "1"))
			other.wantAnswer(7, "o", "200")
		}
		if lines := b.log.lines("handler failed"); len(lines) != 18 {
			t.Errorf("%d log lines, want one for each of 18 failures: %q", len(lines), lines)
		}
		if len(b.log.lines("hunter2")) != 3 {
			t.Error("the cause of an error is not in the log")
		}
	})
}

func TestHandlerThatBlocksForAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		mux := new(longwire.Mux)
		mux.HandleFunc(1, func(context.Context, *longwire.Message) (any, error) { return "quick", nil })
		mux.HandleFunc(2, func(context.Context, *longwire.Message) (any, error) {
			time.Sleep(time.Minute)
			return "slow", nil
		})
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: mux, Config: &longwire.Config{PingInterval: -1}})
		p, other := b.peer(), b.peer()
		p.nc.SetReadDeadline(time.Time{})
		began := time.Now()
		var all []byte
		for i, typ := range []longwire.Type{1, 2, 1, 2, 1} {
			all = append(all, wire(typ, question(string("abcde"[i]), "1"))...)
		}
		p.send(all)
		p.wantAnswer(1, "a", "200")
		if waited := time.Since(began); waited > 10*time.Millisecond {
			t.Errorf("the answer before the slow one waited for %v", waited)
		}
		other.sendFrame(1, question("o", "1"))
		other.wantAnswer(1, "o", "200")
		p.sendFrame(longwire.TypePing, "")
		if got := p.wantFrame(longwire.TypePing); got == "" {
			t.Error("the pong is empty")
		}
		if waited := time.Since(began); waited > 20*time.Millisecond {
			t.Errorf("others waited for %v", waited)
		}
		p.wantAnswer(2, "b", "200")
		p.wantAnswer(1, "c", "200")
		if waited := time.Since(began); waited < time.Minute || waited > time.Minute+time.Second {
			t.Errorf("the slow answer, and the quick one behind it, came after %v", waited)
		}
		p.wantAnswer(2, "d", "200")
		p.wantAnswer(1, "e", "200")
	})
}

func TestHandlerNoticesTheEndOfItsConnection(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		started, noticed := make(chan bool), make(chan error, 1)
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			close(started)
			<-ctx.Done()
			noticed <- errors.Join(ctx.Err(), m.Conn().Err())
			return nil, nil
		})})
		c := b.conn(nil)
		if err := c.Push(t.Context(), 1, "x"); err != nil {
			t.Fatal(err)
		}
		<-started
		for s := range b.srv.Conns() {
			s.Close(longwire.ReasonKicked)
		}
		if err := <-noticed; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "kicked") {
			t.Errorf("the handler saw %v", err)
		}
		<-c.Done()
	})
}

func TestHandlerAsksItsOwnConnection(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		mux := new(longwire.Mux)
		mux.HandleFunc(1, func(ctx context.Context, m *longwire.Message) (any, error) {
			var name string
			if err := m.Conn().Ask(ctx, 2, "who are you?", &name); err != nil {
				return nil, err
			}
			return "hello " + name, nil
		})
		b := serve(t, n, &longwire.Server{Handler: mux})
		c := b.conn(longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return "board 7", nil }))
		var got string
		for range 20 {
			if err := c.Ask(t.Context(), 1, nil, &got); err != nil || got != "hello board 7" {
				t.Fatalf("%q, %v", got, err)
			}
		}
	})
}

// A handler asks back for every message of a burst, so the answers to it stand in
// the stream behind messages that wait for it.
func TestHandlerAsksItsOwnConnectionBehindABurst(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Config: &longwire.Config{MaxInbox: 4 << 10},
			Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
				var answer string
				if err := m.Conn().Ask(ctx, 2, "?", &answer); err != nil {
					return nil, err
				}
				return answer, nil
			})})
		p := b.peer()
		const burst = 500
		var all []byte
		for i := range burst {
			all = append(all, wire(1, question(fmt.Sprint(i), "1"))...)
		}
		go p.nc.Write(all)
		answered, refused := 0, 0
		for answered+refused < burst {
			f, err := p.r.Next()
			if err != nil {
				t.Fatal(err)
			}
			data := string(f.Data)
			switch {
			case f.Type == 2:
				_, rest, _ := strings.Cut(data, `"call_back_key":"`)
				key, _, _ := strings.Cut(rest, `"`)
				go p.nc.Write(wire(2, `{"call_back_key":"`+key+`","status":"200","data":"yes"}`))
			case strings.Contains(data, `"status":"200"`):
				answered++
			case strings.Contains(data, `"status":"429"`):
				refused++
			default:
				t.Fatalf("unexpected %v %s", f.Type, data)
			}
		}
		if answered == 0 || int64(refused) != b.srv.Stats().Refused {
			t.Errorf("%d answered, %d refused, %d counted as refused", answered, refused, b.srv.Stats().Refused)
		}
	})
}

func TestInboxIsBoundedByNotReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan bool)
		handled := 0
		b := serve(t, memory(&longwiretest.Network{BufferSize: 4 << 10}), &longwire.Server{Config: &longwire.Config{MaxInbox: 32 << 10},
			Handler: longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
				<-release
				handled++
				return nil, nil
			})})
		p := b.peer()
		const messages, size = 500, 1000
		written := make(chan error, 1)
		go func() {
			for range messages {
				if _, err := p.nc.Write(wire(1, strings.Repeat("x", size))); err != nil {
					written <- err
					return
				}
			}
			written <- nil
		}()
		synctest.Wait()
		if in := b.srv.Stats().BytesIn; in < 32<<10 || in > 128<<10 {
			t.Errorf("%d bytes were read for a handler that does not come back, want little more than 32 KiB", in)
		}
		close(release)
		if err := <-written; err != nil {
			t.Fatal(err)
		}
		p.sendFrame(2, question("end", "1"))
		p.wantAnswer(2, "end", "200")
		if handled != messages+1 || b.srv.Stats().Refused != 0 {
			t.Errorf("%d of %d handled, %d refused", handled, messages+1, b.srv.Stats().Refused)
		}
	})
}

func TestPeerThatNeverReadsHoldsUpOnlyItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}), &longwire.Server{Handler: echo})
		bad, good := b.peer(), b.peer()
		go func() {
			for {
				if _, err := bad.nc.Write(wire(1, strings.Repeat("x", 1000))); err != nil {
					return
				}
			}
		}()
		for i := range 100 {
			good.sendFrame(1, fmt.Sprint(i))
			if got := good.wantFrame(1); got != fmt.Sprint(i) {
				t.Fatalf("got %q", got)
			}
		}
		time.Sleep(11 * time.Second) // the write timeout and a sweep
		if got := b.srv.Stats().Closed[longwire.ReasonWriteTimeout]; got != 1 {
			t.Errorf("closed: %v, want write_timeout", b.srv.Stats().Closed)
		}
	})
}

func TestPushWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{BufferSize: 1 << 10}),
			&longwire.Server{Config: &longwire.Config{MaxOutbox: 64 << 10, WriteTimeout: -1}})
		p := b.peer()
		var c *longwire.Conn
		for c == nil {
			synctest.Wait()
			for c = range b.srv.Conns() {
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		pushed := 0
		var err error
		for ; err == nil; pushed++ {
			err = c.Push(ctx, 1, longwire.Raw(strings.Repeat("x", 1000)))
		}
		if !errors.Is(err, context.DeadlineExceeded) || pushed < 64 || pushed > 70 {
			t.Errorf("%d pushes of 1,008 bytes, then %v; want some 66 with 64 KiB queued", pushed, err)
		}
		for range pushed - 1 {
			p.wantFrame(1)
		}
		if err := c.Push(t.Context(), 1, "room again"); err != nil {
			t.Error(err)
		}
		p.wantFrame(1)
	})
}

func TestMessageIsLentAndCloneStays(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		lent, cloned := make(chan []byte, 1), make(chan *longwire.Message, 1)
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Type == 1 {
				lent <- m.Data
				cloned <- m.Clone()
			}
			return nil, nil
		})})
		p := b.peer()
		p.send(append(wire(1, "precious"), wire(2, question("end", "1"))...))
		p.wantAnswer(2, "end", "200")
		if got := string(<-lent); got != strings.Repeat("\xDB", 8) {
			t.Errorf("data that was kept without Clone is %q, want it poisoned", got)
		}
		if got := string((<-cloned).Data); got != "precious" {
			t.Errorf("the clone holds %q", got)
		}
	})
}

// A question may be answered later than its handler returns, or never.
func TestNoAnswer(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		type later struct {
			conn *longwire.Conn
			key  string
		}
		questions := make(chan later, 1)
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Type == 2 {
				return longwire.Envelope{}, nil
			}
			questions <- later{m.Conn(), m.Key()}
			return longwire.NoAnswer, nil
		})})
		p := b.peer()
		p.sendFrame(1, question("first", "1"))
		q := <-questions
		p.sendFrame(2, question("second", "1"))
		p.wantAnswer(2, "second", "200")
		if err := q.conn.Push(t.Context(), 1, longwire.Envelope{CallBackKey: q.key, Status: "200", Data: "at last"}); err != nil {
			t.Fatal(err)
		}
		if e := p.wantAnswer(1, "first", "200"); string(e.Data) != `"at last"` {
			t.Errorf("the answer's data is %s", e.Data)
		}
	})
}
