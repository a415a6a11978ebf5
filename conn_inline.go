package longwire

import (
	"context"
	"sync/atomic"
	"time"
)

// cut takes frames out of b, as many as are whole and no more than may be looked at, for the
// handler: handleInline hands them over while their bytes stand where they are. Frames that are no
// messages, and messages that must not be handled on the driver's goroutine, it gives to
// Conn.arrived; inline is false when those behind must go the same way.
func (w *worker) cut(b []byte, mostFrames, mostBytes int) (frames, bytes int, inline bool, err error) {
	c := w.c
	e := c.end
	slow := e.slow.any()
	inline = true
	for inline && bytes < len(b) && frames < mostFrames && bytes < mostBytes {
		f, n, no := c.dec.Next(b[bytes:])
		bytes += n
		if no != nil {
			err = no
			break
		}
		frames++
		if f.Type >= firstReserved && e.isReserved(f.Type) || slow && e.slow.has(f.Type) || w.own.full(e.MaxInbox) {
			inline = c.arrived(f, w)
			continue
		}
		m := w.own.next()
		m.Type, m.Data, m.conn = f.Type, f.Data, c
		if mayBeEnvelope(f.Data) {
			if m.parts.scan(f.Data); m.parts.isAnswer() {
				e.stats.lateAnswers.Add(1)
				*m = Message{}
				w.own.msgs = w.own.msgs[:len(w.own.msgs)-1]
				continue
			}
		}
		w.own.size += len(f.Data) + queuedOverhead
	}
	if len(w.own.msgs) > 0 {
		w.batch = &w.own
	}
	return frames, bytes, inline, err
}

// handleInline hands what feed has cut to the handler, on the driver's goroutine. It
// returns what the driver has to write now, as after link.flush. When a handler does not come
// back, that becomes a goroutine like that of run, and the driver goes on with another.
func (w *worker) handleInline(t turn) (claimed *buffer) {
	switch {
	case w.c == nil:
		return nil
	case w.batch == nil:
		return w.restInline()
	}
	if w.yielded == nil {
		w.yielded = w.handedOver
		w.inline = true
	}
	returned := false
	defer func() {
		if !returned {
			w.skip()
			go w.run()
		}
	}()
	t.Enter(w.yielded)
	w.handleBatch()
	returned = true
	if kept, took := t.Leave(); kept {
		if took > 0 {
			w.c.end.slow.tookInline(w.batch.msgs, took)
		}
		return w.restInline()
	}
	w.flush()
	w.drop()
	w.run()
	return nil
}

// restInline ends the work on the driver's goroutine, and returns what that has to write.
// Messages that wait are for another one.
func (w *worker) restInline() (claimed *buffer) {
	c := w.c
	w.c = nil
	if w.batch != nil {
		w.drop()
	}
	c.mu.Lock()
	c.inline = false
	w.gathered.endLocked(c)
	claimed = c.claimLocked()
	if c.inbox == nil {
		c.rest()
	} else {
		c.mu.Unlock()
		c.work()
	}
	return claimed
}

// handedOver is called when a handler has not come back, by whoever noticed.
func (w *worker) handedOver() {
	c := w.c
	w.alone.Store(true)
	c.end.slow.add(Type(w.current.Load()))
	c.mu.Lock()
	c.inline = false
	c.mu.Unlock()
	c.kick()
}

// handledBy is the key of the connection in the context of its handlers.
type handledBy struct{}

// yield is called before waiting, with the context of the call: it may be that of a
// handler.
func yield(ctx context.Context) {
	if c, ok := ctx.Value(handledBy{}).(*Conn); ok {
		c.yield()
	}
}

// yield lets the driver go on if a handler of c runs on its goroutine, as it is about
// to wait.
func (c *Conn) yield() {
	c.mu.Lock()
	inline := c.inline
	c.mu.Unlock()
	if inline {
		c.link.yield()
	}
}

// slowTypes remembers the types of messages whose handlers are slow: they would hold up
// the loop, and are no slower on a goroutine of their own. Types that share a place
// share their fate, which costs a little time and nothing else.
type slowTypes struct {
	left  [256]atomic.Int32 // messages that have to be handled fast until it is forgotten; or suspect
	known atomic.Bool       // there has been one
}

const (
	slowFor    = 1000                   // messages
	slowAgain  = 200                    // messages more, when one has been slow again
	slowEnough = 100 * time.Microsecond // for a message
	suspect    = -1                     // has been slow once
)

func (s *slowTypes) place(t Type) *atomic.Int32 { return &s.left[uint8(t^t>>8)] }

func (s *slowTypes) any() bool       { return s.known.Load() }
func (s *slowTypes) has(t Type) bool { return s.known.Load() && s.place(t).Load() > 0 }

func (s *slowTypes) add(t Type) {
	s.place(t).Store(slowFor)
	s.known.Store(true)
}

// tookInline notes how long messages took on the loop. One that took long may just not
// have had a processor; two in a row are believed, and blamed on the type of the last.
func (s *slowTypes) tookInline(msgs []Message, d time.Duration) {
	last := msgs[len(msgs)-1].Type
	p := s.place(last)
	switch slow := d > slowEnough*time.Duration(len(msgs)); {
	case !slow:
		p.CompareAndSwap(suspect, 0)
	case !p.CompareAndSwap(0, suspect):
		s.add(last)
	}
}

// took notes how long messages took on a goroutine of their own.
func (s *slowTypes) took(msgs []Message, d time.Duration) {
	slow := d > slowEnough*time.Duration(len(msgs))
	for i := range msgs {
		switch p := s.place(msgs[i].Type); {
		case slow:
			p.Store(min(max(p.Load(), 0)+slowAgain, slowFor))
		case p.Load() > 0:
			p.Add(-1)
		}
	}
}
