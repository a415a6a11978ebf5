package tap_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
	"github.com/longwire/longwire/internal/tap"
)

// patience is how long a test waits for what must come.
const patience = 20 * time.Second

func encode(typ frame.Type, data string) string {
	b, err := frame.Default.Append(nil, typ, []byte(data))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// A stand is a tap with a server behind it.
type stand struct {
	t      *testing.T
	addr   string
	out    *output
	said   *output
	file   bytes.Buffer
	stop   context.CancelFunc
	result chan tap.Result
	err    error
}

// output is what a tap prints. Its lines are read when the tap is over, or awaited.
type output struct {
	mu   sync.Mutex
	text strings.Builder
	fail error
}

func (o *output) Write(b []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.fail != nil {
		return 0, o.fail
	}
	return o.text.Write(b)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// newStand starts a tap for a server that does as told with each connection.
func newStand(t *testing.T, change func(*tap.Config), server func(*net.TCPConn)) *stand {
	t.Helper()
	behind, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := behind.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer c.Close()
				c.SetDeadline(time.Now().Add(patience))
				server(c.(*net.TCPConn))
			})
		}
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &stand{t: t, addr: listener.Addr().String(), out: new(output), said: new(output), result: make(chan tap.Result, 1)}
	record, err := capture.NewWriter(&s.file)
	if err != nil {
		t.Fatal(err)
	}
	conf := tap.Config{
		Codec: frame.Default, MaxFrame: 1 << 20, Conns: 10, Printer: &show.Printer{Out: s.out}, Record: record,
		Dial: func(ctx context.Context) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", behind.Addr().String())
		},
		Say: func(text string) { fmt.Fprintln(s.said, text) },
	}
	if change != nil {
		change(&conf)
	}
	ctx, stop := context.WithCancel(t.Context())
	s.stop = stop
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		result, err := tap.Serve(ctx, listener, conf)
		s.err = err
		s.result <- result
	}()
	t.Cleanup(func() {
		stop()
		<-ended
		behind.Close()
		serving.Wait()
	})
	return s
}

func (s *stand) dial() *net.TCPConn {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetDeadline(time.Now().Add(patience))
	s.t.Cleanup(func() { c.Close() })
	return c.(*net.TCPConn)
}

// exchange sends bytes, ends the stream, and returns what comes back.
func (s *stand) exchange(bytes string) (string, error) {
	s.t.Helper()
	c := s.dial()
	go func() {
		io.WriteString(c, bytes)
		c.CloseWrite()
	}()
	back, err := io.ReadAll(c)
	return string(back), err
}

// refused checks that a connection is ended before anything comes.
func (s *stand) refused() {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		return // it was reset before it was used
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	if n, err := c.Read(make([]byte, 1)); n > 0 || errors.Is(err, os.ErrDeadlineExceeded) {
		s.t.Errorf("%d bytes, %v", n, err)
	}
}

// end stops the tap and returns what it has counted and printed, without times and addresses.
func (s *stand) end() (tap.Result, []string) {
	s.t.Helper()
	s.stop()
	r := <-s.result
	text := regexp.MustCompile(`(?m)^\S+  (board→server|server→board) \S+  `).ReplaceAllString(s.out.String(), "$1 ")
	text = regexp.MustCompile(`127.0.0.1:\d+`).ReplaceAllString(text, "ADDR")
	return r, strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}

// echo sends back what it gets.
func echo(c *net.TCPConn) {
	io.Copy(c, c)
	c.CloseWrite()
}

