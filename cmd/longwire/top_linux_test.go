package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"github.com/hinshun/vt10x"
	"golang.org/x/sys/unix"

	"github.com/longwire/longwire"
)

// A terminal runs a program, as somebody sees it.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	pty    *os.File
	screen vt10x.Terminal
	before *unix.Termios
	ended  chan error

	mu      sync.Mutex
	raw     bytes.Buffer
	changed chan struct{}
}

func inTerminal(t *testing.T, columns, lines int, args ...string) *terminal {
	t.Helper()
	return inTerminalOf(t, "xterm", columns, lines, args...)
}

func inTerminalOf(t *testing.T, kind string, columns, lines int, args ...string) *terminal {
	t.Helper()
	s := &terminal{t: t, cmd: exec.Command("longwire", args...), screen: vt10x.New(vt10x.WithSize(columns, lines)), ended: make(chan error, 1), changed: make(chan struct{})}
	s.cmd.Env = append(os.Environ(), "TERM="+kind, "HOME="+t.TempDir())
	master, slave, err := pty.Open()
	if err != nil {
		t.Fatal(err)
	}
	s.pty = master
	if s.before, err = unix.IoctlGetTermios(int(slave.Fd()), unix.TCGETS); err != nil {
		t.Fatal(err)
	}
	pty.Setsize(master, &pty.Winsize{Cols: uint16(columns), Rows: uint16(lines)})
	s.cmd.Stdin, s.cmd.Stdout, s.cmd.Stderr = slave, slave, slave
	s.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.cmd.Process.Kill()
		slave.Close()
		master.Close()
	})
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := master.Read(buf)
			if err != nil {
				return
			}
			s.screen.Write(buf[:n])
			s.mu.Lock()
			s.raw.Write(buf[:n])
			close(s.changed)
			s.changed = make(chan struct{})
			s.mu.Unlock()
		}
	}()
	go func() { s.ended <- s.cmd.Wait() }()
	return s
}

// sees waits until a pattern is on the screen, or is not any more.
func (s *terminal) sees(pattern string, is bool) {
	s.t.Helper()
	re := regexp.MustCompile(pattern)
	late := time.After(patience)
	for {
		s.mu.Lock()
		changed := s.changed
		s.mu.Unlock()
		if re.MatchString(s.screen.String()) == is {
			return
		}
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("waited for %q (%v) on this screen:\n%s", pattern, is, s.screen.String())
		}
	}
}

func (s *terminal) shows(pattern string) {
	s.t.Helper()
	s.sees(pattern, true)
}

func (s *terminal) press(keys string) {
	s.t.Helper()
	if _, err := s.pty.WriteString(keys); err != nil {
		s.t.Fatal(err)
	}
}

// leaves waits for the end of the program, which has left the terminal as it was.
func (s *terminal) leaves() {
	s.t.Helper()
	select {
	case err := <-s.ended:
		if err != nil {
			s.t.Errorf("it ended with %v:\n%s", err, s.screen.String())
		}
	case <-time.After(patience):
		s.t.Fatalf("it does not end:\n%s", s.screen.String())
	}
	after, err := unix.IoctlGetTermios(int(s.pty.Fd()), unix.TCGETS)
	if err != nil || *after != *s.before {
		s.t.Errorf("the terminal is %+v and was %+v, %v", after, s.before, err)
	}
	late := time.After(patience)
	for {
		s.mu.Lock()
		changed, raw := s.changed, s.raw.String()
		s.mu.Unlock()
		if strings.LastIndex(raw, "\x1b[?1049l") > strings.LastIndex(raw, "\x1b[?1049h") && strings.LastIndex(raw, "\x1b[?25h") > strings.LastIndex(raw, "\x1b[?25l") {
			return
		}
		select {
		case <-changed:
		case <-late:
			s.t.Fatalf("the screen was not given back: %q", raw[max(len(raw)-200, 0):])
		}
	}
}

// A gatewayProcess is "longwire serve" as a process, which can be ended and begun again, at the
// same addresses.
type gatewayProcess struct {
	t            *testing.T
	boards, http string
	dir          string
	cmd          *exec.Cmd
}

func (g *gatewayProcess) start() {
	g.t.Helper()
	var stdout, stderr lines
	cmd := exec.Command("longwire", "serve", "--listen", g.boards, "--http", g.http, "--data", g.dir, "--log-level", "error")
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.cmd = cmd
	boards, api := stdout.await(regexp.MustCompile(`^longwire: listening on (\S+)$`), 1), stdout.await(regexp.MustCompile(`^longwire: API on http://(\S+)$`), 1)
	if boards == nil || api == nil {
		g.t.Fatalf("the gateway does not begin: %s", stderr.String())
	}
	g.boards, g.http = boards[1], api[1]
}

