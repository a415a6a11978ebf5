package store_test

import (
	"sync/atomic"
	"time"
)

// lateness looks how late goroutines of this process run, until it is called for how late that was at
// most: by so much more may anything take.
func lateness() (most func() time.Duration) {
	var worst atomic.Int64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			began := time.Now()
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			worst.Store(max(worst.Load(), int64(time.Since(began)-time.Millisecond)))
		}
	}()
	return func() time.Duration {
		close(stop)
		<-stopped
		return time.Duration(worst.Load())
	}
}
