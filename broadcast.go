package longwire

import (
	"errors"
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
// Config.Overflow says otherwise for the type; queued counts the others. The error
// tells that v cannot be encoded, that the type is reserved, or that the message does
// not fit in a frame of some connections; the others have it then.
func Broadcast(conns iter.Seq[*Conn], t Type, v any) (queued int, err error) {
	for _, why := range BroadcastEach(conns, t, v) {
		if why == nil {
			queued++
		} else if _, over := errors.AsType[*CloseError](why); !over && why != ErrDropped {
			err = why
		}
	}
	return queued, err
}

// BroadcastEach is Broadcast for those who want to know which connections the message
// is queued on. It yields each with nil, or with the reason why not: [ErrDropped] where
// there is no room, a [*CloseError] where the connection is over, and any other error
// where Broadcast would return it. The message goes out while the result is ranged over.
func BroadcastEach(conns iter.Seq[*Conn], t Type, v any) iter.Seq2[*Conn, error] {
	return func(yield func(*Conn, error) bool) {
		var end *endpoint // of the connections that frame is for
		var frame []byte
		var misfit error
		for c := range conns {
			if c.end != end {
				end = c.end
				if frame, misfit = end.encodeFrame(t, v); misfit != nil {
					misfit = fmt.Errorf("longwire: broadcast %v: %w", t, misfit)
				}
			}
			why := misfit
			if why == nil {
				why = c.offer(t, frame, end.Overflow[t], true) // it must never change again
			}
			if why == errNoRoom {
				why = ErrDropped
			}
			if !yield(c, why) {
				return
			}
		}
	}
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
