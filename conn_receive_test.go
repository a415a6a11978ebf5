package longwire

import (
	"context"
	"testing"

	"github.com/longwire/longwire/frame"
)

// The driver is told what the latest frames were for: a goroutine, when the handlers of their
// type are slow, and not when they were answers. Half a frame says nothing.
func TestFeedTellsWhatIsForAGoroutine(t *testing.T) {
	c, _ := newConn(t, nil)
	c.end.slow.add(1)
	w := new(worker)
	want := func(what string, data []byte, arrived, apart bool) {
		t.Helper()
		w.arrived, w.apart = false, false
		c.feed(data, c.end.now(), w)
		w.handleInline(keepsTurn{})
		if w.arrived != arrived || w.apart != apart {
			t.Errorf("%s: arrived %v, apart %v; want %v, %v", what, w.arrived, w.apart, arrived, apart)
		}
	}
	message, _ := frame.Default.Append(nil, 1, []byte("x"))
	want("a message whose handler is slow", message, true, true)
	q, err := c.StartByType(t.Context(), 2, Raw("?"))
	if err != nil {
		t.Fatal(err)
	}
	answer, _ := frame.Default.Append(nil, 2, []byte("!"))
	want("half an answer", answer[:4], false, false)
	want("the rest of it", answer[4:], true, false)
	if err := q.Answer(t.Context(), nil); err != nil {
		t.Error(err)
	}
}

// The driver goes on with another goroutine, and the type counts as slow, when a handler is about
// to wait, and not when it could wait but need not, as the connection is over.
func TestNothingIsHandedOverInVain(t *testing.T) {
	for what, handle := range map[string]HandlerFunc{
		"an answer": func(_ context.Context, m *Message) (any, error) {
			m.Conn().Close(ReasonClosed)
			return m.Raw(m.Data), nil
		},
		"a push": func(ctx context.Context, m *Message) (any, error) {
			m.Conn().Close(ReasonClosed)
			return NoAnswer, m.Conn().Push(ctx, 2, Raw("x"))
		},
		"a question": func(ctx context.Context, m *Message) (any, error) {
			q, err := m.Conn().StartByType(ctx, 2, Raw("?"))
			if err != nil {
				return nil, err
			}
			m.Conn().Close(ReasonClosed)
			return NoAnswer, q.Answer(ctx, nil)
		},
	} {
		e, err := newEndpoint(nil, handle)
		if err != nil {
			t.Fatal(err)
		}
		c, l, w := new(Conn), new(noLink), new(worker)
		c.init(e, l, nil)
		e.add(c)
		message, _ := frame.Default.Append(nil, 1, []byte("x"))
		c.feed(message, e.now(), w)
		w.handleInline(keepsTurn{})
		if !c.isOver() {
			t.Fatalf("%s: the handler has not closed the connection", what)
		}
		if n := l.yielded.Load(); n > 0 {
			t.Errorf("%s on a connection that is over hands the loop over", what)
		}
	}
}
