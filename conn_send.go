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
// When MaxOutbox bytes wait already, Push waits for room until ctx ends, or does what
// Config.Overflow says for the type. It
// returns a [*CloseError] when the connection is over, and a [*frame.Error] when
// the message does not fit in a frame.
func (c *Conn) Push(ctx context.Context, t Type, v any) error {
	if how := c.end.Overflow[t]; how != OverflowWait {
		frame, err := c.end.encodeFrame(t, v)
		if err != nil {
			return fmt.Errorf("longwire: push %v: %w", t, err)
		}
		return c.offer(t, frame, how, false)
	}
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
	if err := c.end.fits(t, len(data)); err != nil {
		return 0, err
	}
	for {
		if queued = c.tryPut(t, data); queued > 0 {
			return queued, nil
		}
		if c.isOver() { // and nobody needs to hand the loop over
			return 0, c.Err()
		}
		c.kick() // what is queued may be waiting for more to go with it
		if queued = c.tryPut(t, data); queued > 0 {
			return queued, nil
		}
		room, done := c.room()
		yield(ctx)
		select {
		case <-room:
		case <-done:
		case <-ctx.Done():
			if !c.isOver() { // a handler's ctx ends with the connection
				return 0, fmt.Errorf("longwire: %v: no room to send: %w", t, context.Cause(ctx))
			}
		}
	}
}

// tryPut queues a frame that fits. It returns how many bytes are queued, and 0 when
// there is no room or the connection is over.
func (c *Conn) tryPut(t Type, data []byte) (queued int) {
	tooMuch := false
	c.mu.Lock()
	c.takeGatheredLocked()
	if c.phase != over && c.hasRoomLocked(len(data)) {
		n := len(data) + c.end.overhead
		b := c.tailLocked(n)
		if b == nil {
			b = c.newTailLocked()
		}
		b.b, _ = c.end.codec.Append(b.b, t, data)
		b.frames++
		first := c.out
		first.count++
		first.size += n
		queued = first.size
		tooMuch = c.sendFrom != 0 && c.countUnsentLocked()
	}
	c.mu.Unlock()
	if tooMuch {
		c.end.shedUnsent(c.end.Limits.Unsent)
	}
	return queued
}

// hasRoomLocked reports whether a message with n bytes of data may be queued; one
// always may.
func (c *Conn) hasRoomLocked(n int) bool {
	bytes, frames := c.queuedLocked()
	bytes += c.sending
	return bytes == 0 || bytes+n <= c.end.MaxOutbox && frames < c.end.MaxOutboxFrames
}

// room returns channels that are closed when there may be room, and when the
// connection is over.
func (c *Conn) room() (room, done <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	room, done = c.roomLocked(), c.doneLocked()
	if queued, _ := c.queuedLocked(); c.sending+queued == 0 { // since there was none
		c.makeRoomLocked()
	}
	return room, done
}

func (c *Conn) hasQueuedLocked() bool {
	return c.out != nil || c.control != 0 || c.rare != nil && c.rare.lanes != nil
}

// queuedLocked returns how many bytes and frames are queued, without those being
// written.
func (c *Conn) queuedLocked() (bytes, frames int) {
	if c.out != nil {
		bytes, frames = c.out.size, c.out.count
	}
	if c.rare != nil && c.rare.lanes != nil {
		bytes, frames = bytes+c.rare.lanes.size, frames+c.rare.lanes.count
	}
	return bytes, frames
}

// overdraft is by how many bytes control frames and refusals may exceed MaxOutbox.
// Beyond it nothing more is read, so that nothing more has to be refused.
const overdraft = 64 << 10

func (c *Conn) overdrawnLocked() bool {
	return c.out != nil && c.out.size >= c.end.MaxOutbox+overdraft
}

// putLocked queues a frame that fits.
func (c *Conn) putLocked(t Type, data []byte) {
	frame, _ := c.end.codec.Append(nil, t, data)
	c.putFrameLocked(frame, false)
}

// putFrameLocked queues a whole frame, which must never change again. Common says that it is for
// other connections too.
func (c *Conn) putFrameLocked(frame []byte, common bool) {
	c.takeGatheredLocked()
	shared := c.out == nil || len(frame) >= shareFrom
	b := c.tailLocked(len(frame))
	if b == nil || shared {
		b = c.newTailLocked()
	}
	if shared {
		b.shared, b.common = frame, common
		c.out.shares += b.commonSize()
	} else {
		b.b = append(b.b, frame...)
	}
	b.frames++
	c.out.count++
	c.out.size += len(frame)
}

// tailLocked returns the last buffer of what is queued if it has room for n bytes, and nil
// if not.
func (c *Conn) tailLocked(n int) *buffer {
	if c.out != nil && c.out.last.takes(n) {
		return c.out.last
	}
	return nil
}

// newTailLocked queues an empty buffer.
func (c *Conn) newTailLocked() *buffer {
	b := buffers.get()
	if c.out == nil {
		c.out = b
	} else {
		c.out.last.next = b
	}
	c.out.last = b
	return b
}

