package longwire

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// An endpoint is what the connections of one Server or Client share.
type endpoint struct {
	*settings
	handler Handler
	dials   bool // these connections are a Client's
	clock   time.Time
	stats   counters
	wg      sync.WaitGroup // connections, and the goroutines that run users' code

	mu    sync.Mutex
	conns []*Conn // those whose driver has not let go of them
}

func newEndpoint(c *Config, h Handler) (*endpoint, error) {
	s, err := c.build()
	if err != nil {
		return nil, err
	}
	return &endpoint{settings: s, handler: h, clock: time.Now()}, nil
}

// now returns the time as the endpoint counts it: milliseconds, monotonic, never 0.
func (e *endpoint) now() int64 { return time.Since(e.clock).Milliseconds() + 1 }

// late reports whether more than limit has passed since then; negative limits are
// off.
func late(now, then int64, limit time.Duration) bool {
	return limit > 0 && now-then >= limit.Milliseconds()
}

// add makes the connection known, before it begins.
func (e *endpoint) add(c *Conn) {
	e.wg.Add(1)
	e.mu.Lock()
	c.index = len(e.conns)
	if len(e.conns) == cap(e.conns) {
		e.conns = slices.Grow(e.conns, len(e.conns)+64) // twice as many: little garbage
	}
	e.conns = append(e.conns, c)
	e.mu.Unlock()
	e.stats.opened.Add(1)
	e.stats.open.Add(1)
	if e.Logger.Enabled(context.Background(), slog.LevelInfo) {
		e.Logger.Info("connection opened", "conn", c.ID())
	}
}

// closed is told when a connection is over.
func (e *endpoint) closed(c *Conn, why *CloseError) {
	e.stats.open.Add(-1)
	e.stats.closed[why.Reason].Add(1)
	level := slog.LevelInfo
	if why.Reason.peersFault() {
		level = slog.LevelWarn
	}
	if !e.Logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{"conn", c.ID(), "reason", why.Reason}
	if why.Err != nil {
		attrs = append(attrs, "error", why.Err)
	}
	e.Logger.Log(context.Background(), level, "connection over", attrs...)
}

// gone is told when the driver has let go of a connection.
func (e *endpoint) gone(c *Conn) {
	e.mu.Lock()
	last := len(e.conns) - 1
	e.conns[c.index] = e.conns[last]
	e.conns[c.index].index = c.index
	e.conns[last] = nil
	e.conns = e.conns[:last]
	e.mu.Unlock()
	c.release()
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

// sweep looks at every connection once a second, until stop is closed.
func (e *endpoint) sweep(stop <-chan struct{}) {
	tick := time.NewTicker(sweepEvery)
	defer tick.Stop()
	var conns []*Conn
	for {
		select {
		case <-stop:
			return
		case <-tick.C:
		}
		conns = e.snapshot(conns[:0])
		now := e.now()
		for _, c := range conns {
			c.sweep(now)
		}
		clear(conns)
	}
}
