package longwire

import (
	"cmp"
	"errors"
	"fmt"
	"runtime/debug"

	"github.com/longwire/longwire/frame"
)

// rawOf returns the bytes that v says are to be sent as they are.
func rawOf(v any) (b []byte, ok bool) {
	if r, is := v.(*Raw); is && r != nil {
		return *r, true
	}
	b, ok = v.(Raw)
	return b, ok
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
			if err = c.end.fits(m.Type, len(answer)); err == nil {
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
		err = c.end.fits(m.Type, len(answer))
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
	if raw, ok := rawOf(v); ok {
		return append(b, raw...), nil
	}
	switch v := v.(type) {
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
