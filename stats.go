package longwire

import "sync/atomic"

// Stats is what a [Server] or [Client] has counted since it began.
type Stats struct {
	Opened      int64            // connections that began
	Open        int64            // connections that are not over
	Closed      map[Reason]int64 // connections that are over, by reason; no zero entries
	FramesIn    int64
	FramesOut   int64
	BytesIn     int64
	BytesOut    int64
	LateAnswers int64 // answers that nobody waited for any more, dropped
	Refused     int64 // messages refused before they reached the handler
	Dropped     int64 // messages of this side dropped as Config.Overflow says
	Strangers   int64 // connections that wait to be admitted
	Waiting     int64 // bytes of messages that wait for their handlers
	Unfinished  int64 // bytes that have arrived of frames that have not ended
	Unsent      int64 // bytes that wait for peers that have stopped reading
}

type counters struct {
	opened, open         atomic.Int64
	closed               [numReasons]atomic.Int64
	framesIn, framesOut  atomic.Int64
	bytesIn, bytesOut    atomic.Int64
	lateAnswers, refused atomic.Int64
	dropped              atomic.Int64
}

func (e *endpoint) readStats() Stats {
	c := &e.stats
	s := Stats{
		Opened:      c.opened.Load(),
		Open:        c.open.Load(),
		Closed:      make(map[Reason]int64),
		FramesIn:    c.framesIn.Load(),
		FramesOut:   c.framesOut.Load(),
		BytesIn:     c.bytesIn.Load(),
		BytesOut:    c.bytesOut.Load(),
		LateAnswers: c.lateAnswers.Load(),
		Refused:     c.refused.Load(),
		Dropped:     c.dropped.Load(),
		Strangers:   e.load.strangers.Load(),
		Waiting:     e.load.waiting.Load(),
		Unfinished:  e.load.unfinished.Load(),
		Unsent:      e.load.unsent.Load(),
	}
	for r := range c.closed {
		if n := c.closed[r].Load(); n > 0 {
			s.Closed[Reason(r)] = n
		}
	}
	return s
}
