package longwiretest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/longwiretest"
)

// backlog is how many connections wait to be accepted before Dial blocks.
const backlog = 128

func startAccept(ln net.Listener) *call {
	return start(func() (int, error) {
		c, err := ln.Accept()
		if err == nil {
			c.Close()
		}
		return 0, err
	})
}

func startDial(ctx context.Context, n *longwiretest.Network, address string) *call {
	return start(func() (int, error) {
		c, err := n.Dial(ctx, address)
		if err == nil {
			c.Close()
		}
		return 0, err
	})
}

func TestDialAndAccept(t *testing.T) {
	var n longwiretest.Network
	ln := listen(t, &n, "gateway:10302")
	client := dial(t, &n, "gateway:10302")
	write(t, client, "before it is accepted")
	server := accept(t, ln)
	wantRead(t, server, "before it is accepted")
	write(t, server, "hello")
	wantRead(t, client, "hello")
}

func TestAcceptWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		ln := listen(t, &n, "gateway:10302")
		accepted := startAccept(ln)
		accepted.wantBlocked(t)
		dial(t, &n, "gateway:10302")
		accepted.wantReturn(t, 0, nil)
	})
}

func TestAddresses(t *testing.T) {
	for _, address := range []string{"gateway:10302", ":10302", "192.0.2.1:10302", "[2001:db8::1]:10302"} {
		t.Run(address, func(t *testing.T) {
			var n longwiretest.Network
			ln := listen(t, &n, address)
			if got := ln.Addr().String(); got != address {
				t.Errorf("the listener is at %s, want %s", got, address)
			}
			seen := make(map[string]bool)
			for range 10 {
				client := dial(t, &n, address)
				server := accept(t, ln)
				if client.RemoteAddr() != ln.Addr() || server.LocalAddr() != ln.Addr() {
					t.Errorf("the server's address is %v on one end and %v on the other, want %v",
						client.RemoteAddr(), server.LocalAddr(), ln.Addr())
				}
				from, ok := client.LocalAddr().(*net.TCPAddr)
				if !ok || server.RemoteAddr() != client.LocalAddr() {
					t.Errorf("the client's address is %v on one end and %v on the other",
						client.LocalAddr(), server.RemoteAddr())
				}
				if seen[from.String()] {
					t.Errorf("%v was used before", from)
				}
				seen[from.String()] = true
			}
		})
	}
}

func TestAnIPAddressIsATCPAddr(t *testing.T) {
	var n longwiretest.Network
	ln := listen(t, &n, "[2001:db8:0::1]:10302")
	if _, ok := ln.Addr().(*net.TCPAddr); !ok {
		t.Errorf("the address is a %T", ln.Addr())
	}
	dial(t, &n, "[2001:db8::1]:10302") // the same address, spelled otherwise
}

// More connections than one IP address has ports still differ.
func TestManyAddresses(t *testing.T) {
	var n longwiretest.Network
	seen := make(map[string]bool)
	for range 20_000 {
		a, b := n.Pipe()
		for _, c := range []*longwiretest.Conn{a, b} {
			c.Close()
			seen[c.LocalAddr().String()] = true
			if addr := c.LocalAddr().(*net.TCPAddr); !addr.IP.IsLoopback() || addr.Port < 49152 {
				t.Fatalf("the address is %v", addr)
			}
		}
	}
	if len(seen) != 40_000 {
		t.Errorf("%d addresses for 40000 ends", len(seen))
	}
}

func TestRefused(t *testing.T) {
	var n longwiretest.Network
	listen(t, &n, "gateway:10302")
	_, err := n.DialContext(t.Context(), "tcp", "gateway:10303")
	if !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("DialContext = %v, want ECONNREFUSED", err)
	}
	if op, ok := errors.AsType[*net.OpError](err); !ok || op.Op != "dial" || op.Addr.String() != "gateway:10303" {
		t.Errorf("DialContext = %#v", err)
	}
}

func TestRefusedConnIsNil(t *testing.T) {
	var n longwiretest.Network
	if c, _ := n.DialContext(t.Context(), "tcp", "nobody:1"); c != nil {
		t.Errorf("DialContext = %#v, want a nil interface", c)
	}
}