// All bytes pass unchanged, frames or not, both ways, with the ends of the streams; and the recording
// has what was printed.
func TestTap(t *testing.T) {
	s := newStand(t, nil, echo)
	sent := encode(0x10, "66666") + "garbage" + encode(0x11, strings.Repeat("x", 300_000)) + "\xc8\x00\x00"
	for range 2 {
		if back, err := s.exchange(sent); back != sent || err != nil {
			t.Fatalf("%d bytes of %d come back, %v", len(back), len(sent), err)
		}
	}
	r, lines := s.end()
	if r.Connections != 2 || r.Frames != 8 || r.Bytes != int64(4*len(sent)) || r.Errors != 8 || r.Skipped != 40 {
		t.Errorf("%+v", r)
	}
	text := strings.Join(lines, "\n")
	for _, want := range []string{"board→server 0x0010  5 B  66666", "server→board 0x0010  5 B  66666", "!! wrong head at offset 13: 0x67, want 0xc8",
		"-- connection 1: board ADDR, server ADDR", "board→server -- ended: FIN", "server→board -- ended: FIN", "incomplete frame"} {
		if !strings.Contains(text, want) {
			t.Errorf("there is no %q in\n%.2000s", want, text)
		}
	}
	// The recording.
	streams := make(map[string]string)
	if _, err := capture.Read(&s.file, capture.Options{}, func(p capture.Piece) error {
		if p.Missing > 0 || p.Differs > 0 || p.End && p.Why != "FIN" {
			t.Errorf("recorded: %+v", p)
		}
		streams[fmt.Sprint(p.Conn.Number, p.ToServer)] += string(p.Data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	for name, got := range streams {
		if got != sent {
			t.Errorf("stream %s: %d bytes of %d are recorded", name, len(got), len(sent))
		}
	}
	if len(streams) != 4 {
		t.Errorf("%d streams", len(streams))
	}
}

// A side that has ended still gets what the other has to say.
func TestTapHalfClose(t *testing.T) {
	s := newStand(t, nil, func(c *net.TCPConn) {
		all, _ := io.ReadAll(c)
		io.WriteString(c, encode(1, fmt.Sprint(len(all))))
	})
	if back, err := s.exchange("abcd"); err != nil || back != encode(1, "4") {
		t.Errorf("%q, %v", back, err)
	}
}

// A reset of one side is one of the other.
func TestTapReset(t *testing.T) {
	s := newStand(t, nil, func(c *net.TCPConn) {
		io.ReadFull(c, make([]byte, 1))
		c.SetLinger(0)
	})
	c := s.dial()
	io.WriteString(c, "x")
	if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
		t.Errorf("read: %v", err)
	}
	_, lines := s.end()
	if !slices.Contains(lines, "server→board -- ended: connection reset by peer") && !strings.Contains(strings.Join(lines, "\n"), "server→board -- ended: ") {
		t.Errorf("%q", lines)
	}
}

func TestTapFaults(t *testing.T) {
	three := encode(1, "a") + encode(2, "b") + "junk" + encode(3, "c")
	tests := []struct {
		name   string
		faults tap.Faults
		back   string
		lines  string // one that is printed
	}{
		{"split", tap.Faults{Split: 1}, three, ""},
		{"delay", tap.Faults{Delay: 20 * time.Millisecond, Jitter: 20 * time.Millisecond}, three, ""},
		{"drop a type", tap.Faults{Drop: []frame.Type{2}}, encode(1, "a") + "junk" + encode(3, "c"), "board→server 0x0002  1 B  dropped  \"b\""},
		{"drop, from the server", tap.Faults{Drop: []frame.Type{2}, Direction: show.ToBoard}, encode(1, "a") + "junk" + encode(3, "c"), "server→board 0x0002  1 B  dropped  \"b\""},
		{"drop every second", tap.Faults{DropEvery: 2, Direction: show.ToServer}, encode(1, "a") + "junk" + encode(3, "c"), "board→server 0x0002  1 B  dropped  \"b\""},
		{"all together", tap.Faults{Drop: []frame.Type{1}, DropEvery: 3, Split: 2, Delay: time.Millisecond, Direction: show.ToServer}, encode(2, "b") + "junk", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			s := newStand(t, func(c *tap.Config) { c.Faults = test.faults }, echo)
			begun := time.Now()
			back, err := s.exchange(three)
			if err != nil || back != test.back {
				t.Errorf("got %q, %v", back, err)
			}
			if d := time.Since(begun); d < 2*test.faults.Delay && test.faults.Direction == "" {
				t.Errorf("both ways take %v", d)
			}
			if _, lines := s.end(); test.lines != "" && !slices.Contains(lines, test.lines) {
				t.Errorf("%q", lines)
			}
		})
	}
}

func TestTapCut(t *testing.T) {
	many := strings.Repeat(encode(1, "a"), 20)
	tests := []struct {
		name string
		cut  tap.Cut
		sent string
		line string
	}{
		{"frames", tap.Cut{Frames: 3}, many[:27], "board→server -- cut after 3 frames"},
		{"bytes", tap.Cut{Bytes: 10}, many[:10], "board→server -- cut after 10 bytes"},
		{"time", tap.Cut{After: time.Second}, many, "server→board -- cut after 1s"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got := make(chan string, 1)
			s := newStand(t, func(c *tap.Config) { c.Faults.Cut, c.Faults.Direction = test.cut, show.ToServer }, func(c *net.TCPConn) {
				b, err := io.ReadAll(c)
				got <- fmt.Sprintf("%s%v", b, err != nil)
			})
			c := s.dial()
			io.WriteString(c, many)
			if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, io.EOF) {
				t.Errorf("the board sees %v", err)
			}
			if at := <-got; at != test.sent+"true" {
				t.Errorf("the server sees %q", at)
			}
			if _, lines := s.end(); !slices.Contains(lines, test.line) {
				t.Errorf("%q", lines)
			}
		})
	}
}

