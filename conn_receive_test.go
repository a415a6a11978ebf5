package longwire

import (
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
