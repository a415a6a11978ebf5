package longwire

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"
)

// Close ends the connection for the given reason, ReasonClosed as a rule. What
// is queued is still written, for up to 5 seconds, behind the caller's back;
// messages that have arrived and not been handled are dropped, and so is the answer
// of a handler that calls it. Only the first end of a connection counts. Close
// never blocks; Shutdown is the patient one. A value that is none of the Reason
// constants counts as ReasonClosed.
func (c *Conn) Close(reason Reason) {
	if reason == 0 || reason >= numReasons {
		reason = ReasonClosed
	}
	c.deaf.Store(true)
	c.close(&CloseError{Reason: reason}, true)
}

// Shutdown ends the connection in good order: it refuses new messages with status
// "503", lets handlers and questions in progress finish, writes what is queued, and
// returns when all of that is done and the connection closed. When ctx ends first,
// the rest is dropped and ctx's error returned; when the connection ended for
// another reason, that [*CloseError].
//
// A handler must not wait for Shutdown of its own connection: it would wait for
// itself.
func (c *Conn) Shutdown(ctx context.Context) error {
	c.closeWhenIdle(ReasonClosed)
	c.mu.Lock()
	r := c.rareLocked()
	if r.gone == nil {
		r.gone = make(chan struct{})
		if c.has == nobody {
			close(r.gone)
		}
	}
	gone := r.gone
	c.mu.Unlock()
	yield(ctx)
	select {
	case <-gone:
	case <-ctx.Done():
		c.close(&CloseError{Reason: ReasonClosed}, false)
		return fmt.Errorf("longwire: shutdown: %w", context.Cause(ctx))
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err.Reason == ReasonClosed && c.err.Err == nil {
		return nil
	}
	return c.err
}

// goneLocked reports whether nothing works for the connection any more.
func (c *Conn) goneLocked() bool { return c.has != aDriver && !c.working }

// release is told when the driver has let go of the connection, and c.in with it.
func (c *Conn) release() {
	if c.in != nil {
		buffers.put(c.in)
		c.in = nil
	}
	c.mu.Lock()
	c.countHeldLocked(0, 0)
	c.has = noDriver
	gone := c.goneLocked()
	c.mu.Unlock()
	if gone {
		c.end.gone(c)
	}
}

// forgotten tells those who wait for it that the connection is gone.
func (c *Conn) forgotten() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.has = nobody
	if c.rare != nil && c.rare.gone != nil {
		close(c.rare.gone)
	}
}

// closeWhenIdle ends the connection as soon as nothing is going on: no handler
// runs, nothing is queued, no question waits for its answer. Until then, messages
// are refused.
func (c *Conn) closeWhenIdle(reason Reason) {
	c.mu.Lock()
	if c.parting == nil {
		c.parting = &CloseError{Reason: reason}
	}
	why, settled := c.parting, c.settledLocked()
	c.mu.Unlock()
	if settled {
		c.close(why, true)
	}
}

// settledLocked reports whether the connection is to be closed and nothing is
// going on any more.
func (c *Conn) settledLocked() bool {
	return c.parting != nil && c.phase != over &&
		(c.phase == stranger || !c.working && !c.flushing && c.inbox == nil && !c.hasQueuedLocked() && c.asks.none())
}

// close ends the connection. Linger means that what is queued is still written.
func (c *Conn) close(why *CloseError, linger bool) {
	c.mu.Lock()
	if !linger {
		c.dropLocked()
	}
	if c.phase == over {
		c.mu.Unlock()
		if !linger {
			c.link.shut(false)
		}
		return
	}
	if c.parting != nil && why != c.parting { // the first cause counts
		why = &CloseError{Reason: c.parting.Reason, Err: errors.Join(c.parting.Err, why.Err)}
	}
	wasStranger := c.phase == stranger
	c.takeGatheredLocked()
	c.phase = over
	c.err = why
	c.countUnsentLocked()
	c.countHeldLocked(0, 0)
	c.asks.fail(why)
	c.asks = nil
	if c.deaf.Load() && c.inbox != nil {
		c.end.load.waiting.Add(-int64(c.inbox.size))
		c.inbox = nil
	}
	var after map[*afterFunc]struct{}
	if r := c.rare; r != nil {
		if r.done != nil {
			close(r.done)
		}
		after, r.after = r.after, nil
	}
	c.leaveLocked()
	c.mu.Unlock()

	if wasStranger {
		c.end.noStranger()
	}
	for a := range after {
		go a.f()
	}
	c.end.closed(c, why)
	c.link.shut(linger)
}

