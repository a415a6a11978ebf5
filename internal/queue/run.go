package queue

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/longwire/longwire/internal/store"
)

var (
	// ErrAway means that a board is not there.
	ErrAway = errors.New("the device is not connected")
	// ErrUnfit means that a command can never be sent to its board.
	ErrUnfit = errors.New("the command fits in no frame of the device's listener")
)

// run has boards sent what waits for them, in turn.
func (q *Queue) run() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		t, next := q.next()
		if t != nil {
			select {
			case q.slots <- struct{}{}:
			case <-q.ctx.Done():
				return
			}
			q.tasks.Go(func() {
				q.send(t)
				q.over(t)
				<-q.slots
			})
			continue
		}
		timer.Reset(next)
		select {
		case <-timer.C:
		case <-q.wake:
		case <-q.ctx.Done():
			return
		}
	}
}

// A turn is what one board is sent at a time. It has one turn at a time.
type turn struct {
	l        *line
	items    []*item
	arrivals uint64 // of the board
}

// next returns the next turn, nil where there is none, and when to look again.
func (q *Queue) next() (*turn, time.Duration) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now().UnixNano()
	for len(q.alarms) > 0 && q.alarms[0].alarm <= now {
		q.expireLocked(q.alarms[0], now)
	}
	for len(q.ready) > 0 && q.inFlight < q.conf.InFlight && !q.paused {
		l := q.ready[0]
		q.ready[0] = nil
		q.ready = q.ready[1:]
		l.queued = false
		if t := q.takeLocked(l, now); t != nil {
			return t, 0
		}
	}
	if len(q.alarms) == 0 {
		return nil, time.Hour
	}
	return nil, time.Duration(q.alarms[0].alarm - now)
}

// takeLocked takes what is to be sent to a board.
func (q *Queue) takeLocked(l *line, now int64) *turn {
	t := &turn{l: l, arrivals: l.arrivals}
	bytes := 0
	for l.here && q.inFlight < q.conf.InFlight && len(t.items) < chunk {
		next := q.nextLocked(l, now)
		if next == nil || next.retry > 0 || bytes > 0 && bytes+next.size > chunkBytes {
			break
		}
		bytes += next.size
		next.phase = sending
		l.busy++
		q.inFlight++
		t.items = append(t.items, next)
	}
	l.turning = len(t.items) > 0
	q.settleLocked(l)
	if !l.turning {
		return nil
	}
	return t
}

// over ends a turn.
func (q *Queue) over(t *turn) {
	q.mu.Lock()
	defer q.mu.Unlock()
	t.l.turning = false
	q.settleLocked(t.l)
}

// expireLocked ends the commands of a line whose time has passed. One that is with its board
// is judged when the board has answered, or has not.
func (q *Queue) expireLocked(l *line, now int64) {
	l.expiry = 0
	var gone []*item
	for _, it := range l.items {
		switch {
		case it.phase != waiting:
		case it.expires <= now:
			it.phase = ending
			gone = append(gone, it)
		default:
			l.expiry = earliest(l.expiry, it.expires)
		}
	}
	if len(gone) > 0 {
		q.tasks.Go(func() {
			for _, it := range gone {
				if c := q.read(l, it); c != nil {
					q.end(l, it, c, Expired)
				}
			}
		})
	}
	q.settleLocked(l)
}

// read reads a command that has not ended. One that cannot be read is lost: nil is returned, and the
// log says so.
func (q *Queue) read(l *line, it *item) *Command {
	for q.ctx.Err() == nil {
		r, err := q.conf.Log.Get(q.ctx, keyOf(l.device, it.id))
		if err == nil {
			c, broken := decodeCommand(r.Data)
			if broken == nil {
				return c
			}
			err = broken
		}
		if errors.Is(err, store.ErrUnavailable) {
			q.rest()
			continue
		}
		if q.ctx.Err() != nil {
			return nil
		}
		q.conf.Logger.Error("command lost", "device", l.device, "command", it.id, "error", err)
		q.mu.Lock()
		q.freeLocked(l, it)
		q.removeLocked(l, it)
		q.settleLocked(l)
		q.mu.Unlock()
		return nil
	}
	return nil
}