// claimLocked returns what the caller is to have written, with link.flush or
// link.kick. Nil means that there is nothing, or somebody else is at it.
func (c *Conn) claimLocked() *buffer {
	c.takeGatheredLocked()
	if c.flushing {
		return nil
	}
	b := c.takeOutLocked()
	c.flushing = b != nil
	return b
}

// takeOutLocked takes the first of what is queued, control frames before all.
func (c *Conn) takeOutLocked() *buffer {
	b := c.out
	var apart *lanes
	if c.rare != nil {
		apart = c.rare.lanes
	}
	switch {
	case c.control != 0:
		b = buffers.get()
		b.b = c.appendControlLocked(b.b)
		c.sending, c.common = len(b.b), false
		return b
	case apart != nil && (b == nil || apart.first):
		b = apart.take()
		apart.first = false
		apart.trim(c.rare)
	case b != nil:
		if c.out = b.next; c.out != nil {
			c.out.last, c.out.size, c.out.count = b.last, b.size-len(b.bytes()), b.count-b.frames
			c.out.shares = b.shares - b.commonSize()
		}
		b.next, b.last = nil, nil
		if apart != nil {
			apart.first = true
		}
	default:
		return nil
	}
	c.end.stats.framesOut.Add(int64(b.frames))
	c.sending, c.common = len(b.bytes()), b.common
	return b
}

// kick has what is queued written, without blocking.
func (c *Conn) kick() {
	c.mu.Lock()
	b := c.claimLocked()
	c.mu.Unlock()
	if b != nil {
		c.link.kick(b)
	}
}

// progress tells that the peer has taken n more of the bytes being written, and is
// expected to take the rest.
func (c *Conn) progress(n int) {
	now := c.end.now()
	c.mu.Lock()
	c.sending -= n
	if n > 0 || c.sendFrom == 0 {
		c.sendFrom = now
	}
	tooMuch := c.countUnsentLocked()
	c.mu.Unlock()
	c.end.stats.bytesOut.Add(int64(n))
	if tooMuch {
		c.end.shedUnsent(c.end.Limits.Unsent)
	}
}

// wrote tells that b is written, or never will be: after an error nothing more may
// be, as the peer may have received the beginning of a frame. It returns what to
// write next; nil ends the caller's claim.
func (c *Conn) wrote(b *buffer, err error) (next *buffer) {
	buffers.put(b)
	if err != nil { // while the claim is held, or another could write behind the broken frame
		c.close(&CloseError{Reason: ReasonLost, Err: err}, false)
	}
	c.mu.Lock()
	if err == nil {
		c.end.stats.bytesOut.Add(int64(c.sending))
	} else {
		c.dropLocked()
	}
	c.sending, c.sendFrom = 0, 0
	c.countUnsentLocked()
	next = c.takeOutLocked()
	c.flushing = next != nil
	c.makeRoomLocked()
	why, settled := c.parting, next == nil && c.settledLocked()
	resume := c.choked && !c.overdrawnLocked()
	c.choked = c.choked && !resume
	c.mu.Unlock()
	switch {
	case settled:
		c.close(why, true)
	case resume:
		c.link.resume()
	}
	return next
}

// roomLocked returns a channel that is closed when something has been written.
func (c *Conn) roomLocked() <-chan struct{} {
	r := c.rareLocked()
	if r.room == nil {
		r.room = make(chan struct{})
	}
	return r.room
}

func (c *Conn) makeRoomLocked() {
	if c.rare != nil && c.rare.room != nil {
		close(c.rare.room)
		c.rare.room = nil
	}
}

// unwritten tells the driver of a closing connection what is left to write: what it
// has claimed, or a channel to wait on while another goroutine is writing, or
// neither when all is written.
func (c *Conn) unwritten() (b *buffer, wait <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.flushing {
		return nil, c.roomLocked()
	}
	return c.claimLocked(), nil
}

// dropLocked forgets what is queued.
func (c *Conn) dropLocked() {
	c.takeGatheredLocked()
	for b := c.out; b != nil; {
		next := b.next
		buffers.put(b)
		b = next
	}
	c.out, c.control = nil, 0
	if c.rare != nil {
		c.rare.lanes = nil
	}
}

// fits reports whether a frame of the type with n bytes of data may be sent.
func (e *endpoint) fits(t Type, n int) error {
	switch {
	case n+e.overhead > e.MaxFrame:
		return &frame.Error{Reason: frame.TooLarge, Got: uint64(n + e.overhead), Want: uint64(e.MaxFrame)}
	case t > e.maxType:
		return &frame.Error{Reason: frame.BadType, Got: uint64(t), Want: uint64(e.maxType)}
	}
	return nil
}

// encodePush makes a value into the data of a frame.
func (e *endpoint) encodePush(v any) ([]byte, error) {
	if raw, ok := rawOf(v); ok {
		return raw, nil
	}
	switch v := v.(type) {
	case Envelope:
		return v.appendTo(nil)
	case *Envelope:
		return v.appendTo(nil)
	}
	return appendJSON(nil, v)
}
