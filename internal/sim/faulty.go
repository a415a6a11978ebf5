package sim

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// liveFaultily is what a board does that has a fault of its own.
func (b *board) liveFaultily(ctx context.Context) {
	r, failures := b.g.conf.Reconnect, 0
	for ctx.Err() == nil {
		up, err := b.connectFaultily(ctx)
		if failures++; up {
			failures = 0
		}
		if err != nil && ctx.Err() == nil {
			b.g.tally.notConnected(err)
		}
		// As a longwire.Client does: a random time, of up to 32 times the shortest and twice that
		// after each failure.
		ceiling := min(time.Duration(r.Min)<<min(failures+5, 20), time.Duration(r.Max))
		if ceiling < time.Duration(r.Min) {
			ceiling = time.Duration(r.Max)
		}
		sleep(ctx, time.Duration(r.Min)+rand.N(ceiling-time.Duration(r.Min)+1))
	}
}

// connectFaultily is one connection. It reports whether the board was let in, and the error when it
// was not.
func (b *board) connectFaultily(ctx context.Context) (up bool, err error) {
	nc, err := b.dial(ctx, "", "")
	if err != nil {
		return false, err
	}
	tally := b.g.tally
	w := newWire(ctx, b, nc.(*net.TCPConn))
	defer w.end(longwire.ReasonClosed)
	tally.opened.Add(1)
	if h := b.hello(); h != nil {
		timed, cancel := context.WithTimeout(w.ctx, time.Duration(b.g.f.Scenario.Timeout))
		defer cancel()
		if err := w.hello(timed, h); err != nil {
			return false, err
		}
	}
	tally.up(b)
	defer tally.down()
	sent := 0
	err = b.work(w.ctx, w, func() error {
		if sent++; sent <= int(b.g.conf.Fault.After) {
			return nil
		}
		return w.goWrong()
	})
	if err == nil {
		<-w.ctx.Done()
	}
	return true, nil
}

// errWrong ends the work on a connection, because the fault leaves nothing to go on with.
var errWrong = errors.New("the fault has come")

// goWrong is the fault of those boards that have sent enough before it. It returns when the
// connection is over, or nil when the board goes on.
func (w *wire) goWrong() error {
	fault := w.b.g.conf.Fault
	switch fault.Kind {
	case config.Garbage:
		w.write(w.garbage(int(fault.Bytes)), 0)
		return w.rest(time.Duration(w.b.g.f.Scenario.Timeout))
	case config.WrongTail:
		whole := w.nextFrame()
		whole[len(whole)-1] ^= 0xFF
		w.write(whole, 0)
		return w.rest(time.Duration(w.b.g.f.Scenario.Timeout))
	case config.Stop:
		whole := w.nextFrame()
		w.write(whole[:len(whole)/2], 0)
		return w.rest(time.Duration(fault.Hold))
	case config.HalfOpen:
		// The reader stops at the next bytes at the latest, and nothing is written. At the end it is
		// reset: a board that has vanished does not say goodbye.
		w.deaf.Store(true)
		w.nc.SetReadDeadline(time.Unix(1, 0))
		err := w.rest(time.Duration(fault.Hold))
		w.nc.SetLinger(0)
		w.end(longwire.ReasonLost)
		return err
	}
	return nil
}

// rest waits until the gateway ends the connection, or for a time.
func (w *wire) rest(d time.Duration) error {
	sleep(w.ctx, d)
	return errWrong
}

// nextFrame returns the frame of the board's first kind of messages.
func (w *wire) nextFrame() []byte {
	s := &w.b.g.sends[0]
	data, err := w.b.message(0)
	if err != nil {
		data = []byte("?")
	}
	whole, _ := w.b.g.f.codec.Append(nil, s.Type, data) // New has tried that it fits
	return whole
}

// garbage returns bytes that are no frame: none is the first of a head.
func (w *wire) garbage(n int) []byte {
	head := w.b.g.f.codec.Format().Head
	all := make([]byte, n)
	for i := range all {
		all[i] = byte(w.b.random() * 256)
		if head != "" && all[i] == head[0] {
			all[i]++
		}
	}
	return all
}
