package gateway

import (
	"context"
	"errors"
	"net"
)

// ErrOpen is returned by Listen for an address that others than this machine can
// reach.
var ErrOpen = errors.New("gateway: the address is not on the loopback interface")

// Listen listens on a TCP address. Unless anybody may connect, an address that is
// not on the loopback interface is refused with [ErrOpen], before anything
// listens there.
func Listen(ctx context.Context, address string, anybody bool) (net.Listener, error) {
	// Resolved once, so that what is checked is what is listened on.
	addr, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, err
	}
	if !anybody && !addr.IP.IsLoopback() {
		return nil, ErrOpen
	}
	return new(net.ListenConfig).Listen(ctx, "tcp", addr.String())
}
