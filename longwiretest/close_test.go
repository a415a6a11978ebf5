package longwiretest_test

import (
	"errors"
	"io"
	"net"
	"os"
	"runtime"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
	"weak"

	"github.com/longwire/longwire/longwiretest"
)

func TestClose(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	write(t, a, "last words")
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}

	wantReadError(t, a, net.ErrClosed)
	wantWriteError(t, a, net.ErrClosed)
	if err := a.Close(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("second Close = %v, want net.ErrClosed", err)
	}
	if err := a.CloseWrite(); !errors.Is(err, net.ErrClosed) {
		t.Errorf("CloseWrite = %v, want net.ErrClosed", err)
	}

	wantWriteError(t, b, syscall.EPIPE)
	wantRead(t, b, "last words")
	wantReadError(t, b, io.EOF)
	if err := b.Close(); err != nil {
		t.Errorf("Close of the other end = %v", err)
	}
}

func TestCloseReachesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 1})
		readA, readB := startRead(a), startRead(b)
		readA.wantBlocked(t)
		a.Close()
		readA.wantReturn(t, 0, net.ErrClosed)
		readB.wantReturn(t, 0, io.EOF)
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 1})
		writeA, writeB := startWrite(a, "12"), startWrite(b, "12")
		writeA.wantBlocked(t)
		a.Close()
		writeA.wantReturn(t, 1, net.ErrClosed)
		writeB.wantReturn(t, 1, syscall.EPIPE)
	})
}

// A timer that is left behind keeps its connection in memory until it fires.
func TestCloseLeavesNothing(t *testing.T) {
	conns := func() []weak.Pointer[longwiretest.Conn] {
		a, b := longwiretest.Pipe()
		a.SetDeadline(time.Now().Add(time.Hour))
		b.SetDeadline(time.Now().Add(time.Hour))
		a.Close()
		b.Close()
		return []weak.Pointer[longwiretest.Conn]{weak.Make(a), weak.Make(b)}
	}()
	for range 100 { // the runtime forgets a stopped timer a little later
		runtime.GC()
		if conns[0].Value() == nil && conns[1].Value() == nil {
			return
		}
	}
	t.Error("a connection is still in memory after both ends are closed")
}

func TestCloseWrite(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	write(t, a, "question")
	for range 2 {
		if err := a.CloseWrite(); err != nil {
			t.Fatal(err)
		}
	}
	wantWriteError(t, a, syscall.EPIPE)
	wantRead(t, b, "question")
	wantReadError(t, b, io.EOF)
	write(t, b, "answer")
	wantRead(t, a, "answer")
}

func TestCloseWriteReachesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 1})
		wrote := startWrite(a, "12")
		wrote.wantBlocked(t)
		a.CloseWrite()
		wrote.wantReturn(t, 1, syscall.EPIPE)
		wantRead(t, b, "1")
		wantReadError(t, b, io.EOF)
	})
}

func TestReset(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	write(t, a, "lost")
	write(t, b, "lost")
	b.Reset()
	for _, c := range []*longwiretest.Conn{a, b} {
		for range 2 {
			wantReadError(t, c, syscall.ECONNRESET)
			wantWriteError(t, c, syscall.ECONNRESET)
		}
		if err := c.CloseWrite(); !errors.Is(err, syscall.ECONNRESET) {
			t.Errorf("CloseWrite = %v, want ECONNRESET", err)
		}
		if err := c.Close(); err != nil {
			t.Errorf("Close = %v", err)
		}
		wantReadError(t, c, net.ErrClosed)
	}
}

func TestResetReachesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 1})
		readA, readB := startRead(a), startRead(b)
		readA.wantBlocked(t)
		a.Reset()
		readA.wantReturn(t, 0, syscall.ECONNRESET)
		readB.wantReturn(t, 0, syscall.ECONNRESET)
	})
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 1})
		writeA, writeB := startWrite(a, "12"), startWrite(b, "12")
		writeA.wantBlocked(t)
		a.Reset()
		writeA.wantReturn(t, 1, syscall.ECONNRESET)
		writeB.wantReturn(t, 1, syscall.ECONNRESET)
	})
}

func TestResetAfterCloseDoesNothing(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	write(t, a, "last words")
	a.Close()
	a.Reset()
	wantRead(t, b, "last words")
	wantReadError(t, b, io.EOF)
}

func TestCutTellsNobody(t *testing.T) {
	// What one end may do behind the cut, and the other must not notice.
	tests := map[string]func(*longwiretest.Conn){
		"Write":      func(c *longwiretest.Conn) { c.Write([]byte("lost")) },
		"CloseWrite": func(c *longwiretest.Conn) { c.CloseWrite() },
		"Close":      func(c *longwiretest.Conn) { c.Close() },
		"Reset":      func(c *longwiretest.Conn) { c.Reset() },
	}
	for name, act := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				a, b := pipe(t, new(longwiretest.Network))
				write(t, a, "arrived")
				a.Cut()
				read := start(func() (int, error) {
					wantRead(t, b, "arrived")
					return b.Read(make([]byte, 1))
				})
				read.wantBlocked(t)
				act(a)
				read.wantBlocked(t)
				write(t, b, "also lost")

				b.SetReadDeadline(time.Now().Add(time.Hour))
				time.Sleep(time.Hour)
				read.wantReturn(t, 0, os.ErrDeadlineExceeded)
			})
		})
	}
}

func TestCutLeavesTheLocalEndToItsOwner(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	write(t, b, "arrived")
	b.Cut()
	a.CloseWrite()
	wantWriteError(t, a, syscall.EPIPE)
	wantRead(t, a, "arrived")
	a.Reset()
	wantReadError(t, a, syscall.ECONNRESET)
	a.Close()
	wantReadError(t, a, net.ErrClosed)
}

func TestCutFillsTheBufferOfTheWriter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 10})
		write(t, a, "1234")
		b.Cut()
		write(t, a, "56789")
		wrote := startWrite(a, "0ABC")
		wrote.wantBlocked(t)
		wantRead(t, b, "1234")
		wrote.wantBlocked(t) // nothing tells it that there is room

		a.SetWriteDeadline(time.Now().Add(time.Minute))
		time.Sleep(time.Minute)
		wrote.wantReturn(t, 1, os.ErrDeadlineExceeded)
	})
}
