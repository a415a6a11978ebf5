package longwire

import (
	"errors"

	"github.com/longwire/longwire/frame"
)

// feed takes bytes that have arrived by now, in order; b is the driver's again when it
// returns. Control frames and answers are dealt with here, messages go to the
// inbox. When it reports that reading must pause, the driver reads no more until
// link.resume, and then calls feed again, with nothing at first; when it reports
// that input is over, what else arrives is of no use.
//
// A driver that gives a worker is ready to have messages handled on its own
// goroutine, before b is used again: those that feed gives to the worker, it then
// hands over with worker.handleInline.
func (c *Conn) feed(b []byte, now tick, w *worker) (paused, over bool) {
	inline, mostFrames, mostBytes := c.fed(len(b), now, w)
	if c.in != nil {
		c.in.b = append(c.in.b, b...)
		b = c.in.b
	}
	frames, bytes := 0, 0
	var err error
	if inline {
		frames, bytes, inline, err = w.cut(b, mostFrames, mostBytes)
	}
	for err == nil {
		if !inline {
			if over, paused = c.gate(); over || paused {
				break
			}
		}
		if paused = frames >= mostFrames || bytes >= mostBytes; paused || inline {
			break // cut has taken what there is
		}
		var f frame.Frame
		var n int
		if f, n, err = c.dec.Next(b[bytes:]); err == nil {
			frames++
			c.arrived(f, w)
		}
		bytes += n
	}
	b = b[bytes:]
	c.end.stats.framesIn.Add(int64(frames))
	if err != nil && !errors.Is(err, frame.ErrShort) {
		c.keep(nil, w)
		c.taken(now, frames, bytes, false)
		c.broken(err)
		return false, true
	}
	if over {
		b = nil
	}
	c.keep(b, w)
	c.taken(now, frames, bytes, paused)
	return paused, over
}

// fed notes that bytes have arrived. It reports whether messages may be handled
// where they arrive, and if so the worker has begun to: nothing else is going on
// that they would have to wait for. And it returns how many frames and bytes may be
// looked at.
func (c *Conn) fed(n int, now tick, w *worker) (inline bool, frames, bytes int) {
	c.end.stats.bytesIn.Add(int64(n))
	c.mu.Lock()
	if n > 0 {
		c.heard = now
	}
	frames, bytes = c.rateLeftLocked()
	inline = w != nil && c.phase == admitted && !c.working && c.inbox == nil && c.asks == nil && c.ended == 0 && c.parting == nil && !c.overdrawnLocked() && !c.throttledLocked()
	if inline {
		c.dec.SetConfig(c.end.admitted)
		c.working, c.inline, w.c = true, true, c
		w.gathered.beginLocked(c)
	}
	c.mu.Unlock()
	return inline, frames, bytes
}

// keep keeps the bytes that are no whole frame yet. What the worker has cut
// out of c.in goes with it.
func (c *Conn) keep(rest []byte, w *worker) {
	before, gathered := c.in, w != nil && w.batch != nil
	switch {
	case len(rest) == 0:
		c.in = nil
	case before == nil || gathered:
		c.in = buffers.get()
		c.in.b = append(c.in.b, rest...)
	case len(rest) < len(before.b):
		before.b = append(before.b[:0], rest...)
	}
	switch {
	case before == nil || before == c.in:
	case gathered:
		w.lent = before
	default:
		buffers.put(before)
	}
}

