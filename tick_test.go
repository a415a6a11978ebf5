package longwire

import (
	"context"
	"net"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
)

// A noLink is a driver that does nothing and counts what it should write, and how often it
// should go on with another goroutine.
type noLink struct{ kicked, yielded atomic.Int64 }

func (l *noLink) flush(b *buffer)                 { l.kicked.Add(1) }
func (l *noLink) kick(b *buffer)                  { l.kicked.Add(1) }
func (l *noLink) pass(b *buffer)                  { l.kicked.Add(1) }
func (l *noLink) resume()                         {}
func (l *noLink) yield()                          { l.yielded.Add(1) }
func (l *noLink) shut(bool)                       {}
func (l *noLink) addrs() (local, remote net.Addr) { return &net.TCPAddr{}, &net.TCPAddr{} }

func newConn(t *testing.T, conf *Config) (*Conn, *noLink) {
	t.Helper()
	e, err := newEndpoint(conf, HandlerFunc(func(context.Context, *Message) (any, error) { return nil, nil }))
	if err != nil {
		t.Fatal(err)
	}
	c, l := new(Conn), new(noLink)
	c.init(e, l, nil)
	e.add(c)
	return c, l
}

func ticks(d time.Duration) tick { return tick(d.Milliseconds()) }

// A peer that was pinged once, was busy for weeks and is then quiet gets a ping before
// it is given up, however long that was: ticks begin again after 49 days.
func TestPingAfterWeeks(t *testing.T) {
	for days := range 60 {
		c, l := newConn(t, nil)
		c.knows, c.pinged = true, 1
		at := tick(1)
		for range days * 24 { // it sends something each hour, and the sweep sees it
			at += ticks(time.Hour)
			c.heard = at
			c.sweep(at + 1)
		}
		for s := range 100 {
			if c.err != nil {
				break
			}
			c.sweep(at + ticks(time.Duration(s)*time.Second))
		}
		if l.kicked.Load() == 0 {
			t.Errorf("after %d days: no ping, and %v", days, c.err)
		}
	}
}

// A connection may be up for longer than ticks can tell.
func TestEndedAfterMonths(t *testing.T) {
	c, _ := newConn(t, nil)
	const months = 100 * 24 * time.Hour
	c.end.clock = c.end.clock.Add(-months)
	c.close(&CloseError{Reason: ReasonClosed}, true)
	if e := c.end.endings.ring[0]; e.End.Sub(e.Begin).Round(time.Minute) != months {
		t.Errorf("it was up for %v, want %v", e.End.Sub(e.Begin), months)
	}
}

// A stranger that sends its login too fast has to wait like any other peer, and the
// driver is not told to go on at once.
func TestStrangerIsThrottled(t *testing.T) {
	e, err := newEndpoint(&Config{Limits: Limits{FrameRate: 1}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	c := new(Conn)
	c.init(e, new(noLink), func(context.Context, *Conn) (func(error), error) { return nil, nil })
	e.add(c)
	login, _ := frame.Default.Append(nil, 1, []byte("login"))
	c.rare.adm.wants = true
	c.feed(login, 1, nil)
	c.rare.adm.wants = true
	paused, _ := c.feed(login, 1, nil)
	if _, still := c.gate(); !paused || !still {
		t.Errorf("after all that it may send in a second: paused %v, and still so %v", paused, still)
	}
}

func TestLongLimits(t *testing.T) {
	for _, limit := range []time.Duration{25 * 24 * time.Hour, 365 * 24 * time.Hour, 1<<63 - 1} {
		if late(ticks(23*24*time.Hour), 1, limit) || !late(ticks(24*24*time.Hour+time.Second), 1, limit) {
			t.Errorf("%v is not taken for 24 days", limit)
		}
	}
	if late(5, 10, time.Millisecond) {
		t.Error("what is yet to come is late")
	}
	if wrapped := ^tick(0) - 1000; late(wrapped+2000, wrapped, 3*time.Second) || !late(wrapped+3000, wrapped, 3*time.Second) {
		t.Error("it is wrong when the ticks begin again")
	}
}

// A frame that has begun to arrive before reading paused, and is looked at after it,
// begins then.
func TestFrameAfterAPauseHasItsOwnTime(t *testing.T) {
	c, _ := newConn(t, &Config{Limits: Limits{FrameRate: 2}})
	whole, _ := frame.Default.Append(nil, 1, make([]byte, 100))
	if paused, _ := c.feed(slices.Concat(whole, whole, whole, whole[:50]), 1000, nil); !paused {
		t.Fatal("reading has not paused")
	}
	c.sweep(2000)
	c.sweep(60_000)
	if c.feed(nil, 60_000, nil); c.begun != 60_000 {
		t.Errorf("the frame began at %d", c.begun)
	}
	c.sweep(69_000)
	if c.err != nil {
		t.Errorf("after 9 seconds: %v", c.err)
	}
	c.sweep(71_000)
	if c.err == nil || c.err.Reason != ReasonFrameTimeout {
		t.Errorf("after 11 seconds: %v", c.err)
	}
}
