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
	since   tick
	wants   bool          // Receive waits for a message
	next    *Message      // the message that it waited for
	arrived chan struct{} // holds a token when next has been set; nil until Receive waits
	last    *Message      // what Receive returned last, nil when it is answered
}

// take gives Receive the message that it waits for. Conn.mu is held.
func (a *admission) take(m *Message) {
	if !a.wants {
		return // gate lets no frame through then
	}
	a.wants, a.next = false, m.Clone()
	select {
	case a.arrived <- struct{}{}:
	default:
	}
}

// errNotStranger is what Receive and Answer return outside of Server.Admit.
var errNotStranger = errors.New("longwire: the peer is admitted: its messages go to the handler")

// strangerLocked returns the state of the peer's admission, if it still goes on.
func (c *Conn) strangerLocked() (*admission, error) {
	switch c.phase {
	case over:
		return nil, c.err
	case admitted:
		return nil, errNotStranger
	}
	return c.rare.adm, nil
}

// Receive returns the next message of a peer that is not admitted yet. It is for
// [Server.Admit], and for one goroutine at a time. The message is the caller's to
// keep. Pings are answered and not returned.
func (c *Conn) Receive(ctx context.Context) (*Message, error) {
	for {
		gaveUp := ctx.Err()
		c.mu.Lock()
		a, err := c.strangerLocked()
		if err != nil {
			c.mu.Unlock()
			return nil, err
		}
		if m := a.next; m != nil {
			a.last, a.next = m, nil
			c.mu.Unlock()
			return m, nil
		}
		a.wants = gaveUp == nil
		if a.arrived == nil {
			a.arrived = make(chan struct{}, 1)
		}
		done := c.doneLocked()
		c.mu.Unlock()
		if gaveUp != nil {
			return nil, fmt.Errorf("longwire: receive: %w", context.Cause(ctx))
		}
		c.link.resume()
		select {
		case <-a.arrived:
		case <-done:
		case <-ctx.Done(): // a message that came at the same moment goes first
		}
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
	a, err := c.strangerLocked()
	if err == nil && a.last == m {
		a.last = nil
	}
	c.mu.Unlock()
	if err != nil {
		return err
	}
	return c.send(ctx, m.Type, data)
}

// admit lets the peer in, or not.
func (c *Conn) admit() {
	c.mu.Lock()
	a := c.rare.adm
	c.mu.Unlock()
	var leave func(error)
	err := errors.New("longwire: Admit ended its goroutine")
	defer func() { c.judge(a, leave, err) }()
	leave, err = c.callAdmit(a.admit)
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

// judge carries out what Admit has returned.
func (c *Conn) judge(a *admission, leave func(error), err error) {
	c.mu.Lock()
	last := a.last
	c.mu.Unlock()
	var data []byte
	if last != nil {
		data, _ = c.encodeAnswer(nil, last, nil, err)
	}
	c.mu.Lock()
	if err == nil {
		c.rare.leave = leave
	}
	if c.phase == over {
		c.leaveLocked()
		c.mu.Unlock()
		return
	}
	if last != nil {
		c.putLocked(last.Type, data) // it fits: its type came in a frame, and it is small
	}
	if err == nil {
		c.phase = admitted
		c.rare.adm = nil
	}
	c.mu.Unlock()
	if err == nil {
		c.end.noStranger()
	}
	if err != nil { // over before the peer learns of it and can end it in its own way
		c.close(&CloseError{Reason: ReasonNotAdmitted, Err: err}, true)
		return
	}
	c.kick()
	c.link.resume()
}
