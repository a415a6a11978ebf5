package longwire_test

import (
	"io"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire"
)

// When no descriptor is free the server waits, quietly, and accepts again within a
// second after there are some. Connections that it has are served all the while.
func TestNoDescriptorIsFree(t *testing.T) {
	const waiting = 50
	n := tcp()
	l := n.listen(t)
	n.listen = func(*testing.T) net.Listener { return l }
	var conns []net.Conn // which the listener has queued
	for range waiting {
		nc, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer nc.Close()
		nc.SetDeadline(time.Now().Add(time.Minute)) // a guard
		conns = append(conns, nc)
	}
	b := &peer{t: t, nc: conns[0]}
	b.sendFrame(1, "hello")

	var before unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &before); err != nil {
		t.Fatal(err)
	}
	restore := func() { unix.Setrlimit(unix.RLIMIT_NOFILE, &before) }
	defer restore()
	few := before
	few.Cur = behindFree(t, 20) // the server needs some for itself
	if err := unix.Setrlimit(unix.RLIMIT_NOFILE, &few); err != nil {
		t.Fatal(err)
	}

	s := serve(t, n, &longwire.Server{Handler: echo, Config: &longwire.Config{Limits: longwire.Limits{Conns: -1}}})
	for start := time.Now(); len(s.log.lines("accept failed")) == 0; time.Sleep(time.Millisecond) { // a poll
		if time.Since(start) > 20*time.Second {
			t.Fatal("there is a descriptor for everybody")
		}
	}
	var used, used2 unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &used)
	time.Sleep(time.Second) // in which it must not spin, which would take all of it
	unix.Getrusage(unix.RUSAGE_SELF, &used2)
	if cpu := time.Duration(used2.Utime.Nano() + used2.Stime.Nano() - used.Utime.Nano() - used.Stime.Nano()); cpu > 300*time.Millisecond {
		t.Errorf("waiting for a descriptor for a second took %v of processor time", cpu)
	}
	if lines := s.log.lines("accept failed"); len(lines) > 3 { // a descriptor may have become free meanwhile
		t.Errorf("it says so %d times", len(lines))
	}
	want := wire(1, "hello")
	for range 10 {
		if _, err := io.ReadFull(conns[0], make([]byte, len(want))); err != nil {
			t.Fatalf("a connection that was accepted is not served: %v", err)
		}
		b.sendFrame(1, "hello")
	}

	restore()
	freed := time.Now()
	for _, nc := range conns[1:] {
		nc.Write(want)
		if _, err := io.ReadFull(nc, make([]byte, len(want))); err != nil {
			t.Fatal(err)
		}
	}
	if d := time.Since(freed); d > time.Second {
		t.Errorf("all were accepted %v after descriptors were free", d)
	}
	if len(s.log.lines("accepting again")) == 0 {
		t.Error("it does not say that it accepts again")
	}
}

// behindFree returns the number behind so many descriptors that are free. Between those in use there
// are free ones too, which tests before this one have had.
func behindFree(t *testing.T, n int) (behind uint64) {
	for range n {
		f, err := os.Open("/dev/null")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		behind = max(behind, uint64(f.Fd())+1)
	}
	return behind
}
