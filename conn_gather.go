package longwire

import "sync/atomic"

// A gathering is how a worker on the driver's goroutine adds answers to Conn.out without Conn.mu, which would
// cost as much as all else that there is to do for one. It has the only buffer there to itself, until the batch
// is over or somebody else has to do with what is queued: he takes what is whole by then, and the worker, who
// notices with the next answer, goes on as everybody does.
type gathering struct {
	buf  *buffer // nil when nothing may be gathered
	b    []byte  // its bytes, with as much room as may be used
	done uint64  // what is whole in b: bytes<<32 | frames

	queued atomic.Uint64 // the same for everybody else, or taken
}

// taken is what somebody leaves in place of what he has taken.
const taken = ^uint64(0)

// beginLocked begins to gather, if nothing is queued.
func (g *gathering) beginLocked(c *Conn) {
	if c.out != nil || c.flushing || c.rare != nil && c.rare.lanes != nil {
		return
	}
	b := buffers.get()
	most := min(c.end.MaxOutboxFrames, flushAt) * c.end.overhead // no more frames than are allowed have room
	g.buf, g.b, g.done = b, b.b[:0:min(cap(b.b), c.end.MaxOutbox, flushAt, most)], 0
	g.queued.Store(0)
	b.gathering, c.out = g, b
}

// takes reports whether a frame of n bytes may be added to b.
func (g *gathering) takes(n int) bool { return n <= cap(g.b)-len(g.b) }

// added queues the frame that has been added to b. It reports false when it has come too late for the one who
// took the others, and there is nothing to be gathered any more.
func (g *gathering) added() bool {
	done := uint64(len(g.b))<<32 | uint64(uint32(g.done)+1)
	if !g.queued.CompareAndSwap(g.done, done) {
		g.b = nil
		return false
	}
	g.done = done
	return true
}

// end leaves what is gathered to be written; the worker does it.
func (g *gathering) end(c *Conn) {
	if g.buf != nil {
		c.mu.Lock()
		g.endLocked(c)
		c.mu.Unlock()
	}
}

func (g *gathering) endLocked(c *Conn) {
	b, done := g.buf, g.queued.Load()
	g.buf, g.b = nil, nil
	switch {
	case b == nil:
	case done == taken:
		buffers.put(b)
	case done == 0:
		c.out = nil
		buffers.put(b)
	default:
		b.gathering = nil
		b.fill(done)
	}
}

// takeLocked ends the gathering for its worker, and returns what is gathered, nil if nothing: in another buffer, as
// the worker may be adding to its own.
func (g *gathering) takeLocked() *buffer {
	done := g.queued.Swap(taken)
	if done == 0 {
		return nil
	}
	b := buffers.get()
	b.b = append(b.b, g.buf.b[:done>>32]...)
	b.fill(done)
	return b
}

// fill makes b, which holds what has been done, the only buffer that is queued.
func (b *buffer) fill(done uint64) {
	b.size, b.count, b.last = int(done>>32), int(uint32(done)), b
	b.b, b.frames = b.b[:b.size], b.count
}

// takeGatheredLocked has to be called before anything is done with what is queued.
func (c *Conn) takeGatheredLocked() {
	if c.out != nil && c.out.gathering != nil {
		c.out = c.out.gathering.takeLocked()
	}
}
