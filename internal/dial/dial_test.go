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
	var from []string
	for _, i := range []int{0, 9_999, 10_000} {
		c, err := d.Dial(t.Context(), i)
		if err != nil {
			t.Skip(err) // other systems have 127.0.0.1 alone
		}
		defer c.Close()
		from = append(from, c.LocalAddr().(*net.TCPAddr).IP.String())
	}
	if from[0] != from[1] || from[1] == from[2] {
		t.Errorf("connections 0, 9999 and 10000 come from %v", from)
	}
}
