package longwire_test

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"

	"github.com/longwire/longwire"
)

// warm has a burst of n answered, so that there is room for the answers of the next.
func (p *peer) warm(typ longwire.Type, n int) {
	p.t.Helper()
	for range 3 {
		p.send(slices.Repeat(wire(typ, "some data"), n))
		for range n {
			p.wantFrame(typ)
		}
	}
}

// The answers before a handler that blocks do not wait for it, whatever has been
// gathered by then.
func TestGatheredAnswersDoNotWait(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		release := make(chan struct{})
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Type > 1 { // each for the first time
				<-release
			}
			return m.Raw(m.Data), nil
		})})
		p := b.peer()
		for round := range 20 {
			p.warm(1, 30)
			blocking := longwire.Type(2 + round)
			var frames []byte
			for i := range 20 {
				frames = append(frames, wire(1, fmt.Sprint(i))...)
			}
			frames = append(frames, wire(blocking, "x")...)
			p.send(append(frames, wire(1, "behind")...))
			for i := range 20 {
				if got := p.wantFrame(1); got != fmt.Sprint(i) {
					t.Fatalf("got %q, want %d", got, i)
				}
			}
			release <- struct{}{}
			p.wantFrame(blocking)
			if got := p.wantFrame(1); got != "behind" {
				t.Fatalf("got %q", got)
			}
		}
	})
}

// Answers of handlers that have returned are written though a later one closes the
// connection; its own is not.
func TestCloseWritesWhatIsGathered(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			if m.Type == 2 {
				m.Conn().Close(longwire.ReasonClosed)
			}
			return m.Raw(m.Data), nil
		})})
		for range 20 {
			p := b.peer()
			p.warm(1, 10)
			frames := slices.Repeat(wire(1, "x"), 5)
			frames = append(frames, wire(2, "close")...)
			p.send(append(frames, wire(1, "too late")...))
			for range 5 {
				p.wantFrame(1)
			}
			p.wantEnd()
		}
	})
}

// Whatever else is sent on a connection while its messages are handled: everything
// arrives, once and in order.
func TestAnswersAmongPushes(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		if n.slow {
			t.Skip("nothing new byte by byte")
		}
		b := serve(t, n, &longwire.Server{Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			if m.Type == 2 {
				return m.Raw(m.Data), m.Conn().Push(ctx, 3, m.Raw(m.Data))
			}
			return m.Raw(m.Data), nil
		})})
		const rounds, burst = 200, 40 // every tenth of a burst is of type 2
		p := b.peer()
		p.warm(1, burst)
		var conn *longwire.Conn
		for c := range b.srv.Conns() {
			conn = c
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		const pushes = rounds * burst / 4
		wg.Go(func() {
			for i := range pushes {
				if err := conn.Push(t.Context(), 4, longwire.Raw(strconv.Itoa(i))); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			for i := 0; i < pushes; {
				for _, why := range longwire.BroadcastEach(b.srv.Conns(), 5, longwire.Raw(strconv.Itoa(i))) {
					switch why {
					case nil:
						i++
					case longwire.ErrDropped: // again
						runtime.Gosched()
					default:
						t.Error(why)
						return
					}
				}
			}
		})
		wg.Go(func() {
			for round := range rounds {
				var frames []byte
				for i := range burst {
					typ := longwire.Type(1)
					if i%10 == 5 {
						typ = 2
					}
					frames = append(frames, wire(typ, fmt.Sprint(round*burst+i))...)
				}
				if round%10 == 0 {
					frames = append(frames, wire(longwire.TypePing, "")...)
				}
				if _, err := p.nc.Write(frames); err != nil {
					t.Error(err)
					return
				}
			}
		})
		answers := 0
		want := map[longwire.Type]int{}
		for left := rounds*burst + rounds*burst/10 + 2*pushes; left > 0; left-- {
			f, err := p.r.Next()
			if err != nil {
				t.Fatal(err)
			}
			switch f.Type {
			case longwire.TypePing: // several that mean the same are one
				left++
			case 1, 2:
				if got := string(f.Data); got != fmt.Sprint(answers) {
					t.Fatalf("answer %s, want %d", got, answers)
				}
				answers++
			case 3:
				if got := string(f.Data); got != fmt.Sprint(want[3]*10+5) || answers > want[3]*10+5 {
					t.Fatalf("push %s behind answer %d, want %d", got, answers-1, want[3]*10+5)
				}
				want[3]++
			default:
				if got := string(f.Data); got != fmt.Sprint(want[f.Type]) {
					t.Fatalf("type %v: %s, want %d", f.Type, got, want[f.Type])
				}
				want[f.Type]++
			}
		}
		if answers != rounds*burst || want[3] != rounds*burst/10 || want[4] != pushes || want[5] != pushes {
			t.Errorf("%d answers, pushes %v", answers, want)
		}
	})
}
