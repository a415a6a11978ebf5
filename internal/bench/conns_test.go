package bench

import (
	"context"
	"errors"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

func TestConns(t *testing.T) {
	o := ConnsOptions{Addr: echoServer(t), Conns: 100, Type: 16, Hold: 20 * time.Millisecond}
	if runtime.GOOS == "linux" {
		o.PID = os.Getpid()
	}
	for _, o.Silent = range []bool{false, true} {
		rep, err := Conns(t.Context(), o)
		if err != nil {
			t.Fatal(err)
		}
		if rep.Connect <= 0 || rep.Held < o.Hold || rep.Closed != 0 {
			t.Errorf("%+v", rep)
		}
		if o.PID != 0 && (rep.MemoryBefore < 1<<20 || rep.MemoryAfter < 1<<20) {
			t.Errorf("%+v", rep)
		}
	}
}

func TestConnsThatAreClosedMeanwhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n atomic.Int64
		dial := serve(t, new(longwiretest.Network), answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			echo(w, i, f)
			if n.Add(1)%10 == 0 {
				time.Sleep(time.Minute)
				return false
			}
			return true
		}))
		for hold, want := range map[time.Duration]int{time.Second: 0, time.Hour: 30} {
			rep, err := Conns(t.Context(), ConnsOptions{Conns: 300, Hold: hold, DialContext: dial})
			if err != nil || rep.Closed != want || rep.Held != hold {
				t.Errorf("%v: %+v, %v", hold, rep, err)
			}
		}
	})
}

func TestConnsAgainstAWrongServer(t *testing.T) {
	for _, test := range []struct {
		name  string
		treat func(*longwiretest.Conn)
		kind  Kind
	}{
		{"closes", func(*longwiretest.Conn) {}, Closed},
		{"other type", answers(func(w *frame.Writer, _ int, f frame.Frame) bool { return w.WriteFrame(f.Type+1, f.Data) == nil }), WrongType},
		{"never answers", answers(func(*frame.Writer, int, frame.Frame) bool { return true }), Unanswered},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, err := Conns(t.Context(), ConnsOptions{Conns: 10, DialContext: serve(t, new(longwiretest.Network), test.treat)})
				if f, ok := errors.AsType[*Failure](err); !ok || f.Kind != test.kind {
					t.Error(err)
				}
			})
		})
	}
}

func TestConnsInterrupted(t *testing.T) {
	cause := errors.New("enough")
	interrupted := func(t *testing.T, o ConnsOptions) (rep *ConnsReport, err error) {
		synctest.Test(t, func(t *testing.T) {
			o.DialContext = serve(t, new(longwiretest.Network), answers(func(*frame.Writer, int, frame.Frame) bool { return true }))
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			rep, err = Conns(ctx, o)
		})
		return rep, err
	}
	t.Run("resting", func(t *testing.T) {
		rep, err := interrupted(t, ConnsOptions{Conns: 10, Silent: true, Hold: time.Hour})
		if err != nil || rep.Held != time.Second {
			t.Errorf("%+v, %v", rep, err)
		}
	})
	t.Run("exchanging", func(t *testing.T) {
		if _, err := interrupted(t, ConnsOptions{Conns: 10, Hold: time.Hour}); !errors.Is(err, cause) {
			t.Error(err)
		}
	})
}

func TestMemory(t *testing.T) {
	if runtime.GOOS != "linux" {
		if _, err := memory(os.Getpid()); !errors.Is(err, errors.ErrUnsupported) {
			t.Error(err)
		}
		return
	}
	if _, err := Conns(t.Context(), ConnsOptions{Addr: "127.0.0.1:1", PID: 1 << 30}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	for status, want := range map[string]int64{
		"Name:\tlongwire\nVmRSS:\t    1234 kB\nThreads:\t9\n": 1234 << 10,
		"VmRSS:\t0 kB\n":     0,
		"Name:\tkthreadd\n":  -1,
		"VmRSS:\tmany kB\n":  -1,
		"VmRSSX:\t1234 kB\n": -1,
	} {
		if got, err := resident(status); want >= 0 && got != want || (err == nil) != (want >= 0) {
			t.Errorf("%q: %d, %v", status, got, err)
		}
	}
}

func TestErrorsSayWhat(t *testing.T) {
	for _, test := range []struct {
		err  error
		want string
	}{
		{&Failure{2, Closed, "the server closed it"}, "bench: connection 3: the server closed it"},
		{&ConnectError{5, errors.New("no route")}, "bench: connecting, after 5 connections: no route"},
		{&MemoryError{7, os.ErrNotExist}, "bench: the memory of process 7: file does not exist"},
	} {
		if got := test.err.Error(); !strings.HasPrefix(got, test.want) {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}
