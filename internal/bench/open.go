package bench

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire/internal/dial"
)

// A ConnectError says that a connection could not be opened.
type ConnectError struct {
	Opened int // how many had been opened
	Err    error
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("bench: connecting, after %d connections: %v", e.Opened, e.Err)
}

func (e *ConnectError) Unwrap() error { return e.Err }

// dialFunc opens the connection with an index.
type dialFunc func(ctx context.Context, i int) (net.Conn, error)

// newDialFunc returns what opens the connections.
func newDialFunc(o Options) (dialFunc, error) {
	if o.DialContext != nil {
		return func(ctx context.Context, _ int) (net.Conn, error) {
			return o.DialContext(ctx, "tcp", o.Addr)
		}, nil
	}
	d, err := dial.New(o.Addr, o.Conns)
	if _, tooMany := errors.AsType[*dial.LimitError](err); tooMany {
		return nil, err
	}
	if err != nil {
		return nil, &ConnectError{Err: err}
	}
	return func(ctx context.Context, i int) (net.Conn, error) {
		nc, err := d.Dial(ctx, i)
		if err != nil {
			return nil, err
		}
		// Close resets it. The port of one that is closed in good order is not
		// free for a minute, and then a measurement cannot be repeated at once.
		nc.SetLinger(0)
		return nc, nil
	}, nil
}

// open opens the connections.
func open(ctx context.Context, o Options) ([]net.Conn, error) {
	dialOne, err := newDialFunc(o)
	if err != nil {
		return nil, err
	}
	conns := make([]net.Conn, o.Conns)
	var opened atomic.Int64
	err = each(ctx, o.Conns, 64, func(ctx context.Context, i int) (err error) {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		if conns[i], err = dialOne(ctx, i); err != nil {
			return &ConnectError{int(opened.Load()), err}
		}
		opened.Add(1)
		return nil
	}, func() { o.Progress(Progress{Opened: int(opened.Load())}) })
	if err != nil {
		closeConns(conns)
		return nil, err
	}
	return conns, nil
}

// closeConns closes those connections that there are.
func closeConns(conns []net.Conn) {
	for _, nc := range conns {
		if nc != nil {
			nc.Close()
		}
	}
}

// each calls f for 0 to n-1, some at a time, and report once a second meanwhile. The
// first error, or the end of ctx, ends it.
func each(ctx context.Context, n, atOnce int, f func(ctx context.Context, i int) error, report func()) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(n, atOnce) {
		wg.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= n {
					return
				}
				if err := f(ctx, i); err != nil {
					cancel(err)
				}
			}
		})
	}
	wait(&wg, report)
	return context.Cause(ctx)
}

// wait waits for wg, and calls report once a second meanwhile.
func wait(wg *sync.WaitGroup, report func()) {
	over := make(chan struct{})
	go func() {
		wg.Wait()
		close(over)
	}()
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	for {
		select {
		case <-over:
			return
		case <-ticker.C:
			report()
		}
	}
}
