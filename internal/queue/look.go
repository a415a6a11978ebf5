package queue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// Get returns a command of a board, also for a while when it has ended.
func (q *Queue) Get(ctx context.Context, device, id string) (*Command, error) {
	r, err := q.conf.Log.Get(ctx, keyOf(device, id))
	if errors.Is(err, store.ErrNotFound) || err == nil && len(r.Data) == recordHead {
		return nil, ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	c, err := decodeCommand(r.Data)
	if err == nil && !q.keeps(c) {
		return nil, ErrNotFound
	}
	return c, err
}

// keeps reports whether a command is still to be seen. It may be on disk for longer.
func (q *Queue) keeps(c *Command) bool {
	return !c.State.Ended() || time.Since(c.UpdatedAt) < q.conf.Keep
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

// Cancel calls a command back that is not with its board at the moment. Where the log does not say whether
// that is on disk, the command is cancelled as soon as it does.
func (q *Queue) Cancel(ctx context.Context, device, id string) (*Command, error) {
	q.mu.Lock()
	l := q.lines[device]
	var it *item
	if l != nil {
		it = l.find(id)
	}
	if it == nil || it.phase == ending {
		q.mu.Unlock()
		c, err := q.Get(ctx, device, id)
		if err != nil {
			return nil, err
		}
		if !c.State.Ended() {
			return nil, fmt.Errorf("%w: that the command has ended is not on disk yet", store.ErrUnavailable)
		}
		return c, ErrEnded
	}
	if it.phase != waiting {
		q.mu.Unlock()
		return nil, ErrInFlight
	}
	it.phase = leaving
	q.settleLocked(l)
	q.mu.Unlock()

	r, err := q.conf.Log.Get(q.ctx, keyOf(device, id))
	var c *Command
	if err == nil {
		c, err = decodeCommand(r.Data)
	}
	if err == nil {
		err = q.finish(l, it, c, Cancelled)
	}
	if err == nil {
		return c, nil
	}
	if q.ctx.Err() != nil {
		return nil, ErrClosed
	}
	if c != nil && inDoubt(err) { // it may be on disk that it is cancelled, and so it is to stay
		q.mu.Lock()
		it.phase = ending
		q.mu.Unlock()
		q.tasks.Go(func() { q.end(l, it, c, Cancelled) })
	} else {
		q.putBack(l, []*item{it}, time.Now())
	}
	return nil, err
}

// A page is what List collects.
type page struct {
	commands []*Command
	state    State // that they shall have; "" for all
	limit    int
	bytes    int
}

// add adds a command if it is one of those that are wanted. False means that there is no room for it.
func (p *page) add(c *Command) bool {
	if p.state != "" && c.State != p.state {
		return true
	}
	if len(p.commands) == p.limit || len(p.commands) > 0 && p.bytes > listBytes {
		return false
	}
	p.commands = append(p.commands, c)
	p.bytes += c.weight()
	return true
}

func (p *page) has(c *Command) bool {
	return slices.ContainsFunc(p.commands, func(other *Command) bool { return other.ID == c.ID })
}

// List returns commands of a board, those that have ended before the others, each in their
// order, at most limit of them and about 1 MiB of their data and answers: those behind a cursor, which is
// "" for the first. Next is the cursor for more, "" where there are none.
func (q *Queue) List(ctx context.Context, device string, state State, cursor string, limit int) (commands []*Command, next string, err error) {
	part, at := "e", uint64(0)
	if cursor != "" {
		part = cursor[:1]
		if at, err = strconv.ParseUint(cursor[1:], 10, 64); err != nil || part != "e" && part != "w" {
			return nil, "", fmt.Errorf("%w %.40q", ErrCursor, cursor)
		}
	}
	p := &page{state: state, limit: limit}
	more := false
	if part == "e" && (state == "" || state.ends()) {
		at, more, err = q.listEnded(ctx, p, device, at)
	}
	if part == "e" && !more {
		part, at = "w", 0
	}
	if part == "w" && err == nil && !state.ends() {
		at, more, err = q.listWaiting(ctx, p, device, at)
	}
	if err != nil || !more {
		return p.commands, "", err
	}
	return p.commands, part + strconv.FormatUint(at, 10), nil
}

// listEnded adds what has ended behind a number in the log. More means that there is no room for
// what is behind the number that it returns.
func (q *Queue) listEnded(ctx context.Context, p *page, device string, after uint64) (at uint64, more bool, err error) {
	for {
		records, err := q.conf.Log.Read(ctx, keyOf(device, "*"), after, 256)
		if err != nil || len(records) == 0 {
			return after, false, err
		}
		for _, r := range records {
			if len(r.Data) > recordHead && r.Data[0] == recordEnded {
				// One that cannot be read is none.
				if c, err := decodeCommand(r.Data); err == nil && q.keeps(c) && !p.add(c) {
					return after, true, nil
				}
			}
			after = r.Seq
		}
	}
}

// listWaiting adds what has not ended behind a place in the line of the board.
func (q *Queue) listWaiting(ctx context.Context, p *page, device string, after uint64) (at uint64, more bool, err error) {
	for _, id := range q.waiting(device, int64(after)) {
		c, err := q.Get(ctx, device, id)
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return after, false, err
		}
		if c.State.Ended() && p.has(c) { // meanwhile, and in time for the other part
			continue
		}
		if !p.add(c) {
			return after, true, nil
		}
		after = uint64(c.order())
	}
	return after, false, nil
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
