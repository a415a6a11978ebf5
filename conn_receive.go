package longwire

import (
	"errors"

	"github.com/longwire/longwire/frame"
)

// feed takes bytes that have arrived, in order; b is the driver's again when it
// returns. Control frames and answers are dealt with here, messages go to the
// inbox. When it reports that reading must pause, the driver reads no more until
// link.resume, and then calls feed again, with nothing at first.
func (c *Conn) feed(b []byte) (paused bool) {
	now := c.end.now()
	if len(b) > 0 {
		c.heard.Store(now)
		c.end.stats.bytesIn.Add(int64(len(b)))
	}
	if len(c.in) > 0 {
		c.in = append(c.in, b...)
		b = c.in
	}
	frames, moved := int64(0), false
	var f frame.Frame
	var err error
	for {
		var stop bool
		if stop, paused = c.gate(); stop || paused {
			break
		}
		var n int
		f, n, err = c.dec.Next(b)
		b = b[n:]
		moved = moved || n > 0
		if err != nil {
			break
		}
		frames++
		c.arrived(f)
	}
	c.end.stats.framesIn.Add(frames)
	if err != nil && !errors.Is(err, frame.ErrShort) {
		c.in = nil
		c.broken(err)
		return false
	}
	switch {
	case c.inputOver():
		c.in = nil
		return false
	case len(b) == 0:
		c.in = nil
		c.begun.Store(0)
		return paused
	case paused:
		c.begun.Store(0)
	case moved || c.begun.Load() == 0:
		c.begun.Store(now)
	}
	if len(b) != len(c.in) { // otherwise they are the same bytes
		c.in = append(c.in[:0], b...)
	}
	return paused
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
		return false, !c.adm.wants
	}
	c.dec.SetConfig(c.end.admitted) // it was the stranger's
	return false, c.inbox.full(c.end.MaxInbox) && c.asks.none() ||
		c.out != nil && c.overdrawn(len(c.out.b))
}

// endInput tells that the peer has ended its stream. It may still read: what has
// arrived is answered first.
func (c *Conn) endInput() {
	if len(c.in) > 0 {
		c.broken(&frame.Error{Reason: frame.Truncated, Offset: c.dec.Offset() + int64(len(c.in))})
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
	c.asks.fail(why)
	c.asks = nil
	settled := c.settledLocked()
	c.mu.Unlock()
	if settled {
		c.close(why, true)
	}
}

// mayReadAhead reports whether the driver may read though reading has paused,
// because no more than so many bytes wait to be looked at. For a stranger it never
// does: there, what waits may be the answer to its login and the end of its stream.
func (c *Conn) mayReadAhead(limit int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == admitted && len(c.in) < limit
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

// inputOver reports whether no more frames are looked at.
func (c *Conn) inputOver() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.phase == over || c.ended != 0
}

// arrived deals with one frame.
func (c *Conn) arrived(f frame.Frame) {
	if c.end.control && firstReserved <= f.Type && f.Type <= lastReserved {
		c.controlArrived(f)
		return
	}
	m := Message{Type: f.Type, Data: f.Data, conn: c, parts: scanEnvelope(f.Data)}
	c.mu.Lock()
	work, kick := false, false
	switch {
	case c.phase == over: // since gate looked
	case c.asks.answeredBy(&m):
	case m.parts.isAnswer():
		c.end.stats.lateAnswers.Add(1)
	case c.phase == stranger:
		c.adm.take(&m)
	default:
		work, kick = c.enqueueLocked(&m)
	}
	c.mu.Unlock()
	if work {
		c.work()
	}
	if kick {
		c.link.kick()
	}
}
