package queue

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// Get returns a command of a board, also for a while when it has ended.
func (q *Queue) Get(ctx context.Context, device, id string) (*Command, error) {
	// In the order in which it moves.
	for _, key := range []string{waitingKey(device, id), endedKey(device, id)} {
		r, err := q.conf.Log.Get(ctx, key)
		switch {
		case errors.Is(err, store.ErrNotFound), err == nil && len(r.Data) == 0:
			continue
		case err != nil:
			return nil, err
		}
		return decodeCommand(r.Data)
	}
	return nil, ErrNotFound
}

// Wait returns a command of a board when it has ended, or as it is when ctx ends.
func (q *Queue) Wait(ctx context.Context, device, id string) (*Command, error) {
	var ended chan struct{}
	q.mu.Lock()
	if l := q.lines[device]; l != nil {
		if it := l.find(id); it != nil {
			if it.ended == nil {
				it.ended = make(chan struct{})
			}
			ended = it.ended
		}
	}
	q.mu.Unlock()
	if ended != nil {
		select {
		case <-ended:
		case <-q.ctx.Done():
		case <-ctx.Done():
		}
	}
	return q.Get(context.WithoutCancel(ctx), device, id)
}

// Cancel calls a command back that is not with its board at the moment.
func (q *Queue) Cancel(ctx context.Context, device, id string) (*Command, error) {
	q.mu.Lock()
	l := q.lines[device]
	var it *item
	if l != nil {
		it = l.find(id)
	}
	if it == nil || it.phase == ending {
		q.mu.Unlock()
		if c, err := q.Get(ctx, device, id); err != nil {
			return nil, err
		} else {
			return c, ErrEnded
		}
	}
	if it.phase != waiting {
		q.mu.Unlock()
		return nil, ErrInFlight
	}
	it.phase = ending
	q.settleLocked(l)
	q.mu.Unlock()

	r, err := q.conf.Log.Get(ctx, waitingKey(device, id))
	var c *Command
	if err == nil {
		c, err = decodeCommand(r.Data)
	}
	if err != nil {
		q.putBack(l, []*item{it}, time.Now())
		return nil, err
	}
	if err := q.finish(l, it, c, Cancelled); err != nil {
		q.putBack(l, []*item{it}, time.Now())
		return nil, err
	}
	return c, nil
}

// List returns commands of a board, those that have ended before the others, each in their
// order, at most limit of them and about 1 MiB of their data and answers: those behind a cursor, which is "" for the first. Next is the cursor for
// more, "" where there are none.
func (q *Queue) List(ctx context.Context, device string, state State, cursor string, limit int) (page []*Command, next string, err error) {
	kind, at, bytes := "r", uint64(0), 0
	full := func() bool { return len(page) == limit || len(page) > 0 && bytes > listBytes }
	if cursor != "" {
		number, err := strconv.ParseUint(cursor[1:], 10, 64)
		if kind = cursor[:1]; err != nil || kind != "r" && kind != "q" {
			return nil, "", fmt.Errorf("%w %.40q", ErrCursor, cursor)
		}
		at = number
	}
	if kind == "r" && (state == "" || state.Ended()) {
		for {
			records, err := q.conf.Log.Read(ctx, endedKey(device, "*"), at, 256)
			if err != nil {
				return nil, "", err
			}
			if len(records) == 0 {
				break
			}
			for _, r := range records {
				c, err := decodeCommand(r.Data)
				if err != nil {
					continue // it has been said when it was read first
				}
				if state != "" && c.State != state {
					at = r.Seq
					continue
				}
				if full() {
					return page, "r" + strconv.FormatUint(at, 10), nil
				}
				page = append(page, c)
				bytes += c.weight()
				at = r.Seq
			}
		}
	}
	if kind == "r" {
		at = 0
	}
	if state.Ended() && state != "" {
		return page, "", nil
	}
	for _, id := range q.waiting(device, int64(at)) {
		c, err := q.Get(ctx, device, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, "", err
		}
		if c.State.Ended() || state != "" && c.State != state { // it has ended meanwhile, and is of the other part
			at = uint64(c.order())
			continue
		}
		if full() {
			return page, "q" + strconv.FormatUint(at, 10), nil
		}
		page = append(page, c)
		bytes += c.weight()
		at = uint64(c.order())
	}
	return page, "", nil
}

// listBytes is how many bytes a page of List may have before it ends: commands that have
// ended are bounded on disk alone.
const listBytes = 1 << 20

// ErrCursor means that a cursor is none that List has returned.
var ErrCursor = errors.New("no such cursor")

// waiting returns the ids of the commands of a board behind a place in its line.
func (q *Queue) waiting(device string, after int64) (ids []string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[device]
	if l == nil {
		return nil
	}
	for _, it := range l.items {
		if it.order > after && it.phase != writing {
			ids = append(ids, it.id)
		}
	}
	return ids
}