// leaveLocked has called what Admit returned, when the connection is over and no
// handler runs any more.
func (c *Conn) leaveLocked() {
	if c.phase != over || c.working || c.rare == nil || c.rare.leave == nil {
		return
	}
	leave, why := c.rare.leave, c.err
	c.rare.leave = nil
	c.end.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.end.Logger.Error("leave failed", "conn", c.ID(), "error", &panicError{p, debug.Stack()})
			}
		}()
		leave(why)
	})
}

// sweep looks at what the connection has been waiting for, once a second. It is
// the one place where time ends a connection.
func (c *Conn) sweep(now tick) {
	e := c.end
	c.mu.Lock()
	phase, sendFrom, knows, heard, begun, ended, pinged := c.phase, c.sendFrom, c.knows, c.heard, c.begun, c.ended, c.pinged
	if ended == 0 {
		ended = c.hungUp
	}
	since := c.strangerSinceLocked()
	paused, throttled := c.waits, c.throttledLocked()
	fullSince := c.fullSinceLocked(now)
	frameTimeout := c.frameTimeoutLocked()
	if c.rare != nil {
		c.rare.frames = 0
		c.rare.bytes = owed(c.rare.bytes, e.Limits.ByteRate)
	}
	if throttled {
		c.heard = now // what it has sent meanwhile is yet to be read
	}
	if pinged != 0 && int32(heard-pinged) >= 0 { // it has been answered, or needed no answer
		c.pinged, pinged = 0, 0
	}
	c.mu.Unlock()
	if throttled {
		paused = true
		c.link.resume() // one that is still over its rate pauses again
	}
	switch {
	case phase == over:
	case since != 0 && late(now, since, e.AdmitTimeout):
		c.close(&CloseError{Reason: ReasonAdmitTimeout}, true)
	case begun != 0 && late(now, begun, frameTimeout):
		c.close(&CloseError{Reason: ReasonFrameTimeout}, false)
	case fullSince != 0 && late(now, fullSince, e.SoftOutboxTime):
		c.close(&CloseError{Reason: ReasonOverflow, Err: fmt.Errorf("more than %d bytes have waited for %v", e.SoftOutbox, e.SoftOutboxTime)}, false)
	case sendFrom != 0 && late(now, sendFrom, e.WriteTimeout):
		c.close(&CloseError{Reason: ReasonWriteTimeout}, false)
	case ended != 0 && late(now, ended, e.WriteTimeout):
		c.close(&CloseError{Reason: ReasonPeerClosed}, false)
	case phase == admitted && ended == 0 && e.control && !paused:
		if knows && pinged != 0 && late(now, heard, e.PingInterval*5/2) {
			c.close(&CloseError{Reason: ReasonSilent}, false)
		} else if (knows || e.dials) && late(now, heard, e.PingInterval) && (pinged == 0 || late(now, pinged, e.PingInterval)) {
			c.mu.Lock()
			c.pinged = now
			c.mu.Unlock()
			c.sendControl(ping)
		}
	}
}

// fullSinceLocked returns since when more than Config.SoftOutbox has been waiting, 0 when
// there is not as much. Sweep alone asks.
func (c *Conn) fullSinceLocked(now tick) tick {
	limit := c.end.SoftOutbox
	if limit <= 0 {
		return 0
	}
	queued, _ := c.queuedLocked()
	switch full := c.sending+queued > limit; {
	case !full && c.rare == nil:
		return 0
	case !full:
		c.rare.fullSince = 0
	case c.rareLocked().fullSince == 0:
		c.rare.fullSince = now
	}
	return c.rare.fullSince
}

// frameTimeoutLocked returns how long the unfinished frame may take, which is longer by
// a second for every Config.MinRate bytes of it that have arrived.
func (c *Conn) frameTimeoutLocked() time.Duration {
	timeout := c.end.FrameTimeout
	if timeout > 0 && c.rare != nil && c.end.MinRate > 0 {
		timeout += time.Duration(float64(c.rare.unfinished) / float64(c.end.MinRate) * float64(time.Second))
	}
	return timeout
}
