package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"syscall"
)

// untilSignal returns a context that the first SIGINT or SIGTERM ends, and one that
// the second does. Behind that, signals do again what they do by default. Release
// lets go of them.
func untilSignal(ctx context.Context) (stop, abort context.Context, release func()) {
	stop, endStop := context.WithCancelCause(ctx)
	abort, endAbort := context.WithCancelCause(ctx)
	signals := make(chan os.Signal, 2)
	released := make(chan struct{})
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	go func() {
		defer signal.Stop(signals)
		for _, end := range []context.CancelCauseFunc{endStop, endAbort} {
			select {
			case s := <-signals:
				end(fmt.Errorf("signal: %v", s))
			case <-released:
				return
			}
		}
	}()
	return stop, abort, func() {
		close(released)
		endStop(nil)
		endAbort(nil)
	}
}
