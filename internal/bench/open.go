package bench

import (
	"context"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"
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

// A LimitError says that a process may not open so many connections.
type LimitError struct {
	Conns int
	Limit uint64 // how many file descriptors the process may have
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("bench: %d connections are too many for a process that may have %d file descriptors", e.Conns, e.Limit)
}

// spare is how many descriptors a process needs besides its connections.
const spare = 16

// checkLimit returns a *LimitError when the process may not open so many
// connections.
func checkLimit(conns int) error {
	if limit, ok := descriptorLimit(); ok && uint64(conns)+spare > limit {
		return &LimitError{conns, limit}
	}
	return nil
}

// dialFunc opens the connection with an index.
type dialFunc func(ctx context.Context, i int) (net.Conn, error)

// perSource is how many connections one address opens to another. Linux has 28,232
// ports for that by default, others 16,384 and up; and where more than half of them
// are in use, Linux takes milliseconds to find one that is not.
const perSource = 10_000

// newDialFunc resolves the address once. To the loopback interface, when there are
// too many connections for the ports of one address, they come from 127.0.0.1,
// 127.0.0.2 and so on.
func newDialFunc(o Options) (dialFunc, error) {
	if o.DialContext != nil {
		return func(ctx context.Context, _ int) (net.Conn, error) {
			return o.DialContext(ctx, "tcp", o.Addr)
		}, nil
	}
	if err := checkLimit(o.Conns); err != nil {
		return nil, err
	}
	addr, err := net.ResolveTCPAddr("tcp", o.Addr)
	if err != nil {
		return nil, &ConnectError{Err: err}
	}
	spread := o.Conns > perSource && addr.IP.IsLoopback() && addr.IP.To4() != nil
	return func(ctx context.Context, i int) (net.Conn, error) {
		var d net.Dialer
		if spread {
			d.LocalAddr = &net.TCPAddr{IP: source(i)}
		}
		nc, err := d.DialContext(ctx, "tcp", addr.String())
		if err == nil {
			// Close resets it. The port of one that is closed in good order is not
			// free for a minute, and then a measurement cannot be repeated at once.
			nc.(*net.TCPConn).SetLinger(0)
		}
		return nc, err
	}, nil
}

// source returns the address that a connection comes from.
func source(i int) net.IP {
	n := 1 + i/perSource
	return net.IPv4(127, byte(n>>16), byte(n>>8), byte(n))
}

// open opens the connections.
func open(ctx context.Context, o Options) ([]net.Conn, error) {
	dial, err := newDialFunc(o)
	if err != nil {
		return nil, err
	}
	conns := make([]net.Conn, o.Conns)
	var opened atomic.Int64
	err = each(ctx, o.Conns, 64, func(ctx context.Context, i int) (err error) {
		ctx, cancel := context.WithTimeout(ctx, o.Timeout)
		defer cancel()
		if conns[i], err = dial(ctx, i); err != nil {
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
