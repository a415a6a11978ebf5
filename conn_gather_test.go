package longwire

import (
	"errors"
	"testing"
)

// A gatherer is a connection, the answers that are gathered for it, and room for them.
type gatherer struct {
	*Conn
	g gathering
}

func newGatherer(t *testing.T, conf *Config) *gatherer {
	t.Helper()
	c, _ := newConn(t, conf)
	w := &gatherer{Conn: c}
	for cap(w.g.b) == 0 { // the pool may have forgotten it
		buffers.put(&buffer{b: make([]byte, 0, keepCap)})
		c.mu.Lock()
		w.g.endLocked(c)
		w.g.beginLocked(c)
		c.mu.Unlock()
	}
	return w
}

// add adds a frame, the worker's first half of it.
func (w *gatherer) add(data string) { w.g.b, _ = w.end.codec.Append(w.g.b, 1, []byte(data)) }

// An answer that is whole when somebody takes what has been gathered goes with it. One
// that is not is the worker's to queue, and its bytes are nobody else's.
func TestGatheringIsTaken(t *testing.T) {
	for _, late := range []bool{false, true} {
		w := newGatherer(t, nil)
		c, g := w.Conn, &w.g
		w.add("first")
		if !g.added() {
			t.Fatal("the gathering does not go on")
		}
		w.add("second")
		if !late {
			g.added()
		}
		c.mu.Lock()
		c.takeGatheredLocked()
		taken := string(c.out.b)
		bytes, frames := c.queuedLocked()
		c.mu.Unlock()
		if late && g.added() {
			t.Error("it goes on though it has been taken")
		}
		want, n := "\xC8\x00\x00\x00\x0D\x00\x01first\xC9", 1
		if !late {
			want, n = want+"\xC8\x00\x00\x00\x0E\x00\x01second\xC9", 2
		}
		if taken != want || bytes != len(want) || frames != n {
			t.Errorf("late %v: %q is queued, as %d bytes and %d frames; want %q", late, taken, bytes, frames, want)
		}
		g.end(c)
		if g.takes(1) || string(c.out.b) != want {
			t.Errorf("late %v: the end has changed something: %q", late, c.out.b)
		}
	}
}

// What is gathered takes its share of MaxOutboxFrames.
func TestGatheredTakesRoom(t *testing.T) {
	w := newGatherer(t, &Config{MaxOutboxFrames: 2})
	n := w.end.overhead
	for range 2 {
		if !w.g.takes(n) {
			t.Fatal("there is no room")
		}
		w.add("")
		w.g.added()
	}
	if w.g.takes(n) {
		t.Error("there is room for a third")
	}
	if err := w.offer(1, []byte("frame"), OverflowDropNewest, false); !errors.Is(err, ErrDropped) {
		t.Errorf("a third is queued: %v", err)
	}
}

// Nobody has the worker's buffer when a connection has ended at once.
func TestGatheredIsDropped(t *testing.T) {
	w := newGatherer(t, nil)
	w.add("x")
	w.g.added()
	w.close(&CloseError{Reason: ReasonLost}, false)
	w.add("y")
	if w.g.added() || w.g.takes(1) {
		t.Error("it goes on")
	}
	w.g.end(w.Conn)
	if n, _ := w.queuedLocked(); n > 0 {
		t.Errorf("%d bytes are queued", n)
	}
}
