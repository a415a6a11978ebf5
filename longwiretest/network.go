package longwiretest

import (
	"context"
	"math"
	"net"
	"os"
	"sync"
	"syscall"
)

// Network is a network in memory. Its zero value is ready to use. Two
// networks share nothing, so tests that run in parallel take one each.
//
// The fields are read when a connection is made.
type Network struct {
	// BufferSize is how many bytes each direction of a connection holds until
	// Write blocks. If zero, 64 KiB. If negative, there is no limit.
	BufferSize int

	// MaxRead is how many bytes one Read returns at most. With 1, every
	// message arrives in as many pieces as it has bytes. If zero or negative,
	// there is no limit.
	MaxRead int

	mu        sync.Mutex // never held while waiting
	listeners map[string]*listener
	ends      int // how many ends have been given an address
}

const defaultBufferSize = 64 << 10

// Pipe returns the two ends of a new connection between two addresses that
// are used only once.
func (n *Network) Pipe() (a, b *Conn) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.newPair(n.nextAddr(), n.nextAddr())
}

// Listen begins to listen at an address, which is any text. An IP address with
// a port becomes a [*net.TCPAddr], and anything else a [net.Addr] with that
// text. The connections it accepts are of type [*Conn].
//
// A second listener at the same address is refused with [syscall.EADDRINUSE].
// Closing a listener frees the address, resets the connections that nobody
// has accepted, and makes Accept fail with [net.ErrClosed].
func (n *Network) Listen(address string) (net.Listener, error) {
	addr := parseAddr(address)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners[addr.String()] != nil {
		return nil, &net.OpError{Op: "listen", Net: addr.Network(), Addr: addr,
			Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	}
	l := &listener{network: n, addr: addr, changed: sync.NewCond(&n.mu)}
	if n.listeners == nil {
		n.listeners = make(map[string]*listener)
	}
	n.listeners[addr.String()] = l
	return l, nil
}

// Dial connects to the listener at an address. It does not wait until the
// connection is accepted, unless 128 others are waiting for that: then it
// waits for room or for the end of ctx. Where nobody listens, it fails with
// [syscall.ECONNREFUSED].
//
// The new connection's local address is one that is used only once. It is a
// [*net.TCPAddr] in 127.0.0.0/8.
func (n *Network) Dial(ctx context.Context, address string) (*Conn, error) {
	addr := parseAddr(address)
	conn, err := n.dial(ctx, addr)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: addr.Network(), Addr: addr, Err: err}
	}
	return conn, nil
}

// DialContext is [Network.Dial] with the signature of [net.Dialer.DialContext],
// for programs that take a dial function. The name of the network, as "tcp",
// makes no difference.
func (n *Network) DialContext(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := n.Dial(ctx, address)
	if err != nil {
		return nil, err
	}
	return conn, nil
}

func (n *Network) dial(ctx context.Context, addr net.Addr) (*Conn, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l := n.listeners[addr.String()]
	if l == nil {
		return nil, errRefused
	}
	if err := l.waitForRoom(ctx); err != nil {
		return nil, err
	}
	conn, accepted := n.newPair(n.nextAddr(), l.addr)
	l.add(accepted)
	return conn, nil
}

func (n *Network) newPair(a, b net.Addr) (*Conn, *Conn) {
	bufferSize, maxRead := n.BufferSize, n.MaxRead
	switch {
	case bufferSize == 0:
		bufferSize = defaultBufferSize
	case bufferSize < 0:
		bufferSize = math.MaxInt
	}
	if maxRead <= 0 {
		maxRead = math.MaxInt
	}
	return newPair(a, b, bufferSize, maxRead)
}

// nextAddr returns an address that no end has had before.
func (n *Network) nextAddr() net.Addr {
	addr := numberedAddr(n.ends)
	n.ends++
	return addr
}
