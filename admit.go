package longwire

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
)

// admission is the state of a peer that Server.Admit has not let in yet. Frames
// are looked at one by one, as Receive asks for them; what the peer sends behind
// its login waits for the limits of an admitted peer.
type admission struct {
	admit   admitFunc
	wants   bool          // Receive waits for a message
	arrived chan *Message // the message that it waited for; holds one
	last    *Message      // what Receive returned last, nil when it is answered
}

// take gives Receive the message that it waits for. Conn.mu is held.
func (a *admission) take(m *Message) {
	if a.wants {
		a.wants = false
		a.arrived <- m.Clone()
	}
}

// errNotStranger is what Receive and Answer return outside of Server.Admit.
var errNotStranger = errors.New("longwire: the peer is admitted: its messages go to the handler")

// Receive returns the next message of a peer that is not admitted yet. It is for
// [Server.Admit], and for one goroutine at a time. The message is the caller's to
// keep. Pings are answered and not returned.
func (c *Conn) Receive(ctx context.Context) (*Message, error) {
	c.mu.Lock()
	switch {
	case c.phase == over:
		c.mu.Unlock()
		return nil, c.err
	case c.phase != stranger:
		c.mu.Unlock()
		return nil, errNotStranger
	}
	a, done := c.adm, c.doneLocked()
	a.wants = true
	c.mu.Unlock()
	c.link.resume()
	select {
	case m := <-a.arrived:
		c.mu.Lock()
		a.last = m
		c.mu.Unlock()
		return m, nil
	case <-done:
		return nil, c.Err()
	case <-ctx.Done():
		return nil, fmt.Errorf("longwire: receive: %w", context.Cause(ctx))
	}
}

// Answer answers a message that Receive returned, as a handler's return value
// would. It is for logins of several steps: the last message that Admit received
// is answered with what Admit returns, unless Answer has answered it.
func (c *Conn) Answer(ctx context.Context, m *Message, answer any) error {
	data, err := c.encodeAnswer(nil, m, answer, nil)
	if err != nil {
		return fmt.Errorf("longwire: answer %v: %w", m.Type, err)
	}
	c.mu.Lock()
	if c.phase != stranger {
		defer c.mu.Unlock()
		if c.phase == over {
			return c.err
		}
		return errNotStranger
	}
	if c.adm.last == m {
		c.adm.last = nil
	}
	c.mu.Unlock()
	return c.send(ctx, m.Type, data)
}

// admit lets the peer in, or not.
func (c *Conn) admit() {
	a := c.adm
	leave, err := c.callAdmit(a.admit)
	c.mu.Lock()
	last := a.last
	c.mu.Unlock()
	var data []byte
	if last != nil {
		data, _ = c.encodeAnswer(nil, last, nil, err)
	}
	c.mu.Lock()
	if c.phase == over {
		why := c.err
		c.mu.Unlock()
		if err == nil && leave != nil {
			leave(why)
		}
		return
	}
	if last != nil {
		c.putLocked(last.Type, data) // it fits: its type came in a frame, and it is small
	}
	if err == nil {
		c.phase = admitted
		c.leave = leave
	}
	c.mu.Unlock()
	if err != nil { // over before the peer learns of it and can end it in its own way
		c.close(&CloseError{Reason: ReasonNotAdmitted, Err: err}, true)
		return
	}
	c.kick()
	c.link.resume()
}

// callAdmit calls Server.Admit. A panic refuses the peer.
func (c *Conn) callAdmit(admit admitFunc) (leave func(error), err error) {
	defer func() {
		if p := recover(); p != nil {
			leave, err = nil, &panicError{p, debug.Stack()}
			c.end.Logger.Error("Admit failed", "conn", c.ID(), "error", err)
		}
	}()
	return admit(c.context(), c)
}
