package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

func TestRun(t *testing.T) {
	addr := echoServer(t)
	for _, o := range []Options{
		{},
		{Conns: 20, Depth: 16, Size: 64, Type: 0x10},
		{Conns: 3, Depth: 5, Size: 7, Type: 0xFEFF},
		{Conns: 2, Depth: 3, Size: 8},
		{Conns: 2, Depth: 300, Size: 1000},  // more than the buffers of the system take
		{Conns: 2, Depth: 3, Size: 500_000}, // frames larger than a burst
		{Conns: 20, Rate: 5000, Size: 64},
	} {
		t.Run(fmt.Sprintf("%d conns, depth %d, rate %d, %d bytes", o.Conns, o.Depth, o.Rate, o.Size), func(t *testing.T) {
			o.Addr, o.Duration = addr, 80*time.Millisecond
			rep, err := Run(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			if rep.First != nil || rep.ErrorCount() > 0 {
				t.Errorf("errors: %v, %v", rep.Errors, rep.First)
			}
			l := rep.Latency
			if l.Samples == 0 || l.P50 == 0 || l.P50 > l.P90 || l.P90 > l.P99 || l.P99 > l.P999 || l.P999 > l.Max {
				t.Errorf("%+v", l)
			}
			if rep.Elapsed != o.Duration || rep.Connect <= 0 || rep.FrameSize != o.Size+8 {
				t.Errorf("%+v", rep)
			}
			if got, want := rep.BytesPerSecond(), rep.FramesPerSecond()*float64(rep.FrameSize); got < 0.999*want || got > 1.001*want {
				t.Errorf("%v bytes per second, want %v", got, want)
			}
		})
	}
}

// A server that does not echo as it should is found out, each way of it.
func TestRunAgainstAWrongServer(t *testing.T) {
	for _, test := range []struct {
		name    string
		options Options
		treat   func(*longwiretest.Conn)
		kind    Kind
		n       int64
		problem string
	}{
		{"closes", Options{Conns: 3, Size: 64}, func(*longwiretest.Conn) {}, Closed, 3, "the server closed it"},
		{"closes at the third frame", Options{Size: 64}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			return i < 2 && echo(w, i, f)
		}), Closed, 1, "the server closed it"},
		{"closes with a rate", Options{Rate: 10}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			return i < 2 && echo(w, i, f)
		}), Closed, 1, "the server closed it"},
		{"resets", Options{}, func(nc *longwiretest.Conn) {
			frame.NewReader(nc, nil).Next()
			nc.Reset()
		}, Closed, 1, "it broke: connection reset by peer"},
		{"speaks something else", Options{}, func(nc *longwiretest.Conn) {
			io.WriteString(nc, "SSH-2.0-x\r\n")
			io.Copy(io.Discard, nc)
		}, BadFrame, 1, "what came back is no frame: "},
		{"other type", Options{Type: 16}, answers(func(w *frame.Writer, _ int, f frame.Frame) bool {
			return w.WriteFrame(f.Type+1, f.Data) == nil
		}), WrongType, 1, "a frame of type 0x0011 came back, and 0x0010 was sent"},
		{"shorter", Options{Size: 64}, answers(func(w *frame.Writer, _ int, f frame.Frame) bool {
			return w.WriteFrame(f.Type, f.Data[1:]) == nil
		}), WrongLength, 1, "63 bytes of data came back, and 64 were sent"},
		{"much longer", Options{Size: 64}, answers(func(w *frame.Writer, _ int, f frame.Frame) bool {
			return w.WriteFrame(f.Type, bytes.Repeat(f.Data, 100)) == nil
		}), WrongLength, 1, "6400 bytes of data came back, and 64 were sent"},
		{"other bytes", Options{Size: 64}, answers(func(w *frame.Writer, _ int, f frame.Frame) bool {
			f.Data[63]++
			return w.WriteFrame(f.Type, f.Data) == nil
		}), WrongData, 1, "other data came back than was sent"},
		{"other bytes without a number", Options{Size: 7}, answers(func(w *frame.Writer, _ int, f frame.Frame) bool {
			f.Data[0]++
			return w.WriteFrame(f.Type, f.Data) == nil
		}), WrongData, 1, "other data came back than was sent"},
		{"a number from the future", Options{Size: 8}, answers(func(w *frame.Writer, _ int, f frame.Frame) bool {
			f.Data[0] = 1
			return w.WriteFrame(f.Type, f.Data) == nil
		}), WrongData, 1, "other data came back than was sent"},
		{"answers twice", Options{Size: 8}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			return twice(w, i, f)
		}), Repeated, 1, "frame 1 came back again"},
		{"answers twice without a number", Options{Size: 7, Rate: 10}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			return twice(w, i, f)
		}), Unasked, 1, "1 frames were sent, and one more came back"},
		{"loses one", Options{Size: 8, Depth: 4}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			return i == 2 || echo(w, i, f)
		}), Skipped, 1, "frame 4 came back when it was the turn of frame 3"},
		{"loses the last", Options{Size: 8, Rate: 10}, answers(func(w *frame.Writer, i int, f frame.Frame) bool {
			return i == 9 || echo(w, i, f)
		}), Unanswered, 1, "1 frames were not answered, 10s after the last was to be sent"},
		{"never answers", Options{Conns: 2, Depth: 4}, answers(func(*frame.Writer, int, frame.Frame) bool {
			return true
		}), Unanswered, 8, "4 frames were not answered"},
		{"never reads", Options{Depth: 4, Size: 100_000}, func(nc *longwiretest.Conn) {
			time.Sleep(time.Hour)
		}, Unanswered, 4, "4 frames were not answered"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := test.options
				o.DialContext = serve(t, new(longwiretest.Network), test.treat)
				o.Duration = time.Second
				rep, err := Run(t.Context(), o)
				if err != nil {
					t.Fatal(err)
				}
				if rep.ErrorCount() != test.n || rep.Errors[test.kind] != test.n {
					t.Errorf("errors: %v, want %d of %s", rep.Errors, test.n, test.kind)
				}
				if f := rep.First; f == nil || f.Kind != test.kind || !strings.Contains(f.Problem, test.problem) {
					t.Errorf("first error: %v, want %s: %s", f, test.kind, test.problem)
				}
			})
		})
	}
}