// rest waits a moment for the log to accept records again.
func (q *Queue) rest() {
	select {
	case <-time.After(250 * time.Millisecond):
	case <-q.ctx.Done():
	}
}

// send sends a board what its window has room for.
func (q *Queue) send(t *turn) {
	if q.pace.WaitN(q.ctx, len(t.items)) != nil {
		return
	}
	// That they have been sent is on disk before they are.
	l, now := t.l, time.Now().UTC()
	var commands, before []*Command
	var sent []*item
	var records []store.Record
	for _, it := range t.items {
		c := q.read(l, it)
		if c == nil {
			continue
		}
		if c.Attempts >= c.MaxAttempts {
			c.Error = "the gateway was restarted while it waited for the answer"
			q.tasks.Go(func() { q.end(l, it, c, Dead) })
			continue
		}
		was := *c
		c.State, c.SentAt, c.UpdatedAt = Sent, &now, now
		c.Attempts++
		commands, before, sent = append(commands, c), append(before, &was), append(sent, it)
		records = append(records, store.Record{Key: keyOf(l.device, c.ID), Data: c.encode()})
	}
	if len(records) == 0 {
		return
	}
	if _, err := q.conf.Log.Append(q.ctx, records...); err != nil {
		q.complain(err)
		if inDoubt(err) || q.ctx.Err() != nil {
			q.undo(l, before)
		}
		q.putBack(l, sent, time.Now().Add(time.Second))
		return
	}
	for i, c := range commands {
		it := sent[i]
		wait, err := q.conf.Sender.Send(q.ctx, c)
		if err == nil {
			q.mu.Lock()
			q.counts.Attempts++
			q.mu.Unlock()
			if before[i].State != Sent {
				q.tell(c)
			}
			q.tasks.Go(func() { q.await(l, it, c, wait) })
			continue
		}
		if errors.Is(err, ErrUnfit) {
			before[i].Error = err.Error()
			q.tasks.Go(func() { q.end(l, it, before[i], Failed) })
			continue
		}
		q.unsend(t, sent[i:], before[i:], err)
		return
	}
}

// freeLocked takes an item out of its board's window.
func (q *Queue) freeLocked(l *line, it *item) {
	if it.phase == sending {
		l.busy--
		q.inFlight--
		q.wakeUp()
	}
	it.phase = ending
}

// putBack has items wait until they may be sent again.
func (q *Queue) putBack(l *line, items []*item, retry time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, it := range items {
		q.freeLocked(l, it)
		it.phase, it.retry = waiting, retry.UnixNano()
		l.expiry = earliest(l.expiry, it.expires)
	}
	q.settleLocked(l)
}

// unsend takes back that commands have been sent, as they have not.
func (q *Queue) unsend(t *turn, items []*item, before []*Command, why error) {
	l := t.l
	q.undo(l, before)
	retry := time.Now()
	if errors.Is(why, ErrAway) {
		q.mu.Lock()
		if l.arrivals == t.arrivals { // it has not come back meanwhile
			l.here = false
		}
		q.mu.Unlock()
	} else {
		q.conf.Logger.Debug("command not sent", "device", l.device, "error", why)
		retry = retry.Add(time.Second)
	}
	q.putBack(l, items, retry)
}

// undo writes commands as they were before they were to be sent, which they have not been. It does not
// give up: what the disk says of attempts is what the next one goes by. When the queue closes the log writes
// what it has been given.
func (q *Queue) undo(l *line, before []*Command) {
	records := make([]store.Record, len(before))
	for i, c := range before {
		records[i] = store.Record{Key: keyOf(l.device, c.ID), Data: c.encode()}
	}
	for {
		_, err := q.conf.Log.Append(q.ctx, records...)
		if err == nil || q.ctx.Err() != nil {
			return
		}
		q.complain(err)
		q.rest()
	}
}