func (g *gatewayProcess) end() {
	g.cmd.Process.Kill()
	g.cmd.Wait()
}

func newGatewayProcess(t *testing.T) *gatewayProcess {
	t.Helper()
	g := &gatewayProcess{t: t, boards: "127.0.0.1:0", http: "127.0.0.1:0", dir: t.TempDir()}
	t.Cleanup(func() {
		if g.cmd != nil {
			g.end()
		}
	})
	return g
}

func (g *gatewayProcess) board(hello longwire.Hello) *longwire.Conn {
	g.t.Helper()
	c, err := (&longwire.Client{Addr: g.boards, Hello: &hello}).Dial(g.t.Context())
	if err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { c.Close(longwire.ReasonClosed) })
	return c
}

// post asks the API for something.
func (g *gatewayProcess) post(path, body string) {
	g.t.Helper()
	got, err := http.Post("http://"+g.http+path, "application/json", strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if got.Body.Close(); got.StatusCode > 299 {
		g.t.Fatalf("%s: %s", path, got.Status)
	}
}

func TestTop(t *testing.T) {
	g := newGatewayProcess(t)
	g.start()
	for i := range 30 {
		g.board(longwire.Hello{ID: fmt.Sprintf("meter-%02d", i), Groups: []string{"hall-1"}})
	}
	pump := g.board(longwire.Hello{ID: "pump-1", Attributes: map[string]string{"place": "\x1b[2Jcellar"}})
	for range 5 {
		if err := pump.Push(t.Context(), 0x20, "seen"); err != nil {
			t.Fatal(err)
		}
	}
	s := inTerminal(t, 80, 24, "top", "--api", "http://"+g.http, "--interval", "100ms")

	// The busiest first, and as many as there is room for.
	s.shows(`boards 31 of 31 online`)
	s.shows(`BOARD .*\n *pump-1 +online +\S+ +\S+ .*127\.0\.0\.1`)
	s.shows(`meter-16 `)
	s.sees(`meter-17 `, false)

	// Who is busy now comes first, whatever others have done; the cursor stays where it was.
	busy, idle := g.board(longwire.Hello{ID: "busy-1"}), make(chan struct{})
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			select {
			case <-idle:
				return
			case <-time.After(10 * time.Millisecond):
				busy.Push(t.Context(), 0x20, 1)
			}
		}
	}()
	s.shows(`by frames_in/s`)
	s.shows(`BOARD .*\n *busy-1 +online +[1-9]\S* .*\n *pump-1 `)
	close(idle)
	<-over
	busy.Close(longwire.ReasonClosed)
	s.press("\x1b[F") // end
	s.shows(`meter-29 `)
	s.press("s")
	s.shows(`by frames_out`)

	// One of them, and what it says. What could harm the terminal is text.
	s.press("/pump")
	s.shows(`/pump_`)
	s.sees(`meter-`, false)
	s.press("\r\r")
	s.shows(`no frame yet`)
	if err := pump.Push(t.Context(), 0x20, longwire.Raw("\x1b[2J\x1b]0;evil\x07 \u202e21")); err != nil {
		t.Fatal(err)
	}
	s.shows(`<- in +0x0020 +\d+ B +·\[2J·\]0;evil· ·21`)
	var answer longwire.Envelope
	if err := pump.Ask(t.Context(), 0x21, map[string]string{"town": "東京"}, &answer); err != nil {
		t.Fatal(err)
	}
	s.shows(`<- in +0x0021 +\d+ B +\{"town":"東`)
	s.shows(`-> out +0x0021 +\d+ B +\d\S*s 200 `)
	s.press("w")
	s.shows(`-> out +0x0021 +\d+ B +\d\S*s \{"data_type":.*\n {44,}\S`)
	s.press("wd")
	s.shows(`<- in +0x0020 +\d+ B +1b 5b 32 4a`)
	s.press("\x1b")
	s.shows(`BOARD`)

	// Its connection is ended when somebody means it.
	s.press("x")
	s.shows(`end the connection of pump-1\? y or n`)
	s.press("n")
	s.sees(`y or n`, false)
	if pump.Err() != nil {
		t.Fatal("it is ended without a yes")
	}
	s.press("xy")
	<-pump.Done()
	s.shows(`pump-1 +away`)
	s.press("3")
	s.shows(`\d\d:\d\d:\d\d pump-1 +kicked`)
	s.shows(`kicked 1`)

	// Commands that wait, called back and retried.
	g.post("/v1/devices/pump-1/commands", `{"type":16,"data":{"valve":"open"}}`)
	s.press("2")
	s.shows(`pump-1 +queued +0x0010 .*\{"valve":"open"\}`)
	s.press("c")
	s.shows(`call command \S+ back\? y or n`)
	s.press("y")
	s.shows(`no command waits`)

	// How long answers took, when there have been some.
	s.press("4")
	s.shows(`\[4 Latency\]`)
	s.shows(`UNTIL +ASKS +FAILED +P50 +P99 `)

	// It fits into small terminals.
	pty.Setsize(s.pty, &pty.Winsize{Cols: 40, Rows: 10})
	s.screen.Resize(40, 10)
	s.press("1\x1b")
	s.shows(`meter-00 `)
	for line := range strings.Lines(s.screen.String()) {
		if len([]rune(strings.TrimRight(line, "\n"))) > 40 {
			t.Errorf("%q", line)
		}
	}
	s.press("?")
	s.shows(`1 2 3 4, tab`)
	s.press("?")

	// The gateway goes and comes back.
	g.end()
	s.shows(`away for`)
	g.start()
	s.shows(`connected`)
	s.press("q")
	s.leaves()
}

