// Package dial opens many connections to one address: more than the ports of one source
// address would allow, where that is possible, and not more than the process may have
// descriptors for.
package dial

import (
	"context"
	"fmt"
	"math/rand/v2"
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
	addr  string
	first int // of the source addresses; 0 where the system chooses
}

// New resolves the address once, for so many connections. To the loopback interface, when
// there are too many connections for the ports of one address, they come from several, which
// begin at another one each time: for a minute the ports of a run before are not free, and the
// system would search long for others. The error is a *LimitError when there may not be so many.
func New(addr string, conns int) (*Dialer, error) {
	if limit, ok := descriptorLimit(); ok && uint64(conns)+spare > limit {
		return nil, &LimitError{conns, limit}
	}
	resolved, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	d := &Dialer{addr: resolved.String()}
	if conns > perSource && resolved.IP.IsLoopback() && resolved.IP.To4() != nil {
		d.first = 1 + rand.IntN(1<<24-2-conns/perSource-1)
	}
	return d, nil
}

// Dial opens the connection with an index, which counts from 0.
func (d *Dialer) Dial(ctx context.Context, i int) (*net.TCPConn, error) {
	var nd net.Dialer
	if d.first > 0 {
		n := d.first + i/perSource
		nd.LocalAddr = &net.TCPAddr{IP: net.IPv4(127, byte(n>>16), byte(n>>8), byte(n))}
	}
	nc, err := nd.DialContext(ctx, "tcp", d.addr)
	if err != nil {
		return nil, err
	}
	return nc.(*net.TCPConn), nil
}
