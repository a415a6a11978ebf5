package longwire_test

import (
	"cmp"
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// dialAnd returns a dial function that shows each connection to f.
func dialAnd(n *longwiretest.Network, f func(*longwiretest.Conn)) func(context.Context, string, string) (net.Conn, error) {
	return func(ctx context.Context, _, address string) (net.Conn, error) {
		c, err := n.Dial(ctx, address)
		if err != nil {
			return nil, err
		}
		f(c)
		return c, nil
	}
}

// run starts the client's Run, which must end with the test.
func run(t *testing.T, cl *longwire.Client) {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- cl.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
	})
}

func TestClientComesBackAfterAnHour(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		var mu sync.Mutex // guards dials and online
		var dials []time.Time
		online := 0
		cl := &longwire.Client{
			Addr: "server:1",
			DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
				mu.Lock()
				dials = append(dials, time.Now())
				mu.Unlock()
				return n.DialContext(ctx, network, address)
			},
			Online: func(ctx context.Context, c *longwire.Conn) {
				mu.Lock()
				online++
				mu.Unlock()
				<-ctx.Done()
			},
		}
		first := &longwire.Server{Handler: ok}
		serve(t, memory(&n), first)
		run(t, cl)
		c, err := cl.Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(10 * time.Minute)
		first.Close()
		<-c.Done()
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if _, err := cl.Conn(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Conn while the server is away: %v", err)
		}
		cancel()
		mu.Lock()
		dials = nil
		mu.Unlock()
		time.Sleep(time.Hour)
		mu.Lock()
		for i := 1; i < len(dials); i++ {
			if pause := dials[i].Sub(dials[i-1]); pause < 100*time.Millisecond || pause > 31*time.Second {
				t.Errorf("dialled again after %v", pause)
			}
		}
		if len(dials) < 120 || len(dials) > 600 {
			t.Errorf("%d dials in an hour, want about 240: one each 15 s on average", len(dials))
		}
		mu.Unlock()
		b := serve(t, memory(&n), &longwire.Server{Handler: ok})
		back := time.Now()
		if c, err = cl.Conn(t.Context()); err != nil {
			t.Fatal(err)
		}
		if waited := time.Since(back); waited > 31*time.Second {
			t.Errorf("back after %v", waited)
		}
		if err := c.Ask(t.Context(), 1, nil, nil); err != nil {
			t.Error(err)
		}
		synctest.Wait() // Online is called on a goroutine of its own
		mu.Lock()
		defer mu.Unlock()
		if online != 2 || b.srv.Stats().Opened != 1 {
			t.Errorf("Online was called %d times; the new server saw %d connections", online, b.srv.Stats().Opened)
		}
	})
}

// A server that accepts and hangs up at once is no success that starts the pauses
// anew.
func TestClientPacesItselfWhenTheServerHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		l := memory(&n).listen(t)
		accepted := 0
		go func() {
			for {
				nc, err := l.Accept()
				if err != nil {
					return
				}
				accepted++
				nc.Close()
			}
		}()
		run(t, &longwire.Client{Addr: "server:1", DialContext: n.DialContext})
		time.Sleep(time.Hour)
		synctest.Wait()
		if accepted < 120 || accepted > 600 {
			t.Errorf("%d connections in an hour", accepted)
		}
		l.Close()
	})
}