func TestAddressInUse(t *testing.T) {
	var n longwiretest.Network
	ln := listen(t, &n, "gateway:10302")
	if _, err := n.Listen("gateway:10302"); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("second Listen = %v, want EADDRINUSE", err)
	}
	ln.Close()
	listen(t, &n, "gateway:10302")
	listen(t, new(longwiretest.Network), "gateway:10302")
}

func TestCloseListener(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		ln := listen(t, &n, "gateway:10302")
		accepted := startAccept(ln)
		accepted.wantBlocked(t)
		if err := ln.Close(); err != nil {
			t.Fatal(err)
		}
		accepted.wantReturn(t, 0, net.ErrClosed)
		startAccept(ln).wantReturn(t, 0, net.ErrClosed)
		startDial(t.Context(), &n, "gateway:10302").wantReturn(t, 0, syscall.ECONNREFUSED)
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("second Close = %v, want net.ErrClosed", err)
		}
	})
}

func TestCloseListenerResetsWhatIsNotAccepted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n longwiretest.Network
		ln := listen(t, &n, "gateway:10302")
		first := dial(t, &n, "gateway:10302")
		server := accept(t, ln)
		second := dial(t, &n, "gateway:10302")
		read := startRead(second)
		read.wantBlocked(t)
		ln.Close()
		read.wantReturn(t, 0, syscall.ECONNRESET)
		write(t, first, "goes on")
		wantRead(t, server, "goes on")
	})
}

func TestFullBacklog(t *testing.T) {
	// What ends the wait of a Dial, and how.
	tests := map[string]struct {
		act  func(ln net.Listener, cancel context.CancelFunc)
		want error
	}{
		"accept":   {func(ln net.Listener, _ context.CancelFunc) { startAccept(ln) }, nil},
		"close":    {func(ln net.Listener, _ context.CancelFunc) { ln.Close() }, syscall.ECONNREFUSED},
		"cancel":   {func(_ net.Listener, cancel context.CancelFunc) { cancel() }, context.Canceled},
		"deadline": {func(net.Listener, context.CancelFunc) { time.Sleep(time.Minute) }, context.DeadlineExceeded},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var n longwiretest.Network
				ln := listen(t, &n, "gateway:10302")
				for range backlog {
					dial(t, &n, "gateway:10302")
				}
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				defer cancel()
				dialled := startDial(ctx, &n, "gateway:10302")
				dialled.wantBlocked(t)
				test.act(ln, cancel)
				dialled.wantReturn(t, 0, test.want)
			})
		})
	}
}

func TestDialWithAnEndedContext(t *testing.T) {
	var n longwiretest.Network
	listen(t, &n, "gateway:10302")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := n.Dial(ctx, "gateway:10302"); !errors.Is(err, context.Canceled) {
		t.Errorf("Dial = %v, want context.Canceled", err)
	}
}

// Many clients come, talk and go while the listener is closed under them:
// each one ends, with what it wanted or with an error.
func TestDialCloseRace(t *testing.T) {
	for range 20 {
		n := &longwiretest.Network{BufferSize: 16, MaxRead: 5}
		ln := listen(t, n, "gateway:10302")
		var all sync.WaitGroup
		all.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				all.Go(func() {
					defer c.Close()
					io.Copy(c, c)
				})
			}
		})
		var echoed sync.WaitGroup
		for i := range 100 {
			done := func() {}
			if i < 10 {
				echoed.Add(1)
				done = sync.OnceFunc(echoed.Done)
			}
			all.Go(func() {
				defer done()
				if err := echo(n, i); err != nil && !errors.Is(err, syscall.ECONNREFUSED) &&
					!errors.Is(err, syscall.ECONNRESET) {
					t.Error(err)
				}
			})
		}
		echoed.Wait()
		ln.Close()
		all.Wait()
	}
}

func echo(n *longwiretest.Network, i int) error {
	c, err := n.Dial(context.Background(), "gateway:10302")
	if err != nil {
		return err
	}
	defer c.Close()
	want := fmt.Sprintf("this is client %d, longer than the buffer", i)
	var sent error
	var sending sync.WaitGroup
	sending.Go(func() {
		_, sent = c.Write([]byte(want))
		c.CloseWrite()
	})
	got, err := io.ReadAll(c)
	sending.Wait()
	if err := errors.Join(sent, err); err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("the echo of %q is %q", want, got)
	}
	return nil
}
