package longwire

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"time"

	"github.com/longwire/longwire/frame"
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

// A batch is messages that wait for the handler, with their data in one piece.
type batch struct {
	bytes []byte
	msgs  []queued
}

type queued struct {
	typ   Type
	data  span // in batch.bytes
	parts parts
}

func (b *batch) add(m *Message) {
	from := uint32(len(b.bytes))
	b.bytes = append(b.bytes, m.Data...)
	b.msgs = append(b.msgs, queued{typ: m.Type, data: span{from, uint32(len(b.bytes))}, parts: m.parts})
}

// full reports whether no more messages should join; a nil batch is empty. No
// limit means 2 GiB, so that a span can say where each of them is.
func (b *batch) full(limit int) bool {
	if limit < 0 {
		limit = math.MaxInt32
	}
	return b != nil && len(b.bytes)+queuedOverhead*len(b.msgs) >= limit
}

// enqueueLocked puts a message behind those that wait for the handler, or refuses
// it. It reports whether the caller must start the work, and whether it must kick
// the link.
func (c *Conn) enqueueLocked(m *Message) (work, kick bool) {
	switch {
	case c.parting != nil:
		return false, c.refuseLocked(m, Errorf(StatusUnavailable, "closing: %v", c.parting.Reason))
	case c.inbox.full(c.end.MaxInbox):
		return false, c.refuseLocked(m, Errorf(StatusTooManyRequests, "too many messages wait for the handler"))
	}
	if c.inbox == nil {
		c.inbox = batches.get()
	}
	c.inbox.add(m)
	if c.working {
		return false, false
	}
	c.working = true
	return true, false
}

// refuseLocked answers a question without the handler, though there may be no room:
// see overdraft. What is no question is dropped and counted.
func (c *Conn) refuseLocked(m *Message, e *Error) (kick bool) {
	c.end.stats.refused.Add(1)
	if !m.parts.isQuestion() {
		return false
	}
	answer, err := m.appendAnswer(nil, &Envelope{Status: e.Status, Message: e.Message})
	if err != nil || c.putLocked(m.Type, answer) != nil {
		return false
	}
	return c.claimLocked()
}

// work starts a goroutine that hands the inbox to the handler; c.working has been
// set for it.
func (c *Conn) work() {
	w := workers.get()
	w.c = c
	c.end.wg.Go(w.run)
}

// A worker hands messages to the handler until there are none left. It exists
// only while there are.
type worker struct {
	c       *Conn
	batch   *batch // being handled
	next    int    // first message of batch that has not been handled
	timer   *time.Timer
	msg     Message // the one that the handler has
	scratch []byte
}

func (w *worker) run() {
	returned := false
	defer func() {
		if !returned { // the handler called runtime.Goexit
			c := w.c
			c.answer(w, w.message(w.next), nil, errors.New("the handler ended its goroutine"))
			w.next++
			c.end.wg.Go(w.run)
		}
	}()
	for w.batch != nil || w.take() {
		for ; w.next < len(w.batch.msgs) && !w.c.isDeaf(); w.next++ {
			m := w.message(w.next)
			answer, err := w.handle(m)
			w.c.answer(w, m, answer, err)
			if w.c.end.PoisonData {
				poison(m.Data)
			}
		}
		w.flush()
		batches.put(w.batch)
		w.batch = nil
	}
	returned = true
	workers.put(w)
}

// take takes over what is in the inbox. When there is nothing the work is done.
func (w *worker) take() bool {
	c := w.c
	c.mu.Lock()
	if c.inbox == nil {
		c.working = false
		c.leaveLocked()
		why, settled := c.parting, c.settledLocked()
		c.mu.Unlock()
		if settled {
			c.close(why, true)
		}
		return false
	}
	resume := c.inbox.full(c.end.MaxInbox)
	w.batch, w.next, c.inbox = c.inbox, 0, nil
	c.mu.Unlock()
	if resume {
		c.heard.Store(c.end.now()) // what it sent meanwhile is yet to be read
		c.link.resume()
	}
	return true
}

func (w *worker) message(i int) *Message {
	q := &w.batch.msgs[i]
	data := w.batch.bytes[q.data.from:q.data.to:q.data.to]
	w.msg = Message{Type: q.typ, Data: data, conn: w.c, parts: q.parts}
	return &w.msg
}

// handle calls the handler. A panic becomes an error.
func (w *worker) handle(m *Message) (answer any, err error) {
	h := w.c.end.handler
	if h == nil {
		return nil, Errorf(StatusNotFound, "this side has no handler")
	}
	defer func() {
		if p := recover(); p != nil {
			answer, err = nil, &panicError{p, debug.Stack()}
		}
	}()
	return h.Handle(w.c.context(), m)
}

