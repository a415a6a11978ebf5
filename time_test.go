package longwire_test

import (
	"errors"
	"io"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

func TestFrameThatIsNeverCompleted(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 4 * time.Second, time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok})
			p := b.peer()
			p.nc.SetReadDeadline(time.Time{})
			for range 30 { // whole frames take the time they like
				time.Sleep(time.Second)
				p.send(article)
				p.wantAnswer(0x10, "", "200")
			}
			began := time.Now()
			var drip sync.WaitGroup
			defer drip.Wait()
			drip.Go(func() {
				for _, err := p.nc.Write([]byte(header(1000))); err == nil; _, err = p.nc.Write([]byte{'6'}) {
					time.Sleep(every) // no byte resets the clock
				}
			})
			if _, err := p.r.Next(); err == nil {
				t.Error("a frame came")
			}
			if waited := time.Since(began); waited < 9*time.Second || waited > 11500*time.Millisecond {
				t.Errorf("a byte each %v: closed after %v, want 10 s", every, waited)
			}
			b.wantClosed(longwire.ReasonFrameTimeout, 1)
		})
	}
}

func TestPlainPeerMayBeSilentAndNeverSeesAControlFrame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok})
		p := b.peer()
		p.nc.SetReadDeadline(time.Now().Add(24 * time.Hour))
		time.Sleep(12 * time.Hour)
		p.send(article)
		p.wantAnswer(0x10, "", "200")
	})
}

func TestPeerThatKnowsPingsIsPingedAndGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok})
		p := b.peer()
		p.nc.SetReadDeadline(time.Time{})
		p.sendFrame(longwire.TypePing, "")
		p.wantFrame(longwire.TypePing)
		for range 10 { // it answers: all is well
			if got := p.wantFrame(longwire.TypePing); got != "" {
				t.Fatalf("a pong %q, want a ping", got)
			}
			p.sendFrame(longwire.TypePing, "1")
		}
		began := time.Now()
		for {
			if _, err := p.r.Next(); err != nil {
				break
			}
		}
		if waited := time.Since(began); waited < 74*time.Second || waited > 77*time.Second {
			t.Errorf("given up after %v of silence, want 75 s", waited)
		}
		b.wantClosed(longwire.ReasonSilent, 1)
	})
}

func TestCutCableIsNoticedByBothEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		b := serve(t, memory(&n), &longwire.Server{Handler: ok})
		var cable *longwiretest.Conn
		b.net.dial = dialAnd(&n, func(c *longwiretest.Conn) { cable = c })
		c := b.conn(ok)
		time.Sleep(10 * time.Minute) // pings keep it up
		if c.Err() != nil {
			t.Fatal(c.Err())
		}
		s := b.only()
		cable.Cut()
		began := time.Now()
		<-c.Done()
		<-s.Done()
		if waited := time.Since(began); waited > 77*time.Second {
			t.Errorf("noticed after %v", waited)
		}
		for _, err := range []error{c.Err(), s.Err()} {
			if e, ok := errors.AsType[*longwire.CloseError](err); !ok || e.Reason != longwire.ReasonSilent {
				t.Errorf("over with %v", err)
			}
		}
	})
}

func TestClientDoesNotGiveUpAServerThatKnowsNoPings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		l := memory(&n).listen(t)
		defer l.Close()
		c, err := (&longwire.Client{Addr: l.Addr().String(), DialContext: n.DialContext}).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		plain, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		if c.Err() != nil {
			t.Errorf("over: %v", c.Err())
		}
		plain.Close()
		<-c.Done()
	})
}

// Who answers every ping stays, also when pings are sent more often than times are looked at.
func TestShortPingIntervals(t *testing.T) {
	for _, interval := range []time.Duration{1, time.Millisecond, 100 * time.Millisecond, 399 * time.Millisecond, time.Second} {
		t.Run(interval.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo, Config: &longwire.Config{PingInterval: interval}})
				cl := &longwire.Client{Addr: b.addr, DialContext: b.net.dial, Hello: &longwire.Hello{ID: "a"}, Config: &longwire.Config{PingInterval: -1}}
				c, err := cl.Dial(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Minute)
				if over := b.srv.Ended(); len(over) > 0 {
					t.Errorf("over: %v", over)
				}
				c.Close(longwire.ReasonClosed)
				silent := b.peer()
				silent.sendFrame(longwire.TypePing, "")
				silent.wantFrame(longwire.TypePing)
				start := time.Now()
				io.Copy(io.Discard, silent.nc)
				if d := time.Since(start); d > interval*5/2+3*time.Second {
					t.Errorf("a silent peer ended after %v", d)
				}
				b.wantClosed(longwire.ReasonSilent, 1)
			})
		})
	}
}
