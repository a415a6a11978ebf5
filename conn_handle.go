package longwire

import (
	"errors"
	"runtime/debug"
	"sync/atomic"
	"time"
)

const (
	// queuedOverhead is what a message counts in the inbox beside its data.
	queuedOverhead = 64
	// flushAt is how many bytes of answers are gathered before they are written,
	// flushAfter how long the first of them waits while the handler is busy with
	// another message.
	flushAt    = 64 << 10
	flushAfter = 2 * time.Millisecond
)

// A batch is messages that wait for the handler.
type batch struct {
	msgs []Message
	size int    // what they count
	data []byte // the latest piece of memory for their data
}

// add adds a copy of m, and returns what it counts.
func (b *batch) add(m *Message) int {
	if n := len(m.Data); cap(b.data)-len(b.data) < n {
		b.data = make([]byte, 0, max(n, min(2*cap(b.data), keepCap), 512)) // the messages keep the one before
	}
	from := len(b.data)
	b.data = append(b.data, m.Data...)
	q := b.next()
	*q = *m
	q.Data = b.data[from:len(b.data):len(b.data)]
	n := len(m.Data) + queuedOverhead
	b.size += n
	return n
}

// next adds a message and returns it, zero, to be filled in.
func (b *batch) next() *Message {
	if n := len(b.msgs); n < cap(b.msgs) {
		b.msgs = b.msgs[:n+1]
	} else {
		b.msgs = append(b.msgs, Message{})
	}
	return &b.msgs[len(b.msgs)-1]
}

// full reports whether no more messages should join; a nil batch is empty. Negative
// means no limit.
func (b *batch) full(limit int) bool { return b != nil && limit >= 0 && b.size >= limit }

func (b *batch) reset() (keep bool) {
	clear(b.msgs)
	b.msgs, b.size, b.data = b.msgs[:0], 0, b.data[:0]
	return cap(b.data) <= keepCap && cap(b.msgs) <= 1024
}

// enqueueLocked puts a message behind those that wait for the handler, or refuses
// it. It reports whether the caller must start the work, and returns what it must
// kick the link with, if anything.
func (c *Conn) enqueueLocked(m *Message) (work bool, refusal *buffer) {
	switch {
	case c.parting != nil:
		return false, c.refuseLocked(m, Errorf(StatusUnavailable, "closing: %v", c.parting.Reason))
	case c.inbox.full(c.end.MaxInbox):
		return false, c.refuseLocked(m, Errorf(StatusTooManyRequests, "too many messages wait for the handler"))
	}
	if c.inbox == nil {
		c.inbox = batches.get()
	}
	c.end.load.waiting.Add(int64(c.inbox.add(m)))
	if c.working {
		return false, nil
	}
	c.working = true
	return true, nil
}

// refuseLocked answers a question without the handler, though there may be no room:
// see overdraft. What is no question is dropped and counted.
func (c *Conn) refuseLocked(m *Message, e *Error) *buffer {
	c.end.stats.refused.Add(1)
	if !m.parts.isQuestion() {
		return nil
	}
	answer, err := m.appendAnswer(nil, &Envelope{Status: e.Status, Message: e.Message})
	if err != nil || c.end.fits(m.Type, len(answer)) != nil {
		return nil
	}
	c.putLocked(m.Type, answer)
	return c.claimLocked()
}

// work starts a goroutine that hands the inbox to the handler; c.working has been
// set for it.
func (c *Conn) work() {
	w := workers.get()
	if w.begin == nil {
		w.begin = w.run
	}
	w.c = c
	go w.begin()
}

// A worker hands messages to the handler: those that wait, until there are none
// left, on a goroutine of its own; or those that have just arrived, on the
// driver's.
type worker struct {
	c       *Conn
	batch   *batch // being handled
	next    int    // first message of batch that has not been handled
	timer   *time.Timer
	scratch []byte
	begin   func() // run; kept because making it allocates

	// What follows is for messages that have just arrived. Such a worker belongs to
	// one turn of the driver's, and is not in the pool.
	inline   bool
	own      batch
	gathered gathering     // answers to them
	lent     *buffer       // holds their data, if the driver does not
	arrived  bool          // something has just arrived for Conn.arrived
	apart    bool          // and it is for another goroutine
	yielded  func()        // handedOver; kept like begin
	current  atomic.Uint32 // type of the message being handled
	alone    atomic.Bool   // the goroutine is not the driver's any more
}

// A turn is the right to be the driver's goroutine, see poll.Turn.
type turn interface {
	Enter(handedOver func())
	Leave() (kept bool, took time.Duration)
}

func (w *worker) reset() (keep bool) {
	w.c, w.timer, w.scratch = nil, nil, w.scratch[:0]
	return true
}

// run handles what waits.
func (w *worker) run() {
	returned := false
	defer func() {
		if !returned {
			w.skip()
			go w.run()
		}
	}()
	for w.batch != nil || w.take() {
		w.handleBatch()
		w.flush()
		w.drop()
	}
	returned = true
	if !w.inline { // otherwise somebody may still look at it
		workers.put(w)
	}
}

