package longwire

import (
	"fmt"
	"iter"
)

// shareFrom is the size of the smallest frame that the connections of a broadcast
// share. Smaller ones are copied, so that they travel together with what is queued.
const shareFrom = 2 << 10

// Broadcast pushes a message to many connections, such as those of [Server.Conns]: v
// is encoded and made into a frame once, and a frame that waits on many connections
// is in memory once.
//
// Broadcast never waits. A connection that is over, or whose peer has left so much
// unread that there is no room (Config.MaxOutbox), is passed over, unless
// Config.Overflow says otherwise for the type; queued counts the others. The error tells that v cannot be encoded, that the type is reserved, or that
// the message does not fit in a frame of some connections; the others have it then.
func Broadcast(conns iter.Seq[*Conn], t Type, v any) (queued int, err error) {
	var end *endpoint // of the connections that frame is for
	var frame []byte
	var misfit error
	for c := range conns {
		if c.end != end {
			end = c.end
			if frame, err = end.encodeFrame(t, v); err != nil {
				misfit = fmt.Errorf("longwire: broadcast %v: %w", t, err)
			}
		}
		if err == nil && c.pushFrame(t, frame) {
			queued++
		}
	}
	return queued, misfit
}

// encodeFrame makes a message into a whole frame.
func (e *endpoint) encodeFrame(t Type, v any) ([]byte, error) {
	if err := e.application(t); err != nil {
		return nil, err
	}
	data, err := e.encodePush(v)
	if err == nil {
		err = e.fits(t, len(data))
	}
	if err != nil {
		return nil, err
	}
	return e.codec.Append(make([]byte, 0, len(data)+e.overhead), t, data)
}

// pushFrame queues a frame, which must never change again, and has it written. It
// reports whether it is queued.
func (c *Conn) pushFrame(t Type, frame []byte) bool {
	return c.offer(t, frame, c.end.Overflow[t], true) == nil
}
