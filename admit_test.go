package longwire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// A registry is the smallest Admit that checks a hello's token and remembers who
// is there.
type registry struct {
	mu     sync.Mutex
	online map[string]int
	left   []error
}

func (r *registry) admit(ctx context.Context, c *longwire.Conn) (func(error), error) {
	m, err := c.Receive(ctx)
	if err != nil {
		return nil, err
	}
	var hello longwire.Hello
	if m.Type != longwire.TypeHello {
		return nil, longwire.Errorf(longwire.StatusUnauthorized, "hello first")
	}
	if err := m.Decode(&hello); err != nil {
		return nil, err
	}
	if hello.Token != "secret" {
		return nil, longwire.Errorf(longwire.StatusUnauthorized, "unknown token")
	}
	c.SetID(hello.ID)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.online == nil {
		r.online = make(map[string]int)
	}
	r.online[hello.ID]++
	return func(reason error) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.online[hello.ID]--
		r.left = append(r.left, reason)
	}, nil
}

const goodHello = `{"id":"meter-7","token":"secret"}`

func TestAdmit(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		r := new(registry)
		b := serve(t, n, &longwire.Server{Admit: r.admit, Handler: longwire.HandlerFunc(
			func(_ context.Context, m *longwire.Message) (any, error) { return m.Conn().ID(), nil })})
		refused := []struct{ typ, data, status string }{
			{"hello", `{"id":"x","token":"wrong"}`, "401"},
			{"hello", `no json`, "400"},
			{"message", `66666`, "401"},
		}
		for _, test := range refused {
			p, typ := b.peer(), longwire.TypeHello
			if test.typ == "message" {
				typ = 0x10
			}
			p.send(append(wire(typ, test.data), wire(0x10, question("never handled", "1"))...))
			p.wantAnswer(typ, "", test.status)
			p.wantEnd()
		}
		b.wantClosed(longwire.ReasonNotAdmitted, 3)

		// What stands right behind the hello waits for the limits of an admitted peer.
		p := b.peer()
		large := question("k", `"`+strings.Repeat("x", 10_000)+`"`)
		p.send(append(wire(longwire.TypeHello, goodHello), wire(0x10, large)...))
		p.wantAnswer(longwire.TypeHello, "", "200")
		if e := p.wantAnswer(0x10, "k", "200"); string(e.Data) != `"meter-7"` {
			t.Errorf("data %s", e.Data)
		}
		p.sendFrame(longwire.TypeHello, goodHello)
		p.wantAnswer(longwire.TypeHello, "", "409")
		r.mu.Lock()
		if r.online["meter-7"] != 1 {
			t.Errorf("online: %v", r.online)
		}
		r.mu.Unlock()
		p.closeWrite()
		p.wantEnd()
		b.srv.Shutdown(t.Context())
		if e, ok := errors.AsType[*longwire.CloseError](errors.Join(r.left...)); len(r.left) != 1 || !ok || e.Reason != longwire.ReasonPeerClosed || r.online["meter-7"] != 0 {
			t.Errorf("left: %v, online: %v", r.left, r.online)
		}
	})
}

func TestStrangerIsHeldToSmallFrames(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Admit: new(registry).admit, Config: &longwire.Config{Resync: 1000}})
		p := b.peer()
		p.send([]byte(header(4<<10 + 1)))
		p.wantEnd()
		b.wantClosed(longwire.ReasonFrameTooLarge, 1)
		p = b.peer()
		p.send([]byte("x" + string(wire(longwire.TypeHello, goodHello))))
		p.wantEnd() // no resynchronization for strangers
		b.wantClosed(longwire.ReasonBadFrame, 1)
		p = b.peer()
		p.sendFrame(longwire.TypePing, "")
		p.wantFrame(longwire.TypePing)
		p.sendFrame(longwire.TypeHello, strings.Replace(goodHello, "}", `,"pad":"`+strings.Repeat("x", 4<<10-8-44)+`"}`, 1))
		p.wantAnswer(longwire.TypeHello, "", "200")
	})
}

func TestStrangerThatSaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := new(registry)
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Admit: r.admit, Handler: ok})
		silent, dripping := b.peer(), b.peer()
		var drip sync.WaitGroup
		defer drip.Wait()
		drip.Go(func() {
			hello := wire(longwire.TypeHello, goodHello)
			for i := range hello {
				if _, err := dripping.nc.Write(hello[i : i+1]); err != nil {
					return
				}
				time.Sleep(time.Second)
			}
		})
		good := b.peer()
		good.sendFrame(longwire.TypeHello, goodHello)
		good.wantAnswer(longwire.TypeHello, "", "200")
		began := time.Now()
		silent.wantEnd()
		dripping.wantEnd()
		if waited := time.Since(began); waited < 9*time.Second || waited > 12*time.Second {
			t.Errorf("closed after %v, want 10 s", waited)
		}
		b.wantClosed(longwire.ReasonAdmitTimeout, 2)
		if len(r.left) != 0 {
			t.Errorf("leave was called for those who never came in: %v", r.left)
		}
	})
}

