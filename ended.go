package longwire

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// Ended tells of a connection that is over.
type Ended struct {
	ID     string    // its name, or the remote address
	Addr   string    // the remote address
	Begin  time.Time // to the second
	End    time.Time
	Reason Reason
	Err    error // what Reason leaves open; may be nil
}

const (
	keepEnded = 64 // how many connections that are over are remembered
	logEnded  = 10 // how many lines a second say that a peer broke the protocol, per reason
)

// endings remembers the connections that ended last, and keeps a flood of them out of
// the log.
type endings struct {
	mu      sync.Mutex
	ring    []Ended // nil until there has been one; a Client's are asked for by nobody
	n       int     // how many there have been
	second  tick
	logged  [numReasons]int // in this second
	omitted [numReasons]int
}

// note remembers an end. It reports whether it should be in the log, and how many like
// it have not been since the latest that was.
func (e *endings) note(d Ended, now tick, keep bool) (log bool, omitted int) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if keep {
		if e.ring == nil {
			e.ring = make([]Ended, keepEnded)
		}
		e.ring[e.n%keepEnded] = d
		e.n++
	}
	if late(now, e.second, time.Second) {
		e.second = now
		e.logged = [numReasons]int{}
	}
	if d.Reason.peersFault() {
		if e.logged[d.Reason]++; e.logged[d.Reason] > logEnded {
			e.omitted[d.Reason]++
			return false, 0
		}
		omitted, e.omitted[d.Reason] = e.omitted[d.Reason], 0
	}
	return true, omitted
}

// closed is told when a connection is over.
func (e *endpoint) closed(c *Conn, why *CloseError) {
	defer func() { // last: whoever finds it counted finds it in the log and among the ended too
		e.stats.closed[why.Reason].Add(1)
		e.stats.open.Add(-1)
	}()
	ended := Ended{
		ID:     c.ID(),
		Addr:   c.RemoteAddr().String(),
		Begin:  e.clock.Add(time.Duration(c.born) * time.Second),
		End:    time.Now(),
		Reason: why.Reason,
		Err:    why.Err,
	}
	log, omitted := e.endings.note(ended, e.at(ended.End), !e.dials)
	level := slog.LevelInfo
	if why.Reason.peersFault() {
		level = slog.LevelWarn
	}
	if !log || !e.Logger.Enabled(context.Background(), level) {
		return
	}
	attrs := []any{"conn", ended.ID, "reason", why.Reason}
	if why.Err != nil {
		attrs = append(attrs, "error", why.Err)
	}
	if omitted > 0 {
		attrs = append(attrs, "omitted_before", omitted)
	}
	e.Logger.Log(context.Background(), level, "connection over", attrs...)
}

// Ended returns the connections that ended last, the latest first, at most 64.
func (s *Server) Ended() []Ended {
	e, err := s.endpoint()
	if err != nil {
		return nil
	}
	e.endings.mu.Lock()
	defer e.endings.mu.Unlock()
	var last []Ended
	for i := e.endings.n - 1; i >= max(e.endings.n-keepEnded, 0); i-- {
		last = append(last, e.endings.ring[i%keepEnded])
	}
	return last
}
