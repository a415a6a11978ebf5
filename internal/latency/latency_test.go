package latency

import (
	"testing"
	"time"
)

func TestPercentiles(t *testing.T) {
	h := New()
	for ms := range 1000 {
		h.Record(time.Duration(ms+1) * time.Millisecond)
	}
	h.Record(-5)            // a clock that went back
	h.Record(2 * time.Hour) // more than the histogram holds
	other := New()
	other.Merge(h)
	got := other.Percentiles()
	near := func(d, want time.Duration) bool { return d > want*998/1000 && d < want*1003/1000 }
	if got.Samples != 1002 || !near(got.P50, 500*time.Millisecond) || !near(got.P99, 991*time.Millisecond) || !near(got.Max, time.Hour) {
		t.Errorf("%+v", got)
	}
}
