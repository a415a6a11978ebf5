package store

import (
	"context"
	"sync"
)

// A link says whether there is somebody to talk to, and whether writes make sense.
// Each stretch of time in which it holds has contexts of its own, so that what began
// in it ends with it.
type link struct {
	mu     sync.Mutex
	up     context.Context // ends when the engine is stopped or the connection lost
	writes context.Context // ends with up, or when the engine can no longer write
	cut    context.CancelCauseFunc
	freeze context.CancelCauseFunc
}

// open begins such a stretch.
func (l *link) open() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.up != nil && l.up.Err() == nil {
		return
	}
	l.up, l.cut = context.WithCancelCause(context.Background())
	l.writes, l.freeze = context.WithCancelCause(l.up)
}

// breakOff ends it.
func (l *link) breakOff(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.cut != nil {
		l.cut(cause)
	}
}

// fail ends it for writes only.
func (l *link) fail(cause error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.freeze(cause)
}

func (l *link) current() (up, writes context.Context) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.up, l.writes
}

// err returns why nothing can be written, and nil when it can.
func (l *link) err() error {
	_, writes := l.current()
	if writes.Err() == nil {
		return nil
	}
	return unavailable(context.Cause(writes))
}
