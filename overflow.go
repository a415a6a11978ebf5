package longwire

import (
	"errors"
	"fmt"
)

// An Overflow says what becomes of a message that is pushed to a peer which does not
// read as fast as this side sends, when there is no room for it (Config.MaxOutbox).
type Overflow uint8

const (
	// OverflowWait: Push waits for room until its ctx ends, and Broadcast passes the
	// connection over.
	OverflowWait Overflow = iota
	// OverflowClose: the connection ends, with [ReasonOverflow].
	OverflowClose
	// OverflowDropNewest: the message is dropped.
	OverflowDropNewest
	// OverflowDropOldest: messages of the same type that wait are dropped, the oldest
	// first, until there is room; where that is not enough, the message itself.
	OverflowDropOldest
	// OverflowLatest: a message that waits is replaced by the next one of its type,
	// whether there is room or not. One of each such type may be over the limit.
	OverflowLatest
)

// ErrDropped is the error of Push for a message that was dropped, as Config.Overflow
// demands for its type, and that of BroadcastEach for one that there was no room for.
var ErrDropped = errors.New("longwire: dropped: the peer does not read fast enough")

// apart reports whether messages that wait do so apart from those of other types.
func (o Overflow) apart() bool { return o == OverflowDropOldest || o == OverflowLatest }

// errNoRoom is the error of offer where only Push may wait.
var errNoRoom = errors.New("no room")

// offer queues a frame, which must never change again, and has it written. It never
// waits, but returns errNoRoom when that is what the type demands. Common says that the
// frame is for other connections too.
func (c *Conn) offer(t Type, frame []byte, how Overflow, common bool) error {
	c.mu.Lock()
	dropped, err := c.offerLocked(t, frame, how, common)
	tooMuch := c.sendFrom != 0 && c.countUnsentLocked()
	b := c.claimLocked()
	c.mu.Unlock()
	c.end.stats.dropped.Add(int64(dropped))
	if b != nil {
		c.link.kick(b)
	}
	if tooMuch {
		c.end.shedUnsent(c.end.Limits.Unsent)
	}
	if err == errOverflow {
		c.close(&CloseError{Reason: ReasonOverflow, Err: fmt.Errorf("no room for a message of type %v", t)}, false)
		return c.Err()
	}
	return err
}

// errOverflow is the error of offerLocked when the connection must end.
var errOverflow = errors.New("overflow")

// offerLocked queues a frame as its type demands.
func (c *Conn) offerLocked(t Type, frame []byte, how Overflow, common bool) (dropped int, err error) {
	c.takeGatheredLocked()
	n := len(frame) - c.end.overhead
	switch {
	case c.phase == over:
		return 0, c.err
	case how.apart():
		l := c.lanesLocked().of(t)
		for len(l.frames) > 0 && (how == OverflowLatest || !c.hasRoomLocked(n)) {
			c.rare.lanes.pop(l)
			dropped++
		}
		if how == OverflowDropOldest && !c.hasRoomLocked(n) {
			c.rare.lanes.trim(c.rare)
			return dropped + 1, ErrDropped
		}
		c.rare.lanes.push(l, frame)
		return dropped, nil
	case c.hasRoomLocked(n):
		c.putFrameLocked(frame, common)
		return 0, nil
	case how == OverflowClose:
		return 0, errOverflow
	case how == OverflowDropNewest:
		return 1, ErrDropped
	}
	return 0, errNoRoom
}

// lanes are the messages that wait apart from the others, as they may be dropped: in
// a queue for each type. Those of one type keep their order, and those of different
// types take turns.
type lanes struct {
	all   []*lane
	next  int  // in all: whose turn it is
	size  int  // bytes in all of them
	count int  // frames
	first bool // it is their turn, and not that of Conn.out
}

type lane struct {
	typ    Type
	frames [][]byte
}

func (c *Conn) lanesLocked() *lanes {
	r := c.rareLocked()
	if r.lanes == nil {
		r.lanes = new(lanes)
	}
	return r.lanes
}

func (s *lanes) of(t Type) *lane {
	for _, l := range s.all {
		if l.typ == t {
			return l
		}
	}
	l := &lane{typ: t}
	s.all = append(s.all, l)
	return l
}

func (s *lanes) push(l *lane, frame []byte) {
	l.frames = append(l.frames, frame)
	s.size += len(frame)
	s.count++
}

func (s *lanes) pop(l *lane) (frame []byte) {
	frame, l.frames[0] = l.frames[0], nil
	l.frames = l.frames[1:]
	s.size -= len(frame)
	s.count--
	return frame
}

// trim lets go of the lanes when nothing is left in them.
func (s *lanes) trim(r *rare) {
	if s.count == 0 {
		r.lanes = nil
	}
}

// takeTogether is how many bytes of them are written at a time: what is being written
// cannot be dropped any more.
const takeTogether = 8 << 10

// take returns what is to be written next: small frames together.
func (s *lanes) take() *buffer {
	b := buffers.get()
	for s.count > 0 {
		l := s.all[s.next%len(s.all)]
		switch {
		case len(l.frames) == 0:
		case len(b.b) > 0 && len(b.b)+len(l.frames[0]) > takeTogether:
			return b
		case len(l.frames[0]) > takeTogether:
			b.shared = s.pop(l)
			b.frames++
			return b
		default:
			b.b = append(b.b, s.pop(l)...)
			b.frames++
		}
		s.next++
	}
	return b
}
