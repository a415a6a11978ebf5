package sim

import (
	"context"
	"errors"
	"math"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// A line is a board's connection that is up.
type line interface {
	// send sends a message and, unless the match is none, waits until ctx ends for its answer.
	send(ctx context.Context, t longwire.Type, match config.Match, data []byte) error
}

// errStorm ends a connection because of a storm.
var errStorm = errors.New("storm")

// work sends what the board has to send, each at its time, until ctx ends or it is enough. The
// first message of each comes at a random time, so that boards that connect together do not send
// together. A board does one thing at a time: when an answer is late, so is what comes next.
//
// Before each message it calls before; an error of that ends the work, and is returned. So does
// the time of a storm, with errStorm.
func (b *board) work(ctx context.Context, l line, before func() error) error {
	var at []time.Time // when each is sent next
	now := time.Now()
	for _, s := range b.g.sends {
		at = append(at, now.Add(time.Duration(b.random()*float64(s.Every))))
	}
	storm := len(at)
	if b.g.conf.Fault.Kind == config.Storm {
		at = append(at, b.nextStorm(now))
	}
	if len(at) == 0 {
		return nil
	}
	timer := time.NewTimer(math.MaxInt64)
	defer timer.Stop()
	for {
		i := 0
		for n := range at {
			if at[n].Before(at[i]) {
				i = n
			}
		}
		timer.Reset(time.Until(at[i]))
		select {
		case <-ctx.Done():
			return nil
		case <-b.g.f.enough:
			return nil
		case <-timer.C:
		}
		if i == storm {
			return errStorm
		}
		if err := before(); err != nil {
			return err
		}
		b.sendOne(ctx, l, i)
		s := b.g.sends[i]
		if at[i] = at[i].Add(b.around(s.Every, s.Jitter)); at[i].Before(time.Now()) {
			at[i] = time.Now().Add(b.around(s.Every, s.Jitter))
		}
	}
}

// sendOne sends one message, and counts what becomes of it.
func (b *board) sendOne(ctx context.Context, l line, i int) {
	f, s, tally := b.g.f, b.g.sends[i], b.g.tally
	f.asking.RLock()
	defer f.asking.RUnlock()
	if f.isEnough() {
		return
	}
	data, err := b.message(i)
	if err != nil {
		tally.failed("template")
		return
	}
	timed, cancel := context.WithTimeout(ctx, time.Duration(f.Scenario.Timeout))
	defer cancel()
	began := time.Now()
	if s.Match == config.MatchNone {
		tally.pushed.Add(1)
		if err := l.send(timed, s.Type, s.Match, data); err != nil {
			tally.failed(whyNoAnswer(err))
		}
		return
	}
	tally.asked.Add(1)
	switch err := l.send(timed, s.Type, s.Match, data); {
	case err == nil:
		tally.answered(time.Since(began))
	default:
		tally.failed(whyNoAnswer(err))
	}
}

// nextStorm returns when the board goes next. Storms come at fixed times after the beginning of
// the fleet, whether boards are connected then or not.
func (b *board) nextStorm(now time.Time) time.Time {
	f := b.g.conf.Fault
	every := time.Duration(f.Every)
	since := now.Sub(b.g.f.epoch)
	for n := since/every + 1; ; n++ {
		if b.chance(f.Share) {
			return b.g.f.epoch.Add(n*every + time.Duration(b.random()*float64(f.Pause)))
		}
		if f.Share == 0 {
			return now.Add(math.MaxInt64 / 2)
		}
	}
}

// whyNoAnswer returns the word for why there is no answer, or not the right one.
func whyNoAnswer(err error) string {
	if e, ok := errors.AsType[*longwire.RemoteError](err); ok {
		if !status.MatchString(e.Status) {
			return "status_other"
		}
		return "status_" + e.Status
	}
	if _, ok := errors.AsType[*longwire.CloseError](err); ok {
		return "connection_ended"
	}
	if errors.Is(err, context.DeadlineExceeded) {
		return "timeout"
	}
	if errors.Is(err, context.Canceled) {
		return "connection_ended"
	}
	return "not_sent"
}
