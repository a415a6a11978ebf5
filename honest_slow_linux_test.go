//go:build slow

package longwire_test

import (
	"crypto/tls"
	"fmt"
	"net"
	"slices"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/machine"
)

// A bystander finds out what an honest peer notices of an attack on its server. The server
// has a process for itself, and so have the attackers, so it waits for nobody but the server;
// and a second honest peer, of a server like it that is not attacked, tells what the machine
// alone makes them wait.
type bystander struct {
	t                 *testing.T
	honest, elsewhere *honest
	idle              latencies
}

const (
	// askEvery is how often it asks, at most: it must not be what keeps the server busy.
	askEvery = 4 * time.Millisecond

	// leastIdle is what the p99 without an attack is taken for when it is less, as it is while
	// nothing else runs on the machine: a tenth of that. One turn of another process on one of
	// two processors is more.
	leastIdle = 2500 * time.Microsecond

	// longestWait is what no answer may take.
	longestWait = time.Second

	// tries is how often an attack may be felt too much, as by something else that the machine
	// does at the same time; what the server does is felt each time.
	tries = 5
)

// bystander returns one, which has been there for a while before the attack begins.
func (p *process) bystander() *bystander {
	p.t.Helper()
	b := &bystander{t: p.t, honest: p.honest(), elsewhere: startServer(p.t, p.setup).honest()}
	stop := make(chan struct{})
	asked := b.honest.askUntil(stop)
	time.Sleep(400 * time.Millisecond) // for so long it is measured
	close(stop)
	b.idle = (<-asked).sorted(p.t)
	return b
}

// during runs an attack, and says when an honest peer feels too much of it: no answer may take
// longer than a second, and p99 may be twice what it is without the attack.
func (b *bystander) during(attack func(m *machine.Load)) {
	b.t.Helper()
	for try := 1; ; try++ {
		m := machine.Watch(b.t)
		attacked, limit := b.once(func() { attack(m) })
		m.Want(attacked.worst() <= longestWait, "the honest peer has waited for %v", attacked.worst())
		why := m.Disturbed()
		switch {
		case why != "":
			b.t.Logf("p99 is not judged, as %s", why)
			return
		case attacked.p99() <= limit || underRaceDetector():
			return
		case try == tries:
			b.t.Errorf("the honest peer's p99 is %v, more than %v", attacked.p99(), limit)
			return
		}
		b.t.Logf("the honest peer's p99 is %v, more than %v: once more", attacked.p99(), limit)
	}
}

// once runs an attack, and returns how long answers took and what their p99 may be.
func (b *bystander) once(attack func()) (attacked latencies, limit time.Duration) {
	b.t.Helper()
	stop := make(chan struct{})
	asked, askedElsewhere := b.honest.askUntil(stop), b.elsewhere.askUntil(stop)
	attack()
	close(stop)
	attacked, elsewhere := (<-asked).sorted(b.t), (<-askedElsewhere).sorted(b.t)
	b.t.Logf("before: %v; attacked: %v; elsewhere: %v", b.idle, attacked, elsewhere)
	return attacked, 2 * max(b.idle.p99(), elsewhere.p99(), leastIdle)
}

// An honest peer asks one small question after the other.
type honest struct {
	nc      net.Conn
	answers *frame.Reader
}

// honest returns a peer, which has logged in.
func (p *process) honest() *honest {
	p.t.Helper()
	nc := p.dial()
	h := &honest{nc: nc, answers: frame.NewReader(nc, nil)}
	if _, err := h.ask(wire(typeLogin, "let me in")); err != nil {
		p.t.Fatal(err)
	}
	return h
}

// guard is how long a peer waits for anything; no test waits for it to end.
const guard = 2 * time.Minute

// dial connects to the server, over TLS if it speaks that.
func (p *process) dial() net.Conn {
	p.t.Helper()
	var nc net.Conn
	var err error
	if p.setup.CertFile != "" {
		nc, err = tls.Dial("tcp", p.addr, &tls.Config{InsecureSkipVerify: true})
	} else {
		nc, err = net.Dial("tcp", p.addr)
	}
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { nc.Close() })
	nc.SetDeadline(time.Now().Add(guard))
	return nc
}

// ask asks once.
func (h *honest) ask(question []byte) (took time.Duration, err error) {
	began := time.Now()
	h.nc.SetDeadline(began.Add(guard))
	if _, err := h.nc.Write(question); err != nil {
		return 0, err
	}
	_, err = h.answers.Next()
	return time.Since(began), err
}

// asked is how long answers took, until one did not come.
type asked struct {
	took latencies
	err  error
}

func (a asked) sorted(t *testing.T) latencies {
	t.Helper()
	if a.err != nil {
		t.Fatalf("the honest peer: %v", a.err)
	}
	slices.Sort(a.took)
	return a.took
}

// askUntil asks until stop is closed, and then says how long the answers took.
func (h *honest) askUntil(stop <-chan struct{}) <-chan asked {
	done := make(chan asked, 1)
	go func() {
		var all asked
		defer func() { done <- all }()
		question := wire(1, "how long does this take?")
		pace := time.NewTicker(askEvery)
		defer pace.Stop()
		for {
			took, err := h.ask(question)
			if err != nil {
				all.err = err
				return
			}
			for ; took > 0; took -= askEvery { // it would have asked more, and waited for those too
				all.took = append(all.took, took)
			}
			select {
			case <-pace.C:
			case <-stop:
				return
			}
		}
	}()
	return done
}

// latencies are how long answers took, in ascending order.
type latencies []time.Duration

func (l latencies) p99() time.Duration   { return l[len(l)*99/100] }
func (l latencies) worst() time.Duration { return l[len(l)-1] }

func (l latencies) String() string {
	round := func(d time.Duration) time.Duration { return d.Round(10 * time.Microsecond) }
	return fmt.Sprintf("p50 %v, p99 %v, worst %v, of %d", round(l[len(l)/2]), round(l.p99()), round(l.worst()), len(l))
}
