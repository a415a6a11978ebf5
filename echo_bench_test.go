package longwire_test

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// BenchmarkEcho measures what it takes to receive a frame with 64 bytes of data and
// to send it back, the client's part and the network included. One iteration is one
// frame, also where several are in flight, so allocations are those of a frame. The
// client sends and receives bytes, and allocates nothing.
func BenchmarkEcho(b *testing.B) {
	for _, network := range []string{"tcp", "portable", "memory"} {
		for _, depth := range []int{1, 16} {
			b.Run(fmt.Sprintf("%s/depth=%d", network, depth), func(b *testing.B) {
				nc := dialEcho(b, network)
				frames := []byte(strings.Repeat(string(wire(0x10, strings.Repeat("6", 64))), depth))
				answers := make([]byte, len(frames))
				left := 0 // frames of the last burst that are not counted yet
				b.SetBytes(int64(len(frames) / depth))
				b.ReportAllocs()
				for b.Loop() {
					if left == 0 {
						if _, err := nc.Write(frames); err != nil {
							b.Fatal(err)
						}
						if _, err := io.ReadFull(nc, answers); err != nil {
							b.Fatal(err)
						}
						left = depth
					}
					left--
				}
			})
		}
	}
}

// dialEcho starts a server that sends every frame back, and returns a connection to
// it: over TCP with the driver of this system, over TCP with the portable one, or in
// memory.
func dialEcho(b *testing.B, network string) net.Conn {
	b.Helper()
	listen, dial := net.Listen, new(net.Dialer).DialContext
	if network == "memory" {
		var n longwiretest.Network
		listen = func(_, address string) (net.Listener, error) { return n.Listen(address) }
		dial = n.DialContext
	}
	l, err := listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	srv := &longwire.Server{
		Handler: rawEcho,
		Config:  &longwire.Config{Portable: network == "portable"},
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	b.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, longwire.ErrServerClosed) {
			b.Error(err)
		}
	})
	nc, err := dial(b.Context(), "tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { nc.Close() })
	return nc
}