// await waits for the answer to a command, and decides what becomes of it.
func (q *Queue) await(l *line, it *item, c *Command, wait func(context.Context) (Answer, error)) {
	ctx, cancel := context.WithTimeout(q.ctx, c.timeout())
	answer, err := wait(ctx)
	cancel()
	if q.ctx.Err() != nil { // the next queue sends it again
		return
	}
	verdict := Done
	if err == nil {
		c.Answer, c.Error = answer.JSON, ""
		if !answer.Bytes {
			verdict = judge(answer.Status)
		}
		if verdict != Done {
			c.Error = "the device has answered with status " + strconv.Quote(answer.Status)
		}
	} else {
		c.Error, verdict = err.Error(), Sent
	}
	now := time.Now()
	switch {
	case verdict != Sent:
	case c.Attempts >= c.MaxAttempts:
		verdict = Dead
	case !now.Before(c.ExpiresAt):
		verdict = Expired
	}
	if verdict != Sent {
		q.end(l, it, c, verdict)
		return
	}
	c.UpdatedAt, c.Answer = now.UTC(), nil // Error says what the answer was
	if _, err := q.conf.Log.Append(q.ctx, store.Record{Key: keyOf(l.device, c.ID), Data: c.encode()}); err != nil {
		q.complain(err)
	}
	q.putBack(l, []*item{it}, now.Add(backoff(c.Attempts)))
}

// judge says what an answer with a status makes of a command: Done, Failed, or Sent where it is worth
// another attempt.
func judge(status string) State {
	n, err := strconv.Atoi(status)
	switch {
	case err != nil || len(status) != 3:
		return Sent
	case 200 <= n && n <= 299:
		return Done
	case 400 <= n && n <= 499 && n != 408 && n != 425 && n != 429:
		return Failed
	}
	return Sent
}

const (
	minBackoff = time.Second
	maxBackoff = time.Minute
)

// backoff returns how long to wait after so many attempts: at least half of a time that
// doubles, so that boards which have failed together are not asked again together.
func backoff(attempts int) time.Duration {
	most := min(minBackoff<<min(attempts-1, 10), maxBackoff)
	return most/2 + rand.N(most/2)
}

// end ends a command. It does not give up: what a board has answered is kept in memory until it
// is on disk.
func (q *Queue) end(l *line, it *item, c *Command, state State) {
	for {
		err := q.finish(l, it, c, state)
		if errors.Is(err, store.ErrTooLarge) && c.Answer != nil {
			c.Error = fmt.Sprintf("the answer of %d bytes is too large to be kept", len(c.Answer))
			c.Answer = nil
			continue
		}
		if err == nil || q.ctx.Err() != nil {
			return
		}
		q.complain(err)
		q.rest()
	}
}

// graveTime is how long a command that has ended stays on disk after it would have expired, if it was
// not to be kept for longer: when its last record goes a crash may uncover the one before it, and
// the command must not be sent then.
const graveTime = time.Hour

// finish ends a command, if the log accepts that.
func (q *Queue) finish(l *line, it *item, c *Command, state State) error {
	c.State, c.UpdatedAt = state, time.Now().UTC()
	stays := max(q.conf.Keep, time.Until(c.ExpiresAt)+graveTime)
	if _, err := q.conf.Log.Append(q.ctx, store.Record{Key: keyOf(l.device, c.ID), Data: c.encode(), TTL: stays}); err != nil {
		return err
	}
	q.tell(c)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.freeLocked(l, it)
	q.removeLocked(l, it)
	q.counts.Ended[state]++
	q.settleLocked(l)
	return nil
}

func (q *Queue) tell(c *Command) {
	if q.conf.Changed != nil {
		q.conf.Changed(c)
	}
}

// complain logs that the log does not accept what it must, now and then.
func (q *Queue) complain(err error) {
	q.mu.Lock()
	silent := time.Since(q.warned) < 10*time.Second || q.ctx.Err() != nil
	if !silent {
		q.warned = time.Now()
	}
	q.mu.Unlock()
	if !silent {
		q.conf.Logger.Error("the store refuses what has become of commands; they wait in memory", "error", err)
	}
}
