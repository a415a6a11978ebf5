package longwiretest_test

import (
	"errors"
	"net"
	"os"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/longwiretest"
)

func TestReadDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, new(longwiretest.Network))
		begin := time.Now()
		a.SetReadDeadline(begin.Add(time.Minute))

		_, err := a.Read(make([]byte, 1))
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Read = %v, want os.ErrDeadlineExceeded", err)
		}
		if ne, ok := errors.AsType[net.Error](err); !ok || !ne.Timeout() {
			t.Errorf("%v is not a timeout", err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("Read took %v, want 1m", took)
		}

		write(t, a, "writing goes on")
		write(t, b, "x")
		wantReadError(t, a, os.ErrDeadlineExceeded) // although there is data
		a.SetReadDeadline(time.Time{})
		wantRead(t, a, "x")
	})
}

func TestWriteDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, &longwiretest.Network{BufferSize: 3})
		begin := time.Now()
		a.SetWriteDeadline(begin.Add(time.Minute))

		n, err := a.Write([]byte("12345"))
		if n != 3 || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("Write = %d, %v; want 3, os.ErrDeadlineExceeded", n, err)
		}
		if took := time.Since(begin); took != time.Minute {
			t.Errorf("Write took %v, want 1m", took)
		}

		write(t, b, "ok")
		wantRead(t, a, "ok")
		wantRead(t, b, "123")
		wantWriteError(t, a, os.ErrDeadlineExceeded) // although there is room
		a.SetWriteDeadline(time.Time{})
		write(t, a, "6")
		wantRead(t, b, "6")
	})
}

func TestDeadlineReachesThoseWhoWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pipe(t, &longwiretest.Network{BufferSize: 1})
		read, wrote := startRead(a), startWrite(a, "12")
		read.wantBlocked(t)
		wrote.wantBlocked(t)
		queued := startWrite(a, "3")
		queued.wantBlocked(t)
		a.SetDeadline(time.Now())
		read.wantReturn(t, 0, os.ErrDeadlineExceeded)
		wrote.wantReturn(t, 1, os.ErrDeadlineExceeded)
		queued.wantReturn(t, 0, os.ErrDeadlineExceeded)
	})
}

func TestDeadlineCanBeMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, _ := pipe(t, new(longwiretest.Network))
		read := startRead(a)
		for range 10 { // as a server does that hears from its peer in time
			a.SetReadDeadline(time.Now().Add(time.Minute))
			time.Sleep(59 * time.Second)
			read.wantBlocked(t)
		}
		a.SetReadDeadline(time.Time{})
		time.Sleep(time.Hour)
		read.wantBlocked(t)
		a.SetReadDeadline(time.Now().Add(time.Second))
		time.Sleep(time.Second)
		read.wantReturn(t, 0, os.ErrDeadlineExceeded)
	})
}

// A timer that fires while its deadline is being replaced must not end the
// new deadline.
func TestDeadlineReplacedAsItPasses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, b := pipe(t, new(longwiretest.Network))
		for range 1000 {
			a.SetReadDeadline(time.Now().Add(time.Second))
			time.Sleep(time.Second)
			a.SetReadDeadline(time.Time{})
			write(t, b, "x")
			wantRead(t, a, "x")
		}
	})
}

func TestSetDeadlineAfterClose(t *testing.T) {
	a, _ := pipe(t, new(longwiretest.Network))
	a.Close()
	if err := a.SetDeadline(time.Now()); !errors.Is(err, net.ErrClosed) {
		t.Errorf("SetDeadline = %v, want net.ErrClosed", err)
	}
}