// flush writes what is queued, unless somebody else is at it.
func (w *worker) flush() {
	if w.timer != nil {
		w.timer.Stop()
		w.timer = nil
	}
	w.c.mu.Lock()
	mine := w.c.out != nil && w.c.claimLocked()
	w.c.mu.Unlock()
	if mine {
		w.c.link.flush()
	}
}

// hurry makes sure that the answers gathered so far do not wait for the handlers
// of the messages behind them. First says that the latest is the only one.
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

// answer queues what a handler returned, waiting for room. It and what it calls for
// raw data keep within the stack that a goroutine begins with: growing it would cost
// a tenth of an echo.
func (c *Conn) answer(w *worker, m *Message, v any, err error) {
	if v == nil && err == nil && !m.parts.isQuestion() {
		return
	}
	b, isRaw := v.(Raw)
	if !isRaw || err != nil || c.end.fits(len(b)) != nil {
		b = w.encode(m, v, err)
	}
	gathered, err := c.put(c.context(), m.Type, b)
	if err == nil {
		w.hurry(gathered, gathered == len(b)+c.end.codec.Overhead())
	} else {
		c.notSent(m, err)
	}
}

// encode makes what a handler returned into the data of an answer.
func (w *worker) encode(m *Message, v any, err error) []byte {
	b, problem := w.c.encodeAnswer(w.scratch[:0], m, v, err)
	if problem != nil {
		w.c.end.Logger.Error("handler failed", "conn", w.c.ID(), "type", m.Type.String(), "error", problem)
	}
	if len(b) <= flushAt {
		w.scratch = b
	}
	return b
}

// notSent logs that an answer is too large for a frame. That the connection is over
// is in the log already.
func (c *Conn) notSent(m *Message, err error) {
	if _, tooLarge := errors.AsType[*frame.Error](err); tooLarge {
		c.end.Logger.Error("answer not sent", "conn", c.ID(), "type", m.Type.String(), "error", err)
	}
}

// encodeAnswer appends the data of the answer to m. When what the handler
// returned is a fault of this side, the answer says no more than that there is
// one, and problem tells the rest.
func (c *Conn) encodeAnswer(b []byte, m *Message, v any, err error) (answer []byte, problem error) {
	if e, ok := v.(*Error); ok && err == nil {
		err = e
	}
	if err == nil {
		if answer, err = m.appendValue(b, v); err == nil {
			if err = c.end.fits(len(answer)); err == nil {
				return answer, nil
			}
		}
	}
	e, ok := errors.AsType[*Error](err)
	if ok && e == nil {
		err, ok = errors.New("the error is a nil *longwire.Error"), false
	}
	if !ok {
		problem = err
		e = Errorf(StatusInternal, "internal error")
	}
	answer, err = m.appendValue(b[:0], &Envelope{Status: cmp.Or(e.Status, StatusInternal), Message: e.Message, Data: e.Data})
	if err == nil {
		err = c.end.fits(len(answer))
	}
	if err != nil {
		problem = err
		answer, _ = m.appendAnswer(b[:0], &Envelope{Status: StatusInternal, Message: "internal error"})
	}
	return answer, problem
}

// appendValue appends what a handler returned as the data of the answer. A panic
// of the value's own encoding becomes an error.
func (m *Message) appendValue(b []byte, v any) (answer []byte, err error) {
	defer func() {
		if p := recover(); p != nil {
			answer, err = b, &panicError{p, debug.Stack()}
		}
	}()
	switch v := v.(type) {
	case Raw:
		return append(b, v...), nil
	case Envelope:
		return m.appendAnswer(b, &v)
	case *Envelope:
		if v != nil {
			return m.appendAnswer(b, v)
		}
	}
	return m.appendAnswer(b, &Envelope{Data: v})
}

// appendAnswer appends the answer to m: e, with key, data type and status filled
// in where e has none. Those that the peer sent go back byte by byte.
func (m *Message) appendAnswer(b []byte, e *Envelope) ([]byte, error) {
	status, message := e.Status, e.Message
	if status == "" {
		status = StatusOK
	}
	if message == "" && status == StatusOK {
		message = "ok"
	}
	b = m.appendOr(append(b, `{"data_type":`...), e.DataType, m.parts.dataType)
	b = m.appendOr(append(b, `,"call_back_key":`...), e.CallBackKey, m.parts.key)
	b = appendString(append(b, `,"status":`...), status)
	b = appendString(append(b, `,"message":`...), message)
	b, err := appendData(append(b, `,"data":`...), e.Data)
	return append(b, '}'), err
}

func (m *Message) appendOr(b []byte, s string, field span) []byte {
	if s != "" {
		return appendString(b, s)
	}
	return append(append(append(b, '"'), field.in(m.Data)...), '"')
}

// poison overwrites bytes that nobody may look at any more.
func poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}

// A panicError is a handler's panic as an error.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v\n%s", e.value, e.stack) }
