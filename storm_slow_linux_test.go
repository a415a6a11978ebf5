//go:build slow

package longwire_test

import (
	"context"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/machine"
)

const fleet = 5000

// homing is clients that stay connected, wherever their server is.
type homing struct {
	server atomic.Value // its address
	online atomic.Int64
	dials  arrivals
}

// run runs one of them, for ever.
func (h *homing) run() {
	cl := &longwire.Client{
		Addr:  "server:1",
		Hello: new(longwire.Hello),
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			h.dials.add(time.Now())
			return new(net.Dialer).DialContext(ctx, "tcp", h.server.Load().(string))
		},
		Online: func(ctx context.Context, c *longwire.Conn) {
			h.online.Add(1)
			<-ctx.Done()
			h.online.Add(-1)
		},
	}
	cl.Run(context.Background())
}

func init() {
	roles["fleet"] = func() {
		h, late := new(homing), newLateness()
		h.server.Store(os.Getenv("LONGWIRE_TEST_ADDR"))
		for i := range fleet {
			if i%10 == 0 {
				time.Sleep(time.Millisecond) // so that they are no storm yet
			}
			go h.run()
		}
		answerLines(map[string]func() any{
			"online": func() any { return h.online.Load() },
			"dials":  func() any { return h.dials.most(100 * time.Millisecond) },
			"late":   func() any { return late.most.Swap(0) },
			"move": func() any {
				h.dials.forget()
				h.server.Store(os.Getenv("LONGWIRE_TEST_NEXT_ADDR"))
				return true
			},
		})
	}
}

// Faults row 26: 5,000 clients lose their server at the same moment, or are told by it to come back
// later, and all of them turn to another, which takes as many in a second as it was told, which is fewer
// than come. They do not all come at once, nobody is lost, and somebody who was there before does not
// notice.
func TestReconnectStorm(t *testing.T) {
	both(t, func(t *testing.T, portable bool) {
		t.Run("killed", func(t *testing.T) {
			reconnectStorm(t, portable, func(first *process) { first.cmd.Process.Kill() })
		})
		if !portable { // who comes back is the same
			t.Run("shut down", func(t *testing.T) {
				reconnectStorm(t, portable, func(first *process) { first.cmd.Process.Signal(syscall.SIGTERM) })
			})
		}
	})
}

func reconnectStorm(t *testing.T, portable bool, end func(first *process)) {
	const rate = 1000
	first := startServer(t, setup{Strangers: true, Limits: longwire.Limits{Strangers: -1}, Drain: 5 * time.Second})
	second := startServer(t, setup{Portable: portable, Strangers: true, Limits: longwire.Limits{AcceptRate: rate}})
	t.Setenv("LONGWIRE_TEST_ADDR", first.addr)
	t.Setenv("LONGWIRE_TEST_NEXT_ADDR", second.addr)
	clients := start(t, "fleet")
	first.wait(func(s counted) bool { return s.Open == fleet && s.Strangers == 0 })
	honest := second.honest()
	stop := make(chan struct{})
	asked := honest.askUntil(stop)

	var moved bool
	clients.look("move", &moved)
	var late, clientsLate time.Duration
	second.look("late", &late)
	clients.look("late", &clientsLate)
	m, began := machine.Watch(t), time.Now()
	end(first)
	second.wait(func(s counted) bool { return s.Open == fleet+1 && s.Strangers == 0 })
	for online := 0; online != fleet; {
		if since := time.Since(began); since > time.Minute {
			t.Fatalf("%d of %d are back after %v", online, fleet, since)
		}
		time.Sleep(10 * time.Millisecond) // a poll
		clients.look("online", &online)
	}
	took := time.Since(began)
	close(stop)
	answers := (<-asked).sorted(t)
	var most, dials int
	second.look("arrivals", &most)
	clients.look("dials", &dials)
	second.look("late", &late)
	clients.look("late", &clientsLate)
	t.Logf("%d of them dialled within a tenth of a second; all were back after %v; at most %d were accepted within a second; the honest peer: %v",
		dials, took, most, answers)
	// What is noted late takes some along, which would have been noted before: of the dials that are
	// 3 seconds' worth, and of what is accepted.
	m.Want(dials <= fleet/10+int(fleet/3*clientsLate.Seconds()), "%d of %d dialled within a tenth of a second; the clients were up to %v late", dials, fleet, clientsLate)
	m.Want(most <= rate*11/10+rate/50+int(rate*late.Seconds()), "%d were accepted within a second, at a rate of %d; the server was up to %v late", most, rate, late)
	m.Want(answers.worst() <= longestWait, "the honest peer has waited for %v", answers.worst())
}