// taken notes how many frames and bytes have been looked at, and what is left of what has
// arrived: a frame that has begun, and when, unless it is the same as before; or what a
// peer over its rate has sent ahead. That may be whole frames, and what stands behind them
// is not the peer's to finish until they have been looked at.
func (c *Conn) taken(now tick, frames, bytes int, paused bool) {
	if !c.holding && c.in == nil && !c.end.rated {
		return // as a rule
	}
	c.holding = c.in != nil
	c.mu.Lock()
	c.countRateLocked(frames, bytes)
	switch {
	case c.in == nil || paused:
		c.begun = 0
	case bytes > 0 || c.begun == 0:
		c.begun = now
	}
	unfinished, ahead := 0, 0
	switch {
	case c.in == nil:
	case paused && c.phase == admitted && !c.choked && !c.waits: // so it is over its rate
		ahead = cap(c.in.b) // with the room that earlier frames have left
	default:
		unfinished = len(c.in.b)
	}
	tooMuch := c.countHeldLocked(unfinished, ahead)
	c.mu.Unlock()
	if tooMuch {
		c.end.shedUnfinished(c.end.Limits.Unfinished)
	}
}

// gate says whether the next frame may be looked at: not at all when the
// connection is over; not now when it would wait behind too many others, or
// behind the login of a peer that is not admitted.
func (c *Conn) gate() (stop, pause bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.phase == over || c.ended != 0:
		return true, false
	case c.phase == stranger:
		return false, !c.rare.adm.wants || c.throttledLocked()
	}
	c.dec.SetConfig(c.end.admitted) // it was the stranger's
	c.choked = c.overdrawnLocked()
	c.waits = c.inboxFullLocked() && c.asks.none()
	return false, c.choked || c.waits || c.throttledLocked()
}

// endInput tells that the peer has ended its stream. It may still read: what has
// arrived is answered first.
func (c *Conn) endInput() {
	if c.in != nil {
		c.broken(&frame.Error{Reason: frame.Truncated, Offset: c.dec.Offset() + int64(len(c.in.b))})
		return
	}
	c.endReading(&CloseError{Reason: ReasonPeerClosed})
}

// broken tells that the bytes are no frames. The frames before them are answered
// first.
func (c *Conn) broken(err error) {
	reason := ReasonBadFrame
	if e, ok := errors.AsType[*frame.Error](err); ok {
		reason = reasonOfFrame(e.Reason)
	}
	c.endReading(&CloseError{Reason: reason, Err: err})
}

// endReading ends the connection when what has arrived is dealt with.
func (c *Conn) endReading(why *CloseError) {
	c.mu.Lock()
	c.ended = c.end.now()
	if c.parting == nil {
		c.parting = why
	}
	c.asks.fail(c.parting)
	c.asks = nil
	settled := c.settledLocked()
	c.mu.Unlock()
	if settled {
		c.close(why, true)
	}
}

// mayReadAhead reports whether the driver may read though reading has paused,
// because no more than so many bytes wait to be looked at, nor too many on all
// connections. For a stranger it never does: there, what waits may be the answer to its
// login and the end of its stream.
func (c *Conn) mayReadAhead(limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == admitted && (c.in == nil || len(c.in.b) < limit) && !c.end.muchAhead()
}

// hangUp tells that the peer has ended its stream while reading had paused; what
// has been read and not looked at yet comes before endInput.
func (c *Conn) hangUp() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.hungUp == 0 {
		c.hungUp = c.end.now()
	}
}

// arrived deals with one frame. It reports whether the next one may be handled where
// it arrives, if this one might have been.
func (c *Conn) arrived(f frame.Frame, w *worker) (inline bool) {
	if c.end.isReserved(f.Type) {
		return c.controlArrived(f)
	}
	if w != nil {
		w.arrived = true
	}
	m := Message{Type: f.Type, Data: f.Data, conn: c}
	m.parts.scan(f.Data)
	c.mu.Lock()
	work := false
	var refusal *buffer
	switch {
	case c.phase == over: // since gate looked
	case c.asks.answeredBy(&m):
	case m.parts.isAnswer():
		c.end.stats.lateAnswers.Add(1)
	case c.phase == stranger:
		c.rare.adm.take(&m)
	default:
		if w != nil {
			w.apart = true
		}
		work, refusal = c.enqueueLocked(&m)
	}
	c.mu.Unlock()
	if work {
		c.work()
	}
	if refusal != nil {
		c.link.kick(refusal)
	}
	return false
}
