package gateway

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// A latencies counts durations by how long they are, in microseconds: below 16 each has a bucket
// of its own, and above each power of two has eight. What is said of them is the middle of
// a bucket, so at most 1/16 wrong, and half a microsecond where they are tiny. Those of more than
// 134 s count as such. A count is one addition, so that any number of goroutines may.
type latencies [latencyBuckets]atomic.Int64

const (
	perPower       = 8                          // buckets; a power of two itself
	longestLatency = 1<<27 - 1                  // microseconds
	latencyBuckets = (27-3)*perPower + perPower // bucketOf(longestLatency) + 1
)

// bucketOf returns the bucket of a number of microseconds.
func bucketOf(n uint64) int {
	n = min(n, longestLatency)
	if n < perPower {
		return int(n)
	}
	power := bits.Len64(n) - bits.Len64(perPower) // how often it is halved until it is one of eight
	return power*perPower + int(n>>power)
}

// middleOf returns what a bucket stands for.
func middleOf(bucket int) time.Duration {
	if bucket < 2*perPower {
		return time.Duration(bucket)*time.Microsecond + time.Microsecond/2
	}
	power := bucket/perPower - 1
	low := time.Duration(bucket-power*perPower) << power
	return low*time.Microsecond + time.Microsecond<<power/2
}

func (l *latencies) add(d time.Duration) {
	l[bucketOf(uint64(max(d, 0)/time.Microsecond))].Add(1)
}

// take returns the middle one of all that were counted, and the one that a hundredth are longer
// than, and begins anew. Both are 0 where there are none.
func (l *latencies) take() (p50, p99 time.Duration) {
	var counts [latencyBuckets]int64
	var all int64
	for i := range l {
		counts[i] = l[i].Swap(0)
		all += counts[i]
	}
	at := func(rank int64) time.Duration { // of 1 to all
		for i, n := range counts {
			if rank -= n; rank <= 0 {
				return middleOf(i)
			}
		}
		return 0
	}
	if all == 0 {
		return 0, 0
	}
	return at((all + 1) / 2), at((all*99 + 99) / 100)
}