// Every way out leaves the terminal as it was.
func TestTopIsLeft(t *testing.T) {
	g := newGatewayProcess(t)
	g.start()
	for name, leave := range map[string]func(*terminal){
		"q":       func(s *terminal) { s.press("q") },
		"ctrl+c":  func(s *terminal) { s.press("\x03") },
		"SIGTERM": func(s *terminal) { s.cmd.Process.Signal(syscall.SIGTERM) },
		"SIGINT":  func(s *terminal) { s.cmd.Process.Signal(syscall.SIGINT) },
	} {
		t.Run(name, func(t *testing.T) {
			s := inTerminal(t, 80, 24, "top", "--api", "http://"+g.http)
			s.shows(`no board has connected yet`)
			leave(s)
			s.leaves()
		})
	}
}

// A terminal that can do nothing is told so in words.
func TestTopOnADumbTerminal(t *testing.T) {
	for _, kind := range []string{"dumb", ""} {
		s := inTerminalOf(t, kind, 200, 24, "top")
		s.shows(`^longwire top: needs a terminal`)
		err, ok := errors.AsType[*exec.ExitError](<-s.ended)
		s.mu.Lock()
		raw := s.raw.String()
		s.mu.Unlock()
		if !ok || err.ExitCode() != exitUsage || strings.Contains(raw, "\x1b") {
			t.Errorf("TERM=%s: %v, %q", kind, err, raw)
		}
	}
}

func TestTopWithoutTerminal(t *testing.T) {
	g := newGatewayProcess(t)
	g.start()
	g.board(longwire.Hello{ID: "meter-7"})
	var stdout, stderr lines
	if got := run(context.Background(), []string{"top", "--api", "http://" + g.http, "--once"}, nil, &stdout, &stderr); got != exitDone || !regexp.MustCompile(`^longwire top  http://.*\nboards 1 of 1 online .*\nup .*\n.*\nBOARD .*\nmeter-7 +online `).MatchString(stdout.String()) || strings.Contains(stdout.String(), "\x1b") {
		t.Errorf("%d, %q, %s", got, stdout.String(), stderr.String())
	}
	if got := run(context.Background(), []string{"top", "--api", "http://" + g.http, "--once", "--page", "closes"}, nil, &stdout, &stderr); got != exitDone || !strings.Contains(stdout.String(), "[3 Closes]") {
		t.Errorf("%d, %q, %s", got, stdout.String(), stderr.String())
	}
	for want, args := range map[string][]string{
		`longwire top: --page: "all" is neither`:      {"top", "--once", "--page", "all"},
		`longwire top: needs a terminal`:              {"top"},
		`longwire top: --interval: must be 100ms`:     {"top", "--once", "--interval", "1ms"},
		`longwire top: --sort: "size" is neither`:     {"top", "--once", "--sort", "size"},
		`longwire top: .*cannot reach the gateway at`: {"top", "--once", "--api", "http://127.0.0.1:1"},
	} {
		out, err := exec.Command("longwire", args...).CombinedOutput()
		if e, is := err.(*exec.ExitError); !is || !regexp.MustCompile("^"+want).Match(out) || bytes.Count(out, []byte("\n")) != 1 || (e.ExitCode() == 2) != (args[len(args)-1] != "http://127.0.0.1:1") {
			t.Errorf("%q: %v, %s", args, err, out)
		}
	}
}
