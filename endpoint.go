package longwire

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// An endpoint is what the connections of one Server or Client share.
type endpoint struct {
	*settings
	handler Handler
	dials   bool // these connections are a Client's
	hello   bool // the handler takes hellos too
	clock   time.Time
	stats   counters
	endings endings
	slow    slowTypes
	load    load
	wg      sync.WaitGroup // connections, and what else runs users' code

	mu    sync.Mutex
	conns []*Conn // those whose driver has not let go of them
}

func newEndpoint(c *Config, h Handler) (*endpoint, error) {
	s, err := c.build()
	if err != nil {
		return nil, err
	}
	if h == nil {
		h = HandlerFunc(noHandler)
	}
	if s.Limits.Handlers > 0 {
		h = limited{h, make(chan struct{}, s.Limits.Handlers)}
	}
	e := &endpoint{settings: s, handler: h, clock: time.Now()}
	e.load.admitted = make(chan struct{}, 1)
	if n := s.Limits.AcceptRate; n > 0 {
		e.load.pace = rate.NewLimiter(rate.Limit(n), max(n/10, 1))
	}
	e.load.handshakes = make(slots, s.Limits.Handshakes)
	return e, nil
}

func noHandler(context.Context, *Message) (any, error) {
	return nil, Errorf(StatusNotFound, "this side has no handler")
}

// A tick is a time by an endpoint's clock, in milliseconds; 0 means none. It begins
// again after 49 days, so two that are 24 days apart cannot be compared.
type tick uint32

func (e *endpoint) now() tick { return e.at(time.Now()) }

func (e *endpoint) at(t time.Time) tick { return max(tick(t.Sub(e.clock).Milliseconds()+1), 1) }

// longest is the longest limit that a tick can tell.
const longest = 24 * 24 * time.Hour

// late reports whether limit or more has passed since then; negative limits are off.
func late(now, then tick, limit time.Duration) bool {
	return limit > 0 && int64(int32(now-then)) >= min(limit, longest).Milliseconds()
}

// add makes the connection known, before it begins. It reports whether there is room
// for it; otherwise it is over already, and the driver's to let go of.
func (e *endpoint) add(c *Conn) bool {
	e.wg.Add(1)
	e.mu.Lock()
	c.index = int32(len(e.conns))
	if len(e.conns) == cap(e.conns) {
		e.conns = slices.Grow(e.conns, len(e.conns)+64) // twice as many: little garbage
	}
	e.conns = append(e.conns, c)
	crowded := e.crowdedLocked(c)
	e.mu.Unlock()
	e.stats.opened.Add(1)
	e.stats.open.Add(1)
	if e.Logger.Enabled(context.Background(), slog.LevelInfo) {
		e.Logger.Info("connection opened", "conn", c.ID())
	}
	if crowded != nil {
		c.close(&CloseError{Reason: ReasonTooMany, Err: crowded}, false)
	}
	return crowded == nil
}

// gone is told when the driver has let go of a connection and none of its handlers
// runs.
func (e *endpoint) gone(c *Conn) {
	e.mu.Lock()
	last := len(e.conns) - 1
	e.conns[c.index] = e.conns[last]
	e.conns[c.index].index = c.index
	e.conns[last] = nil
	e.conns = e.conns[:last]
	e.leftLocked(c)
	e.mu.Unlock()
	c.forgotten()
	e.wg.Done()
}

// snapshot appends the connections of the moment to dst.
func (e *endpoint) snapshot(dst []*Conn) []*Conn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return append(dst, e.conns...)
}

// sweepEvery is how often waiting times are looked at.
const sweepEvery = time.Second

// suspended is for how long nothing has been looked at when the process seems not to
// have run: then peers have been silent because nobody listened.
const suspended = 3 * sweepEvery

// sweep looks at every connection once a second, until stop is closed.
func (e *endpoint) sweep(stop <-chan struct{}) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var conns []*Conn
	now := e.now()
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		before := now
		now = e.now()
		if late(now, before, suspended) {
			tick.Reset(sweepEvery) // what has arrived meanwhile is yet to be read
			continue
		}
		e.relieve()
		conns = e.snapshot(conns[:0])
		for _, c := range conns {
			c.sweep(now)
		}
		clear(conns)
	}
}
