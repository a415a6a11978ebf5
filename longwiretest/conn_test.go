package longwiretest_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/longwire/longwire/longwiretest"
	"golang.org/x/net/nettest"
)

// bufferSize is the default of [longwiretest.Network.BufferSize].
const bufferSize = 64 << 10

func TestConformance(t *testing.T) {
	networks := map[string]*longwiretest.Network{
		"default": {},
		"small":   {BufferSize: 1500},
		"pieces":  {MaxRead: 7},
	}
	for name, n := range networks {
		t.Run(name, func(t *testing.T) {
			nettest.TestConn(t, func() (c1, c2 net.Conn, stop func(), err error) {
				a, b := n.Pipe()
				return a, b, func() { a.Close(); b.Close() }, nil
			})
		})
	}
}

func TestBothEndsMayWriteFirst(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	write(t, a, "from a")
	write(t, b, "from b")
	wantRead(t, b, "from a")
	wantRead(t, a, "from b")
}

func TestReadWaitsForData(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, new(longwiretest.Network))
		read := startRead(b)
		read.wantBlocked(t)
		write(t, a, "hello")
		read.wantReturn(t, 5, nil)
	})
}

func TestWriteWaitsForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, new(longwiretest.Network))
		write(t, a, strings.Repeat("x", bufferSize))
		more := startWrite(a, "yz")
		more.wantBlocked(t)

		wantRead(t, b, "x")
		more.wantBlocked(t) // there is room for one byte only

		wantRead(t, b, "x")
		more.wantReturn(t, 2, nil)
		wantRead(t, b, strings.Repeat("x", bufferSize-2)+"yz")
	})
}

func TestBufferSize(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 4})
		write(t, a, "1234")
		more := startWrite(a, "5")
		more.wantBlocked(t)
		wantRead(t, b, "12345")
		more.wantReturn(t, 1, nil)
	})
}

func TestBufferWithoutLimit(t *testing.T) {
	a, b := pipe(t, &longwiretest.Network{BufferSize: -1})
	data := strings.Repeat("x", 1<<20)
	write(t, a, data)
	wantRead(t, b, data)
}

func TestMaxRead(t *testing.T) {
	a, b := pipe(t, &longwiretest.Network{MaxRead: 2})
	write(t, a, "abc")
	buf := make([]byte, 100)
	for _, want := range []string{"ab", "c"} {
		n, err := b.Read(buf)
		if err != nil || string(buf[:n]) != want {
			t.Fatalf("Read = %q, %v; want %q", buf[:n], err, want)
		}
	}
}

func TestEmptyReadAndWriteDoNotWait(t *testing.T) {
	a, _ := pipe(t, &longwiretest.Network{BufferSize: 1})
	write(t, a, "x")
	for name, f := range map[string]func([]byte) (int, error){"Read": a.Read, "Write": a.Write} {
		if n, err := f(nil); n != 0 || err != nil {
			t.Errorf("%s(nil) = %d, %v; want 0, nil", name, n, err)
		}
	}
}

func TestConcurrentWritesAreNotMixed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 7})
		const writers, size = 10, 100
		var all sync.WaitGroup
		for i := range writers {
			all.Go(func() {
				if _, err := a.Write(bytes.Repeat([]byte{'a' + byte(i)}, size)); err != nil {
					t.Error(err)
				}
			})
		}
		go func() {
			all.Wait()
			a.CloseWrite()
		}()
		synctest.Wait() // all of them want to write
		got, err := io.ReadAll(b)
		if err != nil || len(got) != writers*size {
			t.Fatalf("read %d bytes, %v; want %d", len(got), err, writers*size)
		}
		for i := 0; i < len(got); i += size {
			if want := bytes.Repeat(got[i:i+1], size); !bytes.Equal(got[i:i+size], want) {
				t.Errorf("one write came as %q", got[i:i+size])
			}
		}
	})
}

func TestWritersTakeTurnsAfterAFailure(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 1})
		first := startWrite(a, "12")
		first.wantBlocked(t)
		second := startWrite(a, "34")
		second.wantBlocked(t)
		b.Reset()
		first.wantReturn(t, 1, syscall.ECONNRESET)
		second.wantReturn(t, 0, syscall.ECONNRESET)
	})
}

func TestErrorsSayWhatAndWhere(t *testing.T) {
	a, b := pipe(t, new(longwiretest.Network))
	b.Close()
	_, err := a.Write([]byte("x"))
	op, ok := errors.AsType[*net.OpError](err)
	if !ok {
		t.Fatalf("Write = %T, want a *net.OpError", err)
	}
	if op.Op != "write" || op.Net != "tcp" || op.Source != a.LocalAddr() || op.Addr != a.RemoteAddr() {
		t.Errorf("Write = %#v", op)
	}
	if _, ok := errors.AsType[*os.SyscallError](err); !ok {
		t.Errorf("Write = %v, want an *os.SyscallError in it", err)
	}
}

func TestEveryPipeHasItsOwnAddresses(t *testing.T) {
	seen := make(map[string]bool)
	for range 10 {
		a, b := longwiretest.Pipe()
		defer a.Close()
		defer b.Close()
		if a.LocalAddr() != b.RemoteAddr() || b.LocalAddr() != a.RemoteAddr() {
			t.Errorf("the ends do not agree: %v-%v and %v-%v",
				a.LocalAddr(), a.RemoteAddr(), b.LocalAddr(), b.RemoteAddr())
		}
		for _, addr := range []net.Addr{a.LocalAddr(), b.LocalAddr()} {
			if seen[addr.String()] {
				t.Errorf("%v was used before", addr)
			}
			seen[addr.String()] = true
		}
	}
}
