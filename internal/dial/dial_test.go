package dial

import (
	"errors"
	"net"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestTooManyConnections(t *testing.T) {
	limit, ok := descriptorLimit()
	if !ok || limit > 1<<30 {
		t.Skip("there is no limit")
	}
	_, err := New("127.0.0.1:1", int(limit))
	if e, ok := errors.AsType[*LimitError](err); !ok || e.Limit != limit || e.Conns != int(limit) {
		t.Error(err)
	}
}

func TestSource(t *testing.T) {
	for i, want := range map[int]string{
		0: "127.0.0.1", 9_999: "127.0.0.1", 10_000: "127.0.0.2", 254*10_000 - 1: "127.0.0.254", 255 * 10_000: "127.0.1.0",
	} {
		if got := source(i).String(); got != want {
			t.Errorf("connection %d comes from %s, want %s", i, got, want)
		}
	}
}

// Connections over those of one address come from the next, where the system has it.
func TestDialSpreads(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	d, err := New(l.Addr().String(), 15_000)
	if err != nil {
		t.Skip(err)
	}
	for i, want := range map[int]string{0: "127.0.0.1", 14_999: "127.0.0.2"} {
		c, err := d.Dial(t.Context(), i)
		if err != nil {
			t.Skip(err) // other systems have 127.0.0.1 alone
		}
		defer c.Close()
		if got := c.LocalAddr().(*net.TCPAddr).IP.String(); got != want {
			t.Errorf("connection %d comes from %s, want %s", i, got, want)
		}
	}
}
