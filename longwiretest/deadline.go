package longwiretest

import (
	"sync"
	"time"
)

// deadline is the deadline of one end for reading or for writing. Its fields
// and methods are guarded by the lock of the condition it is set with.
type deadline struct {
	timer  *time.Timer // nil when none is running
	passed bool
}

// set replaces the deadline. Those who wait on changed are woken when it
// passes.
func (d *deadline) set(t time.Time, changed *sync.Cond) {
	d.stop()
	d.passed = false
	if t.IsZero() {
		return
	}
	left := time.Until(t)
	if left <= 0 {
		d.passed = true
		changed.Broadcast()
		return
	}
	var timer *time.Timer
	timer = time.AfterFunc(left, func() {
		changed.L.Lock()
		defer changed.L.Unlock()
		// A timer that was stopped too late may still get here.
		if d.timer == timer {
			d.timer = nil
			d.passed = true
			changed.Broadcast()
		}
	})
	d.timer = timer
}

func (d *deadline) stop() {
	if d.timer != nil {
		d.timer.Stop()
		d.timer = nil
	}
}
