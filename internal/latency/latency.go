// Package latency counts how long things took, and tells percentiles.
package latency

import (
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Percentiles is how long answers took. Every value is right to three digits.
type Percentiles struct {
	Samples                  int64
	P50, P90, P99, P999, Max time.Duration
}

// A Histogram counts how long answers took. Its methods must not be called at the same
// time.
type Histogram struct{ h *hdrhistogram.Histogram }

// longest is what longer latencies are taken for.
const longest = time.Hour

// New returns an empty histogram, of about 300 KB.
func New() Histogram { return Histogram{hdrhistogram.New(1, int64(longest), 3)} }

// Record counts one. What is negative, as when a clock went back, is taken for 0, and what is
// longer than an hour for an hour.
func (h Histogram) Record(took time.Duration) {
	// There is an error only for values out of range.
	_ = h.h.RecordValue(int64(min(max(took, 0), longest)))
}

// Merge adds what another histogram has counted.
func (h Histogram) Merge(from Histogram) { h.h.Merge(from.h) }

// Percentiles returns what has been counted.
func (h Histogram) Percentiles() Percentiles {
	at := func(percent float64) time.Duration { return time.Duration(h.h.ValueAtPercentile(percent)) }
	return Percentiles{
		Samples: h.h.TotalCount(),
		P50:     at(50),
		P90:     at(90),
		P99:     at(99),
		P999:    at(99.9),
		Max:     time.Duration(h.h.Max()),
	}
}
