// Package dial opens many connections to one address: more than the ports of one source
// address would allow, where that is possible, and not more than the process may have
// descriptors for.
package dial

import (
	"context"
	"fmt"
	"net"
)

// A LimitError says that a process may not open so many connections.
type LimitError struct {
	Conns int
	Limit uint64 // how many file descriptors the process may have
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("dial: %d connections are too many for a process that may have %d file descriptors", e.Conns, e.Limit)
}

// spare is how many descriptors a process needs besides its connections.
const spare = 16

// perSource is how many connections one address opens to another. Linux has 28,232
// ports for that by default, others 16,384 and up; and where more than half of them
// are in use, Linux takes milliseconds to find one that is not.
const perSource = 10_000

// A Dialer opens connections to one address. Its methods may be called from any goroutine.
type Dialer struct {
	addr   string
	spread bool // they come from more than one address
}

// New resolves the address once, for so many connections. To the loopback interface, when
// there are too many connections for the ports of one address, they come from 127.0.0.1,
// 127.0.0.2 and so on. The error is a *LimitError when there may not be so many.
func New(addr string, conns int) (*Dialer, error) {
	if limit, ok := descriptorLimit(); ok && uint64(conns)+spare > limit {
		return nil, &LimitError{conns, limit}
	}
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	loopback := resolved.IP.IsLoopback() && resolved.IP.To4() != nil
	return &Dialer{resolved.String(), conns > perSource && loopback}, nil
}

// Dial opens the connection with an index, which counts from 0.
func (d *Dialer) Dial(ctx context.Context, i int) (*net.TCPConn, error) {
	var nd net.Dialer
	if d.spread {
		nd.LocalAddr = &net.TCPAddr{IP: source(i)}
	}
	nc, err := nd.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	return nc.(*net.TCPConn), nil
}

// source returns the address that a connection comes from.
func source(i int) net.IP {
	n := 1 + i/perSource
	return net.IPv4(127, byte(n>>16), byte(n>>8), byte(n))
}
