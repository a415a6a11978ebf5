package longwire

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
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
	c.mu.Lock()
	c.deaf = true
	c.mu.Unlock()
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
	if c.gone == nil {
		c.gone = make(chan struct{})
		if c.released {
			close(c.gone)
		}
	}
	gone := c.gone
	c.mu.Unlock()
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

// release is told when the driver has let go of the connection.
func (c *Conn) release() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.released = true
	if c.gone != nil {
		close(c.gone)
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
		(c.phase == stranger || !c.working && !c.flushing && c.inbox == nil && c.out == nil && c.control == 0 && c.asks.none())
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
	c.phase = over
	c.err = why
	c.asks.fail(why)
	c.asks = nil
	if c.deaf {
		c.inbox = nil
	}
	if c.done != nil {
		close(c.done)
	}
	after := c.after
	c.after = nil
	c.leaveLocked()
	c.mu.Unlock()

	for a := range after {
		go a.f()
	}
	c.end.closed(c, why)
	c.link.shut(linger)
}

// leaveLocked has called what Admit returned, when the connection is over and no
// handler runs any more.
func (c *Conn) leaveLocked() {
	if c.phase != over || c.working || c.leave == nil {
		return
	}
	leave, why := c.leave, c.err
	c.leave = nil
	c.end.wg.Go(func() {
		defer func() {
			if p := recover(); p != nil {
				c.end.Logger.Error("leave failed", "conn", c.ID(), "error", &panicError{p, debug.Stack()})
			}
		}()
		leave(why)
	})
}

// isDeaf reports whether messages that wait are not to be handled any more.
func (c *Conn) isDeaf() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.deaf
}

// sweep looks at what the connection has been waiting for, once a second. It is
// the one place where time ends a connection.
func (c *Conn) sweep(now int64) {
	e := c.end
	c.mu.Lock()
	phase, sendFrom, knows := c.phase, c.sendFrom, c.knows
	ended := max(c.ended, c.hungUp)
	paused := c.inbox.full(e.MaxInbox)
	c.mu.Unlock()
	if phase == over {
		return
	}
	heard, begun := c.heard.Load(), c.begun.Load()
	switch {
	case phase == stranger && late(now, c.born, e.AdmitTimeout):
		c.close(&CloseError{Reason: ReasonAdmitTimeout}, true)
	case begun != 0 && late(now, begun, e.FrameTimeout):
		c.close(&CloseError{Reason: ReasonFrameTimeout}, false)
	case sendFrom != 0 && late(now, sendFrom, e.WriteTimeout):
		c.close(&CloseError{Reason: ReasonWriteTimeout}, false)
	case ended != 0 && late(now, ended, e.WriteTimeout):
		c.close(&CloseError{Reason: ReasonPeerClosed}, false)
	case phase == admitted && ended == 0 && e.control && !paused:
		if knows && late(now, heard, e.PingInterval*5/2) {
			c.close(&CloseError{Reason: ReasonSilent}, false)
		} else if (knows || e.dials) && late(now, max(heard, c.pinged), e.PingInterval) {
			c.pinged = now
			c.sendControl(ping)
		}
	}
}
