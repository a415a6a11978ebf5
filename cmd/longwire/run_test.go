package main

import (
	"context"
	"io"
	"io/fs"
	"net"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"github.com/longwire/longwire"
)

// Everything that serve starts, the rotation of the log included, has ended when
// it returns.
func TestServeLeavesNothingRunning(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent())
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stderr strings.Builder
	dir := t.TempDir()
	stdout, listening := io.Pipe()
	exit := make(chan int)
	go func() {
		exit <- run(ctx, []string{"serve", "--listen", "127.0.0.1:0", "--http", "off", "--data", filepath.Join(dir, "data"), "--log-file", filepath.Join(dir, "log")}, nil, listening, &stderr)
		listening.Close()
	}()
	line := make([]byte, 100)
	n, err := stdout.Read(line)
	if err != nil {
		t.Fatal(err)
	}
	address, _ := strings.CutPrefix(strings.TrimSpace(string(line[:n])), "longwire: listening on ")
	c, err := longwire.Dial(t.Context(), address, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Ask(t.Context(), 16, nil, nil); err != nil {
		t.Error(err)
	}
	cancel()
	if got := <-exit; got != exitDone || stderr.Len() > 0 {
		t.Errorf("exit status %d, %s", got, stderr.String())
	}
	<-c.Done()
}

func TestListenAnswersQuestions(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	conns := make(chan *longwire.Conn, 1)
	srv := &longwire.Server{Admit: func(_ context.Context, c *longwire.Conn) (func(error), error) {
		conns <- c
		return nil, nil
	}}
	go srv.Serve(l)
	defer srv.Close()

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var stdout, stderr lines
	exit := make(chan int)
	go func() { exit <- run(ctx, []string{"listen", l.Addr().String()}, nil, &stdout, &stderr) }()
	var answer longwire.Envelope
	if err := (<-conns).Ask(t.Context(), 16, "ready?", &answer); err != nil || answer.Status != longwire.StatusOK {
		t.Errorf("%+v, %v", answer, err)
	}
	if got := stdout.String(); !strings.Contains(got, `"data":"ready?"`) {
		t.Errorf("printed: %q", got)
	}
	cancel()
	if got := <-exit; got != exitDone {
		t.Errorf("exit status %d, %s", got, stderr.String())
	}
}

// On systems without SIGPIPE a pipe that nobody reads is an error of Write.
func TestListenToAClosedPipe(t *testing.T) {
	for _, test := range []struct {
		err    error
		status int
		stderr string
	}{
		{io.ErrClosedPipe, exitFailed, "longwire listen: cannot print a message: io: read/write on closed pipe\n"},
		{brokenPipe, exitDone, ""},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		srv := &longwire.Server{Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			return nil, c.Push(ctx, 16, 1)
		}}
		go srv.Serve(l)
		defer srv.Close()
		var stderr lines
		got := run(t.Context(), []string{"listen", l.Addr().String()}, nil, full{test.err}, &stderr)
		var said strings.Builder
		for line := range strings.Lines(stderr.String()) {
			if !strings.HasPrefix(line, "time=") {
				said.WriteString(line)
			}
		}
		if got != test.status || said.String() != test.stderr {
			t.Errorf("%v: exit status %d, %q", test.err, got, said.String())
		}
	}
}

// full is a writer that takes nothing.
type full struct{ err error }

func (f full) Write([]byte) (int, error) { return 0, f.err }

var brokenPipe = &fs.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}