func TestRunWithoutAServer(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = Run(t.Context(), Options{Addr: l.Addr().String(), Conns: 100})
	if e, ok := errors.AsType[*ConnectError](err); !ok || e.Opened != 0 || !errors.Is(err, syscall.ECONNREFUSED) {
		t.Error(err)
	}
}

// A connection that does not come about is given up in time, and then none of the
// others stays open.
func TestRunWithTooFewConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		others := make(chan *longwiretest.Conn, 3)
		_, err := Run(t.Context(), Options{Conns: 5, Timeout: time.Second, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			if calls.Add(1) > 3 {
				<-ctx.Done()
				return nil, ctx.Err()
			}
			a, b := longwiretest.Pipe()
			others <- b
			return a, nil
		}})
		if e, ok := errors.AsType[*ConnectError](err); !ok || e.Opened != 3 || !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		for range 3 {
			if _, err := (<-others).Read(make([]byte, 1)); err != io.EOF {
				t.Error(err)
			}
		}
	})
}

// A schedule with nothing left to send is not over before its time.
func TestElapsedWithALowRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rep, err := Run(t.Context(), Options{
			Conns:       3,
			Rate:        1,
			Duration:    10 * time.Second,
			DialContext: serve(t, new(longwiretest.Network), answers(echo)),
		})
		if err != nil || rep.Elapsed != 10*time.Second || rep.Frames != 10 || rep.FramesPerSecond() != 1 {
			t.Errorf("%+v, %v", rep, err)
		}
	})
}

func TestDataThatFitsInNoFrame(t *testing.T) {
	if _, err := newSample(0x10000, 0); err == nil {
		t.Error("a type of 17 bits is in a frame")
	}
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var got []Progress
		o := Options{
			Conns:       4,
			Rate:        100,
			Warmup:      2500 * time.Millisecond,
			Duration:    time.Second,
			DialContext: serve(t, new(longwiretest.Network), answers(echo)),
			Progress:    func(p Progress) { got = append(got, p) },
		}
		if _, err := Run(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		if len(got) != 3 {
			t.Fatalf("%+v", got)
		}
		for i, p := range got {
			n := int64(i + 1)
			if p.Opened != 4 || p.Elapsed != time.Duration(n)*time.Second || p.Warmup != (i < 2) || p.Errors != 0 {
				t.Errorf("%d: %+v", i, p)
			}
			// What is due at the very second may be before or behind.
			if p.Frames < 100*n || p.Frames > 100*n+1 || p.PerSecond < 99 || p.PerSecond > 101 {
				t.Errorf("%d: %+v", i, p)
			}
		}
	})
}

// When it is told to stop, it returns what it has measured by then.
func TestInterrupt(t *testing.T) {
	cause := errors.New("enough")
	for _, test := range []struct {
		name    string
		after   time.Duration
		elapsed time.Duration
		frames  int64
	}{
		{"measuring", 2500 * time.Millisecond, 1500 * time.Millisecond, 150},
		{"warming up", 500 * time.Millisecond, 0, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, cancel := context.WithCancelCause(t.Context())
				dial := serve(t, new(longwiretest.Network), answers(echo))
				time.AfterFunc(test.after, func() { cancel(cause) })
				begun := time.Now()
				rep, err := Run(ctx, Options{Conns: 30, Rate: 100, Warmup: time.Second, Duration: time.Hour, DialContext: dial})
				if took := time.Since(begun); took != test.after {
					t.Errorf("it took %v", took)
				}
				if test.elapsed == 0 {
					if !errors.Is(err, cause) {
						t.Error(err)
					}
					return
				}
				if err != nil || rep.Elapsed != test.elapsed || rep.First != nil {
					t.Fatalf("%+v, %v", rep, err)
				}
				if rep.Frames < test.frames-1 || rep.Frames > test.frames+1 || rep.Schedule.Unsent > 1 {
					t.Errorf("%d frames, %+v", rep.Frames, rep.Schedule)
				}
			})
		})
	}
	t.Run("connecting", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancelCause(t.Context())
			time.AfterFunc(time.Second, func() { cancel(cause) })
			_, err := Run(ctx, Options{Conns: 100, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				<-ctx.Done()
				return nil, ctx.Err()
			}})
			if !errors.Is(err, cause) {
				t.Error(err)
			}
		})
	})
}