// skip goes on behind a message whose handler has called runtime.Goexit.
func (w *worker) skip() {
	w.answer(&w.batch.msgs[w.next], nil, errors.New("the handler ended its goroutine"))
}

// handleBatch hands the batch to the handler.
func (w *worker) handleBatch() {
	c, began := w.c, time.Time{}
	if !w.inline && c.end.slow.any() {
		began = time.Now()
	}
	for !w.handleSome() {
	}
	if !began.IsZero() {
		c.end.slow.took(w.batch.msgs, time.Since(began))
	}
}

// handleSome hands messages to the handler, until there are none left or the handler
// panics, which becomes an error.
func (w *worker) handleSome() (done bool) {
	c, g, handling := w.c, &w.gathered, false
	defer func() {
		if !handling {
			return
		}
		if p := recover(); p != nil {
			w.answer(&w.batch.msgs[w.next], nil, &panicError{p, debug.Stack()})
		}
	}()
	for w.next < len(w.batch.msgs) && !c.deaf.Load() {
		m := &w.batch.msgs[w.next]
		if w.inline && w.current.Load() != uint32(m.Type) {
			w.current.Store(uint32(m.Type))
		}
		handling = true
		answer, err := c.end.handler.Handle(c.context(), m)
		handling = false
		// As a rule it is as easy as this, and worth not being a call away.
		if b, raw := rawOf(answer); raw && err == nil && c.end.fits(m.Type, len(b)) == nil && g.takes(len(b)+c.end.overhead) {
			if g.b, _ = c.end.codec.Append(g.b, m.Type, b); g.added() {
				w.done(m)
				continue
			}
		}
		w.answer(m, answer, err)
	}
	return true
}

// answer answers the message that the handler has had, which is the next.
func (w *worker) answer(m *Message, v any, err error) {
	c := w.c
	b, raw := rawOf(v)
	switch {
	case raw && err == nil && c.end.fits(m.Type, len(b)) == nil:
	case v == nil && err == nil && !m.parts.isQuestion(), err == nil && v == any(NoAnswer):
		w.done(m)
		return
	default:
		b = w.encode(m, v, err)
	}
	w.send(m, b)
	w.done(m)
}

// done goes on behind a message, the data of which is nobody's any more.
func (w *worker) done(m *Message) {
	if w.c.end.PoisonData {
		poison(m.Data)
	}
	w.next++
}

// send queues an answer, waiting for room, and sees to it that it is written soon.
func (w *worker) send(m *Message, b []byte) {
	c, g := w.c, &w.gathered
	if g.takes(len(b)+c.end.overhead) && c.end.fits(m.Type, len(b)) == nil {
		if g.b, _ = c.end.codec.Append(g.b, m.Type, b); g.added() {
			return
		}
	}
	g.end(c)
	queued, err := c.put(c.context(), m.Type, b)
	switch {
	case err != nil:
		c.notSent(m, err)
	case !w.inline || w.alone.Load() || queued >= flushAt:
		w.hurry(queued, queued == len(b)+c.end.overhead)
	}
}

// drop forgets the batch.
func (w *worker) drop() {
	switch {
	case w.batch != &w.own:
		w.c.end.load.waiting.Add(-int64(w.batch.size))
		batches.put(w.batch)
	case !w.own.reset():
		w.own = batch{}
	}
	if w.lent != nil {
		buffers.put(w.lent)
	}
	w.batch, w.next, w.lent = nil, 0, nil
}

// take takes over what is in the inbox. When there is nothing the work is done.
func (w *worker) take() bool {
	c := w.c
	c.mu.Lock()
	if c.inbox == nil {
		c.rest()
		return false
	}
	w.batch, c.inbox = c.inbox, nil // which still counts as waiting, until drop
	resume := c.waits
	c.waits = false
	if resume {
		c.heard = c.end.now() // what it sent meanwhile is yet to be read
	}
	c.mu.Unlock()
	if resume {
		c.link.resume()
	}
	return true
}

// rest ends the work, when no message waits. It unlocks c.mu.
func (c *Conn) rest() {
	c.working = false
	c.leaveLocked()
	why, settled, gone := c.parting, c.settledLocked(), c.goneLocked()
	c.mu.Unlock()
	if settled {
		c.close(why, true)
	}
	if gone {
		c.end.gone(c)
	}
}

// flush writes what is queued, unless somebody else is at it.
func (w *worker) flush() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.c.mu.Lock()
	b := w.c.claimLocked()
	w.c.mu.Unlock()
	switch {
	case b == nil:
	case w.inline && !w.alone.Load():
		w.c.link.flush(b)
	default:
		w.c.link.pass(b)
	}
}

// hurry makes sure that the answers gathered so far do not wait for the handlers
// of the messages behind them. First says that the latest is the only one. On the
// driver's goroutine handedOver sees to that.
func (w *worker) hurry(gathered int, first bool) {
	switch {
	case gathered >= flushAt:
		w.flush()
	case !first || w.next+1 == len(w.batch.msgs):
	case w.timer == nil:
		w.timer = time.AfterFunc(flushAfter, w.c.kick)
	default:
		w.timer.Reset(flushAfter)
	}
}
