package longwiretest

import (
	"net"
	"net/netip"
)

// name is an address that is not an IP address and a port.
type name string

func (name) Network() string  { return "tcp" }
func (n name) String() string { return string(n) }

// parseAddr returns the address of a listener: a [*net.TCPAddr] where the
// text is one, because programs look into those, and else a name.
func parseAddr(address string) net.Addr {
	if ap, err := netip.ParseAddrPort(address); err == nil {
		return net.TCPAddrFromAddrPort(ap)
	}
	return name(address)
}

// numberedAddr returns a different address in 127.0.0.0/8 for each i, with
// the ports that systems give to those who dial.
func numberedAddr(i int) net.Addr {
	const firstPort, ports = 49152, 65536 - 49152
	host := 1 + i/ports
	return &net.TCPAddr{
		IP:   net.IPv4(127, byte(host>>16), byte(host>>8), byte(host)),
		Port: firstPort + i%ports,
	}
}
