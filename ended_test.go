package longwire_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

func TestEnded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo})
		if len(b.srv.Ended()) != 0 {
			t.Error("something has ended before it began")
		}
		for range 100 {
			b.peer().here()
		}
		time.Sleep(3 * time.Second)
		for c := range b.srv.Conns() {
			c.Close(longwire.ReasonKicked)
		}
		bad := b.peer()
		bad.send([]byte("GET / HTTP/1.1"))
		bad.wantGone()
		synctest.Wait()
		ended := b.srv.Ended()
		if len(ended) != 64 {
			t.Fatalf("%d have ended, want 64 of them", len(ended))
		}
		if e := ended[0]; e.Reason != longwire.ReasonBadFrame || e.Err == nil || e.ID == "" || e.Addr != e.ID {
			t.Errorf("the latest: %+v", e)
		}
		if e := ended[1]; e.Reason != longwire.ReasonKicked || e.End.Sub(e.Begin) != 3*time.Second || !e.End.Equal(time.Now()) {
			t.Errorf("the one before: %+v, after %v", e, e.End.Sub(e.Begin))
		}
	})
}

// Faults row 60: a flood of connections that break the protocol is not a flood in the log.
func TestLogIsNotFlooded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: echo})
		const flood = 1000
		for range flood {
			p := b.peer()
			p.send([]byte("GET / HTTP/1.1"))
			p.wantGone()
		}
		synctest.Wait()
		if n := len(b.log.lines("connection over")); n != 10 {
			t.Errorf("%d lines for %d connections within a second", n, flood)
		}
		if n := b.srv.Stats().Closed[longwire.ReasonBadFrame]; n != flood {
			t.Errorf("%d are counted", n)
		}
		time.Sleep(2 * time.Second)
		p := b.peer()
		p.send([]byte("GET / HTTP/1.1"))
		p.wantGone()
		synctest.Wait()
		if len(b.log.lines("connection over", `"omitted_before":990`)) != 1 {
			t.Error("the log does not say how many lines it has omitted")
		}
	})
}
