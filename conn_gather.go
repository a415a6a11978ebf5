package longwire

import "sync/atomic"

// A gathering is how a worker on the driver's goroutine adds answers to Conn.out without Conn.mu, which would
// cost as much as all else that there is to do for one. It has the only buffer there to itself, until the batch
// is over or somebody else has to do with what is queued: he takes what is whole by then, and the worker, who
// looks after each answer, goes on as everybody does.
type gathering struct {
	buf    *buffer       // nil when nothing may be gathered
	b      []byte        // its bytes, with as much room as may be used
	frames int           // in b
	most   int           // how many there may be
	done   atomic.Uint64 // what is whole in b: bytes<<32 | frames

	over  atomic.Bool // somebody has taken what was done
	taken uint64      // what that was; guarded by Conn.mu
}

// beginLocked begins to gather, if nothing is queued.
func (g *gathering) beginLocked(c *Conn) {
	if c.out != nil || c.flushing || c.rare != nil && c.rare.lanes != nil {
		return
	}
	b := buffers.get()
	g.buf, g.b = b, b.b[:0:min(cap(b.b), c.end.MaxOutbox, flushAt)]
	g.frames, g.most = 0, c.end.MaxOutboxFrames
	g.done.Store(0)
	if g.over.Load() {
		g.over.Store(false)
	}
	b.gathering, b.last, c.out = g, b, b
}

// takes reports whether a frame of n bytes may be added to b.
func (g *gathering) takes(n int) bool { return n <= cap(g.b)-len(g.b) && g.frames < g.most }

// added notes that a frame has been added to b. It reports whether the frame is queued by that; if not, end
// tells.
func (g *gathering) added() bool {
	g.frames++
	g.done.Store(uint64(len(g.b))<<32 | uint64(g.frames))
	return !g.over.Load()
}

// end leaves what is gathered to be written; the worker does it. It reports whether all of it is queued: the latest
// frame is not when it has come too late for the one who took the others.
func (g *gathering) end(c *Conn) (all bool) {
	if g.buf == nil {
		return true
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return g.endLocked(c)
}

func (g *gathering) endLocked(c *Conn) (all bool) {
	b, done := g.buf, g.done.Load()
	g.buf, g.b = nil, nil
	switch {
	case b == nil:
	case g.over.Load():
		buffers.put(b)
		return g.taken == done
	case done == 0:
		c.out = nil
		buffers.put(b)
	default:
		b.gathering = nil
		b.fill(done)
	}
	return true
}

// takeLocked ends the gathering for its worker, and returns what is gathered, nil if nothing: in another buffer, as
// the worker may be adding to its own.
func (g *gathering) takeLocked() *buffer {
	g.over.Store(true)
	g.taken = g.done.Load()
	if g.taken == 0 {
		return nil
	}
	b := buffers.get()
	b.b = append(b.b, g.buf.b[:g.taken>>32]...)
	b.fill(g.taken)
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