// Clients that lose their server at the same moment do not come back at the same
// moment.
func TestClientsComeBackSpreadOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		var mu sync.Mutex
		gone := false
		var back []time.Duration
		began := time.Now()
		const clients = 1000
		first := &longwire.Server{}
		b := serve(t, memory(&n), first)
		for range clients {
			run(t, &longwire.Client{Addr: b.addr, DialContext: dialAnd(&n, func(*longwiretest.Conn) {
				mu.Lock()
				defer mu.Unlock()
				if gone {
					back = append(back, time.Since(began))
				}
			})})
		}
		time.Sleep(time.Minute)
		first.Close()
		time.Sleep(10 * time.Second) // dials fail meanwhile
		mu.Lock()
		gone, began = true, time.Now()
		mu.Unlock()
		serve(t, memory(&n), &longwire.Server{})
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(back) != clients {
			t.Fatalf("%d of %d came back", len(back), clients)
		}
		perSlot := make(map[time.Duration]int)
		for _, at := range back {
			perSlot[at/(500*time.Millisecond)]++
		}
		for slot, n := range perSlot {
			if n > clients/10 {
				t.Errorf("%d of %d came back in the half second from %v on", n, clients, slot*500*time.Millisecond)
			}
		}
	})
}

// Nor do they when the server has been there all the time and only their connections were
// ended: the first pause is as random as those after it.
func TestClientsOfAServerThatIsBackAtOnceAreSpreadOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		var mu sync.Mutex // guards dials
		var dials []time.Time
		b := serve(t, memory(&n), &longwire.Server{})
		const clients, rounds = 1000, 5
		for range clients {
			run(t, &longwire.Client{Addr: b.addr, DialContext: dialAnd(&n, func(*longwiretest.Conn) {
				mu.Lock()
				defer mu.Unlock()
				dials = append(dials, time.Now())
			})})
		}
		perSlot := make(map[time.Duration]int) // over all rounds, so that chance does not decide
		for range rounds {
			time.Sleep(time.Minute)
			mu.Lock()
			dials = nil
			mu.Unlock()
			ended := time.Now()
			for c := range b.srv.Conns() {
				c.Close(longwire.ReasonKicked)
			}
			time.Sleep(3200 * time.Millisecond) // the longest pause before the first dial
			synctest.Wait()
			if open := b.srv.Stats().Open; open != clients || len(dials) != clients {
				t.Fatalf("%d of %d are back, after %d dials", open, clients, len(dials))
			}
			for _, at := range dials {
				perSlot[at.Sub(ended)/(100*time.Millisecond)]++
			}
		}
		for slot, n := range perSlot {
			if n > clients*rounds/20 {
				t.Errorf("%d of %d dialled in the tenth of a second from %v on", n, clients*rounds, slot*100*time.Millisecond)
			}
		}
	})
}

// Pauses stay between MinBackoff and MaxBackoff, however near these are to each other.
func TestClientKeepsToItsPauses(t *testing.T) {
	for _, test := range []struct{ least, most time.Duration }{
		{0, 0},
		{time.Second, time.Second},
		{time.Second, 2 * time.Second},
		{0, 100 * time.Millisecond},
		{time.Minute, time.Hour},
	} {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex // guards dials
			var dials []time.Time
			run(t, &longwire.Client{
				Addr:       "server:1",
				MinBackoff: test.least,
				MaxBackoff: test.most,
				DialContext: func(context.Context, string, string) (net.Conn, error) {
					mu.Lock()
					defer mu.Unlock()
					dials = append(dials, time.Now())
					return nil, syscall.ECONNREFUSED
				},
			})
			least, most := cmp.Or(test.least, 100*time.Millisecond), cmp.Or(test.most, 30*time.Second)
			time.Sleep(50 * most)
			mu.Lock()
			defer mu.Unlock()
			if len(dials) < 50 {
				t.Errorf("%v to %v: %d dials in %v", test.least, test.most, len(dials), 50*most)
			}
			for i := 1; i < len(dials); i++ {
				if pause := dials[i].Sub(dials[i-1]); pause < least || pause > most {
					t.Errorf("%v to %v: dialled again after %v", test.least, test.most, pause)
				}
			}
		})
	}
}

