package bench

import (
	"context"
	"errors"
	"net"
	"sync"
	"testing"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

// echoServer starts a server that is made with the library and does as it should.
// It returns its address.
func echoServer(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &longwire.Server{Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
		return longwire.Raw(m.Data), nil
	})}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	t.Cleanup(func() {
		srv.Close()
		if err := <-served; !errors.Is(err, longwire.ErrServerClosed) {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

// A dialFn connects, as Options.DialContext does.
type dialFn = func(ctx context.Context, network, address string) (net.Conn, error)

// serve starts a server, in memory, that treats each connection so. What it writes
// and reads fails when the test is over.
func serve(t *testing.T, network *longwiretest.Network, treat func(nc *longwiretest.Conn)) dialFn {
	t.Helper()
	l, err := network.Listen("server:1")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var mu sync.Mutex
	var conns []net.Conn
	wg.Go(func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			mu.Lock()
			conns = append(conns, nc)
			mu.Unlock()
			wg.Go(func() {
				defer nc.Close()
				treat(nc.(*longwiretest.Conn))
			})
		}
	})
	t.Cleanup(func() {
		l.Close()
		mu.Lock()
		for _, nc := range conns {
			nc.Close()
		}
		mu.Unlock()
		wg.Wait()
	})
	return func(ctx context.Context, netw, _ string) (net.Conn, error) {
		return network.DialContext(ctx, netw, "server:1")
	}
}

// answers makes a treatment out of what is done with each frame; i is its number.
// It ends when answer returns false.
func answers(answer func(w *frame.Writer, i int, f frame.Frame) bool) func(nc *longwiretest.Conn) {
	return func(nc *longwiretest.Conn) {
		r, w := frame.NewReader(nc, nil), frame.NewWriter(nc, nil)
		for i := 0; ; i++ {
			f, err := r.Next()
			if err != nil || !answer(w, i, f) {
				return
			}
		}
	}
}

// echo answers as it should.
func echo(w *frame.Writer, _ int, f frame.Frame) bool { return w.WriteFrame(f.Type, f.Data) == nil }

func twice(w *frame.Writer, i int, f frame.Frame) bool {
	ok := echo(w, i, f)
	return echo(w, i, f) && ok
}