func TestAdmitOfSeveralSteps(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok, Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			m, err := c.Receive(ctx)
			if err != nil {
				return nil, err
			}
			if err := c.Answer(ctx, m, longwire.Raw("challenge")); err != nil {
				return nil, err
			}
			if m, err = c.Receive(ctx); err != nil {
				return nil, err
			}
			if string(m.Data) != "response" {
				return nil, longwire.Errorf("401", "wrong")
			}
			return nil, c.Answer(ctx, m, longwire.Raw("welcome"))
		}})
		p := b.peer()
		p.send(append(wire(0x70, "login"), wire(0x70, "response")...))
		if p.wantFrame(0x70) != "challenge" || p.wantFrame(0x70) != "welcome" {
			t.Error("wrong answers")
		}
		p.send(article)
		p.wantAnswer(0x10, "", "200")
		for c := range b.srv.Conns() {
			if _, err := c.Receive(t.Context()); err == nil {
				t.Error("Receive on an admitted connection succeeded")
			}
			if err := c.Answer(t.Context(), &longwire.Message{}, 1); err == nil {
				t.Error("Answer on an admitted connection succeeded")
			}
		}
	})
}

func TestAdmitThatPanicsOrIsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		left := 0
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			m, err := c.Receive(ctx)
			if err != nil {
				return nil, err
			}
			if m.Type == 1 {
				panic("in Admit")
			}
			<-ctx.Done() // the database does not answer; the time is up
			return func(error) { left++ }, nil
		}})
		p := b.peer()
		p.sendFrame(1, "x")
		p.wantAnswer(1, "", "500")
		p.wantEnd()
		p = b.peer()
		p.sendFrame(2, "x")
		p.wantEnd()
		synctest.Wait()
		if left != 1 {
			t.Errorf("leave was called %d times, want once", left)
		}
	})
}

func TestClientSaysHello(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Admit: new(registry).admit, Handler: ok})
		cl := &longwire.Client{Addr: b.addr, DialContext: n.dial, Hello: &longwire.Hello{ID: "board", Token: "secret"}}
		c, err := cl.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Ask(t.Context(), 1, nil, nil); err != nil {
			t.Error(err)
		}
		if id := b.only().ID(); id != "board" {
			t.Errorf("the server knows it as %q", id)
		}
		c.Close(longwire.ReasonClosed)
		cl = &longwire.Client{Addr: b.addr, DialContext: n.dial, Hello: &longwire.Hello{ID: "board", Token: "wrong"}}
		_, err = cl.Dial(t.Context())
		if e, ok := errors.AsType[*longwire.RemoteError](err); !ok || e.Status != "401" || e.Message != "unknown token" {
			t.Errorf("refused hello: %v", err)
		}
		b.wantClosed(longwire.ReasonNotAdmitted, 1)
	})
}

func TestHelloWithoutAdmit(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok})
		p := b.peer()
		p.sendFrame(longwire.TypeHello, `{"id":"anybody","call_back_key":"not an envelope","data":1}`)
		p.wantAnswer(longwire.TypeHello, "", "200")
		if id, want := b.only().ID(), p.nc.LocalAddr().String(); id != want {
			t.Errorf("id %q, want the address %q: what a hello says is not believed without Admit", id, want)
		}
	})
}

// Leave is called once for each connection that was admitted, whatever ends it and
// whenever.
func TestLeaveIsCalledOnce(t *testing.T) {
	var mu sync.Mutex
	balance, calls := map[int]int{}, 0
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: ok, Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
		m, err := c.Receive(ctx)
		if err != nil {
			return nil, err
		}
		var i int
		json.Unmarshal(m.Data, &i)
		if i%3 == 0 {
			c.Close(longwire.ReasonKicked) // over before it is admitted
		}
		mu.Lock()
		defer mu.Unlock()
		balance[i]++
		return func(reason error) {
			mu.Lock()
			defer mu.Unlock()
			balance[i]--
			calls++
			if reason == nil {
				t.Error("no reason")
			}
		}, nil
	}})
	const rounds = 300
	var wg sync.WaitGroup
	for i := range rounds {
		wg.Go(func() {
			nc, err := b.net.dial(t.Context(), "tcp", b.addr)
			if err != nil {
				t.Error(err)
				return
			}
			nc.Write(wire(1, fmt.Sprint(i)))
			if i%2 == 0 {
				nc.(*longwiretest.Conn).Reset()
			}
			nc.Close()
		})
	}
	wg.Wait()
	if err := b.srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for i, n := range balance {
		if n != 0 {
			t.Errorf("connection %d: came in and left do not match: %d", i, n)
		}
	}
	if calls == 0 {
		t.Error("leave was never called")
	}
}

// Where everybody is admitted, a peer may still say who it is, in its place among its
// messages.
func TestHelloOfAnAdmittedPeer(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{
			Hello: func(_ context.Context, m *longwire.Message) error {
				var hello longwire.Hello
				if err := m.Decode(&hello); err != nil {
					return err
				}
				if hello.Token == "wrong" {
					return longwire.Errorf(longwire.StatusUnauthorized, "no")
				}
				m.Conn().SetID(hello.ID)
				return nil
			},
			Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
				return longwire.Raw(m.Conn().ID()), nil
			}),
		})
		p := b.peer()
		ask := wire(1, question("k", "1"))
		hello := func(id, token string) []byte {
			return wire(longwire.TypeHello, fmt.Sprintf(`{"id":%q,"token":%q}`, id, token))
		}
		p.send(slices.Concat(ask, hello("a", ""), ask, hello("b", "wrong"), ask, hello("c", ""), ask, wire(longwire.TypeHello, "no JSON"), ask))
		address := p.wantFrame(1)
		if !strings.Contains(address, b.only().RemoteAddr().String()) {
			t.Errorf("before its hello it is %q", address)
		}
		for _, want := range []struct{ status, id string }{{"200", "a"}, {"401", "a"}, {"200", "c"}, {"400", "c"}} {
			p.wantAnswer(longwire.TypeHello, "", want.status)
			if got := p.wantFrame(1); got != want.id {
				t.Errorf("then it is %q, want %q", got, want.id)
			}
		}
	})
}
