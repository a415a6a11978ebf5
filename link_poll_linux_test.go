package longwire_test

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire"
)

// A hook is a log handler that is told of every line.
type hook struct {
	slog.Handler
	line func(message string)
}

func (h hook) Enabled(context.Context, slog.Level) bool { return true }

func (h hook) Handle(_ context.Context, r slog.Record) error {
	h.line(r.Message)
	return nil
}

// A connection is closed as soon as it is known, before its socket is watched.
func TestCloseBeforeTheSocketIsWatched(t *testing.T) {
	srv := &longwire.Server{Handler: echo}
	closed := make(chan bool)
	srv.Config = &longwire.Config{Logger: slog.New(hook{slog.DiscardHandler, func(message string) {
		if message == "connection opened" {
			go func() {
				srv.Close()
				close(closed)
			}()
			<-closed
		}
	}})}
	l := tcp().listen(t)
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	nc, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := <-served; !errors.Is(err, longwire.ErrServerClosed) {
		t.Error(err)
	}
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestCloseWhileServeBegins(t *testing.T) {
	for i := range 300 {
		srv := &longwire.Server{Handler: echo}
		l := tcp().listen(t)
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		for range i {
			runtime.Gosched()
		}
		srv.Close()
		if err := <-served; !errors.Is(err, longwire.ErrServerClosed) {
			t.Fatalf("Serve: %v", err)
		}
	}
}

// A connection that lingers for a peer which does not read is cut off at once by
// Server.Close, and not when its time is up.
func TestCloseCutsWhatLingers(t *testing.T) {
	for _, portable := range []bool{false, true} {
		n := tcp()
		n.portable = portable
		b := serve(t, n, &longwire.Server{Config: &longwire.Config{MaxOutbox: -1, MaxFrame: 32 << 20}})
		b.peer()
		c := b.only()
		if err := c.Push(t.Context(), 1, longwire.Raw(make([]byte, 16<<20))); err != nil {
			t.Fatal(err)
		}
		c.Close(longwire.ReasonKicked)
		b.srv.Close()
		ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
		defer cancel()
		if err := b.srv.Shutdown(ctx); err != nil {
			t.Errorf("portable %v: something goes on after Close: %v", portable, err)
		}
	}
}

// Sockets are opened and closed as fast as can be, so descriptors are used again at
// once; nobody gets what was meant for another.
func TestDescriptorsThatAreUsedAgain(t *testing.T) {
	b := serve(t, tcp(), &longwire.Server{Handler: echo})
	done := make(chan error)
	const clients, rounds = 16, 100
	for i := range clients {
		go func() {
			for j := range rounds {
				nc, err := net.Dial("tcp", b.addr)
				if err != nil {
					done <- err
					return
				}
				want := wire(longwire.Type(i), string(rune('A'+j%26)))
				got := make([]byte, len(want))
				nc.Write(append(want, want...))
				if _, err := nc.Read(got); err != nil || string(got) != string(want) {
					done <- errors.Join(errors.New("got "+string(got)), err)
					return
				}
				if j%2 == 0 {
					nc.(*net.TCPConn).SetLinger(0) // a reset, with an answer on its way
				}
				nc.Close()
			}
			done <- nil
		}()
	}
	for range clients {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// Reading stops short at urgent data, which means nothing here, and goes on behind it.
func TestUrgentData(t *testing.T) {
	b := serve(t, tcp(), &longwire.Server{Handler: echo})
	for range 50 {
		p := b.peer()
		raw, err := p.nc.(*net.TCPConn).SyscallConn()
		if err != nil {
			t.Fatal(err)
		}
		raw.Control(func(fd uintptr) { // so that all of it travels together
			unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 1)
		})
		p.sendFrame(1, "before")
		raw.Write(func(fd uintptr) bool {
			return unix.Sendto(int(fd), []byte{'!'}, unix.MSG_OOB, nil) == nil
		})
		p.sendFrame(1, "behind")
		raw.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_CORK, 0) })
		for _, want := range []string{"before", "behind"} {
			if got := p.wantFrame(1); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	}
}