// A slow reader slows the sender, and does not make the tap keep what is sent.
func TestTapBackpressure(t *testing.T) {
	release := make(chan struct{})
	s := newStand(t, func(c *tap.Config) { c.Record = nil }, func(c *net.TCPConn) {
		<-release
		io.Copy(io.Discard, c)
	})
	c := s.dial()
	c.SetWriteDeadline(time.Now().Add(500 * time.Millisecond))
	n, err := io.Copy(c, io.LimitReader(zeros{}, 64<<20))
	close(release)
	if err == nil || n >= 64<<20 {
		t.Errorf("%d bytes went nowhere", n)
	}
}

type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// When the disk is full the proxy goes on, and says so once.
func TestTapRecordFails(t *testing.T) {
	s := newStand(t, func(c *tap.Config) {
		var err error
		if c.Record, err = capture.NewWriter(&failing{good: 2}); err != nil {
			t.Fatal(err)
		}
	}, echo)
	sent := encode(1, "a")
	for range 3 {
		if back, err := s.exchange(sent); back != sent || err != nil {
			t.Fatalf("%q, %v", back, err)
		}
	}
	s.end()
	if said := s.said.String(); said != "cannot record any more, and go on without it: full\n" {
		t.Errorf("said %q", said)
	}
}

type failing struct{ good int }

func (f *failing) Write(b []byte) (int, error) {
	if f.good--; f.good < 0 {
		return 0, errors.New("full")
	}
	return len(b), nil
}

// When nothing can be printed any more the tap is over.
func TestTapPrintFails(t *testing.T) {
	broken := errors.New("broken")
	s := newStand(t, func(c *tap.Config) { c.Printer.Out = &output{fail: broken} }, echo)
	c := s.dial()
	io.WriteString(c, encode(1, "a"))
	<-s.result
	if e, is := errors.AsType[*tap.PrintError](s.err); !is || !errors.Is(e, broken) {
		t.Errorf("error %v", s.err)
	}
}

// Connections above the limit, and those for which the server is not there, are refused.
func TestTapRefuses(t *testing.T) {
	s := newStand(t, func(c *tap.Config) { c.Conns = 1 }, echo)
	first := s.dial()
	io.WriteString(first, "x")
	io.ReadFull(first, make([]byte, 1))
	s.refused()
	s.end()
	if !strings.Contains(s.said.String(), "there are 1 connections already") {
		t.Errorf("said %q", s.said)
	}
	gone := newStand(t, func(c *tap.Config) {
		c.Dial = func(context.Context) (net.Conn, error) { return nil, errors.New("connection refused") }
	}, echo)
	gone.refused()
	gone.end()
	if !strings.Contains(gone.said.String(), "connection refused") {
		t.Errorf("said %q", gone.said)
	}
}
