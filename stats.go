package longwire

import (
	"iter"
	"sync/atomic"
)

// Stats is what a [Server] or [Client] has counted since it began. An exporter
// reads it when it is asked itself: see [Stats.All].
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

// A Metric says what a number of [Stats.All] is.
type Metric struct {
	// Name is in the manner of Prometheus: connections_closed_total.
	Name string
	// Help says in a sentence what is counted.
	Help string
	// Counter says that the number only grows, for as long as the Server or Client
	// is there. Others are gauges.
	Counter bool
	// Label and Value tell it from others of the same Name, as reason and lost do. They
	// are "" where there is only one, and never what a peer can choose.
	Label, Value string
}

// All returns all numbers in s, for an exporter: in the same order each time, and those of
// one name together. Reasons that no connection has ended for are there with 0, so that
// the first one shows as an increase.
func (s Stats) All() iter.Seq2[Metric, int64] {
	return func(yield func(Metric, int64) bool) {
		for i := range numbers {
			if !yield(numbers[i].Metric, numbers[i].of(&s)) {
				return
			}
		}
	}
}

type number struct {
	Metric
	of func(*Stats) int64
}

var numbers = func() []number {
	counter := func(name, label, value, help string, of func(*Stats) int64) number {
		return number{Metric{Name: name, Help: help, Counter: true, Label: label, Value: value}, of}
	}
	gauge := func(name, help string, of func(*Stats) int64) number {
		return number{Metric{Name: name, Help: help}, of}
	}
	const direction, frames, bytes = "direction", "Frames, by whether they came in or went out.", "Bytes of connections, by whether they came in or went out."
	all := []number{
		gauge("connections", "Connections that are open.", func(s *Stats) int64 { return s.Open }),
		gauge("connections_unadmitted", "Connections that wait to be let in.", func(s *Stats) int64 { return s.Strangers }),
		counter("connections_opened_total", "", "", "Connections that began.", func(s *Stats) int64 { return s.Opened }),
		counter("frames_total", direction, "in", frames, func(s *Stats) int64 { return s.FramesIn }),
		counter("frames_total", direction, "out", frames, func(s *Stats) int64 { return s.FramesOut }),
		counter("bytes_total", direction, "in", bytes, func(s *Stats) int64 { return s.BytesIn }),
		counter("bytes_total", direction, "out", bytes, func(s *Stats) int64 { return s.BytesOut }),
		counter("late_answers_total", "", "", "Answers that nobody waited for any more.", func(s *Stats) int64 { return s.LateAnswers }),
		counter("messages_refused_total", "", "", "Messages that were refused before they were handled.", func(s *Stats) int64 { return s.Refused }),
		counter("messages_dropped_total", "", "", "Messages to peers that were dropped, because they read too slowly.", func(s *Stats) int64 { return s.Dropped }),
		gauge("waiting_bytes", "Bytes of messages that wait to be handled.", func(s *Stats) int64 { return s.Waiting }),
		gauge("unfinished_bytes", "Bytes that have arrived of frames that have not ended.", func(s *Stats) int64 { return s.Unfinished }),
		gauge("unsent_bytes", "Bytes that wait for peers that have stopped reading.", func(s *Stats) int64 { return s.Unsent }),
	}
	for r := Reason(1); r < numReasons; r++ {
		all = append(all, counter("connections_closed_total", "reason", r.String(), "Connections that are over, by the reason.", func(s *Stats) int64 { return s.Closed[r] }))
	}
	return all
}()

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
