//go:build !linux

package longwire

import "net"

// keepAlive leaves the system's defaults as they are.
func keepAlive(net.Conn) {}

// acceptor returns a function that accepts connections from l with the driver that
// fits: here, always the portable one.
func (s *Server) acceptor(e *endpoint, l net.Listener, _ <-chan struct{}) (func() (*Conn, error), error) {
	return s.acceptNet(e, l), nil
}
