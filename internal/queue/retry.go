package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// ErrWaits means that a command has not ended, and so need not be retried.
var ErrWaits = errors.New("the command has not ended")

// Retry has a command wait again that has ended without being done: at the end of its board's line, with
// the same id, all its attempts, and as much time as it had. It returns when that is on disk.
//
// Where the log does not say whether it is, the command is retried if this process ends before the log
// accepts that it is not.
func (q *Queue) Retry(ctx context.Context, device, id string) (*Command, error) {
	old, err := q.Get(ctx, device, id)
	if err != nil {
		return nil, err
	}
	p, err := q.placeAgain(old)
	if err != nil {
		return old, err
	}
	// Its place keeps all others away from it; but it may have been retried in the meantime.
	now, err := q.Get(ctx, device, id)
	if err == nil && !now.UpdatedAt.Equal(old.UpdatedAt) {
		err = ErrWaits
	}
	if err != nil {
		q.leave(p)
		return old, err
	}
	record := store.Record{Key: keyOf(device, id), Data: p.c.encode()}
	_, err = q.conf.Log.Append(context.WithoutCancel(ctx), record)
	if err == nil {
		q.tell(p.c)
		q.written([]placed{*p}, nil)
		q.look(device)
		return p.c, nil
	}
	if inDoubt(err) && q.ctx.Err() == nil {
		q.tasks.Go(func() { q.restore(p, old) })
	} else {
		q.leave(p)
	}
	return old, err
}

// placeAgain gives a command that has ended a place in the line of its board.
func (q *Queue) placeAgain(old *Command) (*placed, error) {
	if old.State == Done {
		return nil, ErrEnded
	}
	if !old.State.Ended() {
		return nil, ErrWaits
	}
	c := *old
	c.State, c.Attempts, c.SentAt, c.Error, c.Answer = Queued, 0, nil, "", nil
	c.ExpiresAt = time.Now().Add(old.ExpiresAt.Sub(old.CreatedAt)).UTC()
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.closed:
		return nil, ErrClosed
	case q.doubtful[keyOf(c.Device, c.ID)]:
		return nil, fmt.Errorf("%w: what has become of the command is not known yet", store.ErrUnavailable)
	case q.trimming: // it might be trimmed as one that has ended
		return nil, store.ErrFull
	}
	if l := q.lines[c.Device]; l != nil && l.find(c.ID) != nil {
		return nil, ErrWaits
	}
	return q.placeLocked(&c)
}

// leave takes a command out of its line again that is not on disk there.
func (q *Queue) leave(p *placed) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.removeLocked(p.l, p.it)
	q.settleLocked(p.l)
}

// restore has a command be as it was, when it is not known whether it is on disk that it waits. It keeps
// its place so that nobody does anything to it meanwhile, and tries until the log accepts that.
func (q *Queue) restore(p *placed, old *Command) {
	q.mu.Lock()
	p.it.phase = ending
	q.mu.Unlock()
	stays := max(time.Until(old.UpdatedAt.Add(q.conf.Keep)), time.Until(p.c.ExpiresAt)+graveTime)
	for {
		q.rest()
		if q.ctx.Err() != nil {
			return
		}
		if _, err := q.conf.Log.Append(q.ctx, store.Record{Key: keyOf(old.Device, old.ID), Data: old.encode(), TTL: stays}); err == nil {
			break
		}
	}
	q.leave(p)
}
