package gateway

import (
	"context"
	"math"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire"
)

const (
	// SampleEvery is how long a [Sample] is of.
	SampleEvery = 10 * time.Second
	keepSamples = int(time.Hour / SampleEvery)
)

// A Sample is what has happened in an interval of SampleEvery, on all listeners, and what there
// was at its end.
type Sample struct {
	At                  time.Time // its end
	Connections         int64     // that are open then
	FramesIn, FramesOut int64
	BytesIn, BytesOut   int64
	Closed              map[longwire.Reason]int64 // connections that have ended; nil where none has
	Asks, AsksFailed    int64                     // that have ended; of them, those that were not answered
	AskP50, AskP99      time.Duration             // of those that were answered, to a sixteenth; 0 where none was
	Memory              int64                     // bytes that the program has then
	CommandsWaiting     int                       // that have not ended then
}

// A history is what the gateway remembers of its own past.
type history struct {
	asks, failed atomic.Int64
	latencies    latencies // of what was answered in this interval

	mu      sync.Mutex
	samples []Sample // the oldest is at next where there are keepSamples
	next    int
}

// asked counts a question that has ended.
func (h *history) asked(err error, took time.Duration) {
	h.asks.Add(1)
	if err != nil {
		h.failed.Add(1)
		return
	}
	h.latencies.add(took)
}

func (h *history) add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.samples) < keepSamples {
		h.samples = append(h.samples, s)
		return
	}
	h.samples[h.next] = s
	h.next = (h.next + 1) % keepSamples
}

// Samples returns those of the last hour that are newer than a time, the oldest first. What they
// refer to must not be changed.
func (g *Gateway) Samples(since time.Time) []Sample {
	h := &g.history
	h.mu.Lock()
	defer h.mu.Unlock()
	newer := make([]Sample, 0, len(h.samples))
	for i := range h.samples {
		if s := &h.samples[(h.next+i)%len(h.samples)]; s.At.After(since) {
			newer = append(newer, *s)
		}
	}
	return newer
}

// sample adds to the history until ctx ends.
func (g *Gateway) sample(ctx context.Context) {
	due := time.NewTicker(SampleEvery)
	defer due.Stop()
	var before Sample
	for {
		select {
		case <-due.C:
			now := g.totals()
			g.history.add(now.since(&before))
			before = now
		case <-ctx.Done():
			return
		}
	}
}

// totals returns a sample of all that there has been.
func (g *Gateway) totals() Sample {
	s := Sample{At: time.Now(), Memory: memoryUsed()}
	s.Asks, s.AsksFailed = g.history.asks.Load(), g.history.failed.Load()
	s.AskP50, s.AskP99 = g.history.latencies.take()
	all := g.ofAllPorts()
	s.Connections, s.Closed = all.Open, all.Closed
	s.FramesIn, s.FramesOut = all.FramesIn, all.FramesOut
	s.BytesIn, s.BytesOut = all.BytesIn, all.BytesOut
	if g.queue != nil {
		s.CommandsWaiting = g.queue.Counts().Waiting
	}
	return s
}

// since makes totals into a sample of what has happened after others.
func (s Sample) since(before *Sample) Sample {
	s.FramesIn -= before.FramesIn
	s.FramesOut -= before.FramesOut
	s.BytesIn -= before.BytesIn
	s.BytesOut -= before.BytesOut
	s.Asks -= before.Asks
	s.AsksFailed -= before.AsksFailed
	var closed map[longwire.Reason]int64
	for reason, n := range s.Closed {
		if n -= before.Closed[reason]; n > 0 {
			if closed == nil {
				closed = make(map[longwire.Reason]int64)
			}
			closed[reason] = n
		}
	}
	s.Closed = closed
	return s
}

// memoryUsed returns how many bytes the program has: what GOMEMLIMIT limits.
func memoryUsed() int64 {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return int64(all[0].Value.Uint64() - all[1].Value.Uint64())
}

// memoryLimit returns what GOMEMLIMIT says; 0 means that there is no limit.
func memoryLimit() int64 {
	if limit := debug.SetMemoryLimit(-1); limit != math.MaxInt64 {
		return limit
	}
	return 0
}
