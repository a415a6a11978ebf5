package longwiretest

import (
	"context"
	"net"
	"os"
	"sync"
	"syscall"
)

// maxBacklog is how many connections may wait to be accepted.
const maxBacklog = 128

var errRefused = os.NewSyscallError("connect", syscall.ECONNREFUSED)

// listener accepts the connections that are dialled to one address.
type listener struct {
	network *Network
	addr    net.Addr
	changed *sync.Cond // the fields below are different

	// Guarded by network.mu.
	backlog []*Conn
	closed  bool
}

// Accept returns the connection that has waited longest, or waits for one.
func (l *listener) Accept() (net.Conn, error) {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	for !l.closed && len(l.backlog) == 0 {
		l.changed.Wait()
	}
	if l.closed {
		return nil, l.errClosed("accept")
	}
	c := l.backlog[0]
	l.backlog = l.backlog[1:]
	l.changed.Broadcast()
	return c, nil
}

// Close implements what [Network.Listen] says about it.
func (l *listener) Close() error {
	l.network.mu.Lock()
	defer l.network.mu.Unlock()
	if l.closed {
		return l.errClosed("close")
	}
	l.closed = true
	delete(l.network.listeners, l.addr.String())
	for _, c := range l.backlog {
		c.Reset()
		c.Close()
	}
	l.backlog = nil
	l.changed.Broadcast()
	return nil
}

// Addr returns the address the listener was made with.
func (l *listener) Addr() net.Addr { return l.addr }

func (l *listener) errClosed(op string) error {
	return &net.OpError{Op: op, Net: l.addr.Network(), Addr: l.addr, Err: net.ErrClosed}
}

// waitForRoom waits until the backlog is not full. It is called with
// network.mu held.
func (l *listener) waitForRoom(ctx context.Context) error {
	if len(l.backlog) < maxBacklog {
		return nil
	}
	stop := context.AfterFunc(ctx, func() {
		l.network.mu.Lock()
		defer l.network.mu.Unlock()
		l.changed.Broadcast()
	})
	defer stop()
	for !l.closed && ctx.Err() == nil && len(l.backlog) >= maxBacklog {
		l.changed.Wait()
	}
	if l.closed {
		return errRefused
	}
	return ctx.Err()
}

// add puts a connection at the end of the backlog. It is called with
// network.mu held.
func (l *listener) add(c *Conn) {
	l.backlog = append(l.backlog, c)
	l.changed.Broadcast()
}
