package longwire

import (
	"context"
	"fmt"

	"github.com/longwire/longwire/frame"
)

// Push sends a message that needs no answer: v encoded as JSON, an Envelope, or
// Raw bytes as they are. It returns when the message is queued; what is queued is
// written in order, at once, and several messages together where they meet.
//
// When MaxOutbox bytes wait already, Push waits for room until ctx ends. It
// returns a [*CloseError] when the connection is over, and a [*frame.Error] when
// the message does not fit in a frame.
func (c *Conn) Push(ctx context.Context, t Type, v any) error {
	if err := c.end.application(t); err != nil {
		return err
	}
	data, err := c.end.encodePush(v)
	if err != nil {
		return fmt.Errorf("longwire: push %v: %w", t, err)
	}
	return c.send(ctx, t, data)
}

// send queues a frame and sees to it that it is written.
func (c *Conn) send(ctx context.Context, t Type, data []byte) error {
	if _, err := c.put(ctx, t, data); err != nil {
		return err
	}
	c.kick()
	return nil
}

// put queues a frame, waiting for room. It returns how many bytes are queued.
func (c *Conn) put(ctx context.Context, t Type, data []byte) (queued int, err error) {
	if err := c.end.fits(len(data)); err != nil {
		return 0, err
	}
	c.mu.Lock()
	for {
		if c.phase == over {
			c.mu.Unlock()
			return 0, c.err
		}
		if c.hasRoomLocked(len(data)) {
			err = c.putLocked(t, data)
			if c.out != nil {
				queued = len(c.out.b)
			}
			c.mu.Unlock()
			return queued, err
		}
		room, done := c.roomLocked(), c.doneLocked()
		c.mu.Unlock()
		c.kick() // what is queued may be waiting for more to go with it
		select {
		case <-room:
		case <-done:
		case <-ctx.Done():
			if c.isOver() { // a handler's ctx ends with the connection
				return 0, c.Err()
			}
			return 0, fmt.Errorf("longwire: %v: no room to send: %w", t, context.Cause(ctx))
		}
		c.mu.Lock()
	}
}

// hasRoomLocked reports whether n more bytes may be queued; one message always
// may.
func (c *Conn) hasRoomLocked(n int) bool {
	queued := c.sending
	if c.out != nil {
		queued += len(c.out.b)
	}
	return queued == 0 || c.end.MaxOutbox < 0 || queued+n <= c.end.MaxOutbox
}

// overdraft is by how many bytes control frames and refusals may exceed MaxOutbox.
// Beyond it nothing more is read, so that nothing more has to be refused.
const overdraft = 64 << 10

func (c *Conn) overdrawn(queued int) bool {
	return c.end.MaxOutbox > 0 && queued >= c.end.MaxOutbox+overdraft
}

// putLocked queues a frame.
func (c *Conn) putLocked(t Type, data []byte) error {
	if c.out == nil {
		c.out = buffers.get()
	}
	b, err := c.end.codec.Append(c.out.b, t, data)
	c.out.b = b
	if err != nil {
		if len(b) == 0 {
			buffers.put(c.out)
			c.out = nil
		}
		return err
	}
	c.end.stats.framesOut.Add(1)
	return nil
}

// claimLocked reports whether the caller is the one to write what is queued.
func (c *Conn) claimLocked() bool {
	if c.flushing {
		return false
	}
	c.flushing = true
	return true
}

// kick has what is queued written, without blocking.
func (c *Conn) kick() {
	c.mu.Lock()
	mine := (c.out != nil || c.control != 0) && c.claimLocked()
	c.mu.Unlock()
	if mine {
		c.link.kick()
	}
}

// takeOut gives the driver, which has claimed the writing, the next bytes to
// write. Nil means that there are none and the claim has ended. Every buffer taken
// is given back with wrote.
func (c *Conn) takeOut() *buffer {
	c.mu.Lock()
	b := c.out
	if c.control != 0 {
		b = buffers.get()
		b.b = c.appendControlLocked(b.b)
	} else {
		c.out = nil
	}
	if b != nil {
		c.sending, c.sendFrom = len(b.b), c.end.now()
		c.mu.Unlock()
		return b
	}
	c.flushing = false
	c.makeRoomLocked()
	why := c.parting
	settled := c.settledLocked()
	c.mu.Unlock()
	if settled {
		c.close(why, true)
	}
	return nil
}

// progress tells that the peer has taken n more of the bytes being written.
func (c *Conn) progress(n int) {
	c.mu.Lock()
	c.sending -= n
	c.sendFrom = c.end.now()
	c.mu.Unlock()
	c.end.stats.bytesOut.Add(int64(n))
}

// wrote gives back what takeOut gave. After an error nothing more may be written:
// the peer may have received the beginning of a frame.
func (c *Conn) wrote(b *buffer, err error) {
	overdrawn := c.overdrawn(len(b.b)) // so reading may have paused
	buffers.put(b)
	c.mu.Lock()
	c.sending, c.sendFrom = 0, 0
	c.makeRoomLocked()
	if err != nil {
		c.dropLocked()
	}
	c.mu.Unlock()
	if err != nil {
		c.close(&CloseError{Reason: ReasonLost, Err: err}, false)
	} else if overdrawn {
		c.link.resume()
	}
}

// roomLocked returns a channel that is closed when something has been written.
func (c *Conn) roomLocked() <-chan struct{} {
	if c.room == nil {
		c.room = make(chan struct{})
	}
	return c.room
}

func (c *Conn) makeRoomLocked() {
	if c.room != nil {
		close(c.room)
		c.room = nil
	}
}

// unwritten tells the driver of a closing connection what is left to write: that
// it has claimed the writing, or a channel to wait on while another goroutine is
// writing, or neither when all is written.
func (c *Conn) unwritten() (claimed bool, wait <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing {
		return false, c.roomLocked()
	}
	return (c.out != nil || c.control != 0) && c.claimLocked(), nil
}

// dropLocked forgets what is queued.
func (c *Conn) dropLocked() {
	if c.out != nil {
		buffers.put(c.out)
		c.out = nil
	}
	c.control = 0
}

// fits reports whether a frame with n bytes of data may be sent.
func (e *endpoint) fits(n int) error {
	if size := n + e.codec.Overhead(); size > e.MaxFrame {
		return &frame.Error{Reason: frame.TooLarge, Got: uint64(size), Want: uint64(e.MaxFrame)}
	}
	return nil
}

// encodePush makes a value into the data of a frame.
func (e *endpoint) encodePush(v any) ([]byte, error) {
	switch v := v.(type) {
	case Raw:
		return v, nil
	case Envelope:
		return v.appendTo(nil)
	case *Envelope:
		return v.appendTo(nil)
	}
	return appendJSON(nil, v)
}
