package bench

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latency is how long answers took. Every value is right to three digits.
type Latency struct {
	Samples                  int64
	P50, P90, P99, P999, Max time.Duration
}

// latencies is a histogram of how long answers took.
type latencies struct{ h *hdrhistogram.Histogram }

// longest is what longer latencies are taken for.
const longest = int64(time.Hour)

func newLatencies() latencies { return latencies{hdrhistogram.New(1, longest, 3)} }

func (l latencies) record(nanoseconds int64) {
	// There is an error only for values out of range.
	_ = l.h.RecordValue(min(max(nanoseconds, 0), longest))
}

func (l latencies) merge(from latencies) { l.h.Merge(from.h) }

func (l latencies) sum() Latency {
	at := func(percent float64) time.Duration { return time.Duration(l.h.ValueAtPercentile(percent)) }
	return Latency{
		Samples: l.h.TotalCount(),
		P50:     at(50),
		P90:     at(90),
		P99:     at(99),
		P999:    at(99.9),
		Max:     time.Duration(l.h.Max()),
	}
}
