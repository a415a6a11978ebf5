package longwiretest_test

import (
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"

	"github.com/longwire/longwire/longwiretest"
)

// pipe returns the two ends of a connection that the test leaves closed.
func pipe(t *testing.T, n *longwiretest.Network) (a, b *longwiretest.Conn) {
	t.Helper()
	a, b = n.Pipe()
	t.Cleanup(func() {
		a.Close()
		b.Close()
	})
	return a, b
}

// listen returns a listener that the test leaves closed.
func listen(t *testing.T, n *longwiretest.Network, address string) net.Listener {
	t.Helper()
	ln, err := n.Listen(address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ln.Close() })
	return ln
}

// dial returns a connection that the test leaves closed.
func dial(t *testing.T, n *longwiretest.Network, address string) *longwiretest.Conn {
	t.Helper()
	c, err := n.Dial(t.Context(), address)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// accept returns a connection that the test leaves closed.
func accept(t *testing.T, ln net.Listener) *longwiretest.Conn {
	t.Helper()
	c, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c.(*longwiretest.Conn)
}

func write(t *testing.T, c net.Conn, data string) {
	t.Helper()
	if n, err := c.Write([]byte(data)); n != len(data) || err != nil {
		t.Fatalf("Write(%d bytes) = %d, %v", len(data), n, err)
	}
}

// wantRead reads exactly as many bytes as want has.
func wantRead(t *testing.T, c net.Conn, want string) {
	t.Helper()
	got := make([]byte, len(want))
	if n, err := io.ReadFull(c, got); err != nil || string(got) != want {
		t.Fatalf("read %q, %v; want %q", got[:n], err, want)
	}
}

// wantReadError wants one Read to give no data and an error that is target.
func wantReadError(t *testing.T, c net.Conn, target error) {
	t.Helper()
	if n, err := c.Read(make([]byte, 100)); n != 0 || !errors.Is(err, target) {
		t.Fatalf("Read = %d, %v; want 0, %v", n, err, target)
	}
}

// wantWriteError wants one Write to take no data and give an error that is
// target.
func wantWriteError(t *testing.T, c net.Conn, target error) {
	t.Helper()
	if n, err := c.Write([]byte("lost")); n != 0 || !errors.Is(err, target) {
		t.Fatalf("Write = %d, %v; want 0, %v", n, err, target)
	}
}

// call is a call that may block, on its way in a goroutine of a bubble.
type call struct {
	donec chan struct{} // closed when the call has returned
	n     int
	err   error
}

func start(f func() (int, error)) *call {
	c := &call{donec: make(chan struct{})}
	go func() {
		defer close(c.donec)
		c.n, c.err = f()
	}()
	return c
}

func startRead(c net.Conn) *call {
	return start(func() (int, error) { return c.Read(make([]byte, 100)) })
}

func startWrite(c net.Conn, data string) *call {
	return start(func() (int, error) { return c.Write([]byte(data)) })
}

// returned reports whether the call has returned once all goroutines of the
// bubble have come to rest. It hangs when one is blocked but not durably.
func (c *call) returned() bool {
	synctest.Wait()
	select {
	case <-c.donec:
		return true
	default:
		return false
	}
}

func (c *call) wantBlocked(t *testing.T) {
	t.Helper()
	if c.returned() {
		t.Fatalf("returned %d, %v; want it to block", c.n, c.err)
	}
}

// wantReturn wants the call to have returned n and an error that is target.
func (c *call) wantReturn(t *testing.T, n int, target error) {
	t.Helper()
	if !c.returned() {
		t.Fatalf("is blocked; want %d, %v", n, target)
	}
	if c.n != n || !errors.Is(c.err, target) {
		t.Fatalf("returned %d, %v; want %d, %v", c.n, c.err, n, target)
	}
}