func TestClientObeysGoaway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		l := memory(&n).listen(t)
		run(t, &longwire.Client{Addr: "server:1", DialContext: n.DialContext})
		accept := func() *peer {
			nc, err := l.Accept()
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { nc.Close() })
			return (&bench{t: t, net: network{dial: func(context.Context, string, string) (net.Conn, error) { return nc, nil }}}).peer()
		}
		for range 20 {
			p := accept()
			p.sendFrame(longwire.TypeGoaway, `{"after_ms":600000,"jitter_ms":60000}`)
			said := time.Now()
			p.nc.SetReadDeadline(time.Time{})
			p.wantEnd()
			p.nc.Close()
			p = accept()
			if waited := time.Since(said); waited < 9*time.Minute || waited > 11*time.Minute {
				t.Errorf("back after %v, told 10 min ± 1", waited)
			}
			p.sendFrame(longwire.TypeGoaway, `nonsense`)
			p.wantEnd()
			p.nc.Close()
		}
		l.Close()
	})
}

// An address that nobody answers for, as behind a pulled cable, is given up and tried again.
func TestClientGivesUpADialThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int64
		run(t, &longwire.Client{Addr: "server:1", DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			dials.Add(1)
			<-ctx.Done()
			return nil, ctx.Err()
		}})
		time.Sleep(time.Hour)
		if dials, least := dials.Load(), int64(time.Hour/(40*time.Second)); dials < least {
			t.Errorf("dialled %d times in an hour, want %d", dials, least)
		}
	})
}

// A client has one deadline, from dialling to the answer to its hello.
func TestClientHasOneDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const limit = 10 * time.Second
		var n longwiretest.Network
		defer memory(&n).listen(t).Close() // and nobody answers
		cl := &longwire.Client{Addr: "server:1", Hello: &longwire.Hello{ID: "a"}, DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			time.Sleep(limit * 9 / 10)
			return n.DialContext(ctx, network, addr)
		}}
		start := time.Now()
		if _, err := cl.Dial(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("without an answer: %v", err)
		}
		if d := time.Since(start); d > limit+time.Second {
			t.Errorf("after %v", d)
		}
		if closed := cl.Stats().Closed; closed[longwire.ReasonAdmitTimeout] != 1 {
			t.Errorf("closed: %v", closed)
		}
	})
}

// A server that shuts down while it looks at a login says so in place of an answer.
func TestClientObeysGoawayDuringItsLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		busy := &longwire.Server{Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			if _, err := c.Receive(ctx); err != nil {
				return nil, err
			}
			<-ctx.Done() // who it is takes long to find out
			return nil, context.Cause(ctx)
		}}
		const clients = 40
		b := serve(t, memory(&n), busy)
		var back []chan time.Time // each client dials
		for range clients {
			began := make(chan time.Time, 2)
			back = append(back, began)
			run(t, &longwire.Client{Addr: b.addr, Hello: &longwire.Hello{ID: "a"}, MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
				DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
					select {
					case began <- time.Now():
					default:
					}
					return n.DialContext(ctx, network, addr)
				}})
		}
		time.Sleep(time.Second)
		left, late := time.Now(), 0
		if err := b.srv.Shutdown(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, began := range back {
			if <-began; (<-began).Sub(left) > time.Second {
				late++
			}
		}
		if late < clients/2 { // of those who are to come back within 10 s, nine of ten
			t.Errorf("%d of %d clients came back after a second, though they were told to within ten", late, clients)
		}
	})
}

func TestClientErrors(t *testing.T) {
	var n longwiretest.Network
	if _, err := longwire.Dial(t.Context(), "127.0.0.1:1", nil); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens: %v", err)
	}
	bad := &longwire.Client{DialContext: n.DialContext, Config: &longwire.Config{MaxFrame: 3}}
	if err := bad.Run(t.Context()); err == nil {
		t.Error("a MaxFrame of 3 is accepted")
	}
	bad = &longwire.Client{DialContext: n.DialContext, MinBackoff: time.Hour}
	if err := bad.Run(t.Context()); err == nil {
		t.Error("a MinBackoff over MaxBackoff is accepted")
	}
	if s := bad.Stats(); s.Opened != 0 {
		t.Errorf("stats of a client that never connected: %v", s)
	}
}
