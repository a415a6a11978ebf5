package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/pflag"

	"github.com/longwire/longwire/frame"
)

// The scripts in testdata/script run the command as users do: as a program of its
// own.
func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"longwire": main})
}

func TestScript(t *testing.T) {
	// Under the race detector a program stays for a second after its end.
	t.Setenv("GORACE", "atexit_sleep_ms=0 "+os.Getenv("GORACE"))
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(env *testscript.Env) error {
			env.Setenv("GORACE", os.Getenv("GORACE"))
			env.Values[(*stage)(nil)] = &stage{programs: make(map[string]*program), hubs: make(map[string]*hub)}
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"serve": cmdServe,
			"tap":   cmdTap,
			"await": cmdAwait,
			"end":   cmdEnd,
			"raw":   cmdRaw,
			"exits": cmdExits,
			"count": cmdCount,
			"hub":   cmdHub,
			"bench": cmdBench,
		},
	})
}

// patience is how long a script waits for what must come.
const patience = 20 * time.Second

// stage is what one script has running beside itself.
type stage struct {
	programs map[string]*program
	hubs     map[string]*hub
}

func on(ts *testscript.TestScript) *stage { return ts.Value((*stage)(nil)).(*stage) }

// A program is a running "longwire serve".
type program struct {
	cmd            *exec.Cmd
	stdout, stderr lines
}

// cmdServe starts "longwire serve" in the background and waits until it listens:
//
//	serve NAME [flag...]
//
// NAME becomes a variable of the script, with the address. Unless the flags or the
// environment say otherwise, the port is a free one, and nothing is kept.
func cmdServe(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: serve NAME [flag...]")
	}
	name, flags := args[0], args[1:]
	cmd := exec.Command("longwire", append([]string{"serve"}, flags...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(cmd.Environ(), "LONGWIRE_LISTEN=127.0.0.1:0", "LONGWIRE_HTTP_ADDRESS=127.0.0.1:0", "LONGWIRE_DATA=off")
	newServe().Flags().VisitAll(func(f *pflag.Flag) {
		if v := ts.Getenv(variable(f.Name)); v != "" {
			cmd.Env = append(cmd.Env, variable(f.Name)+"="+v)
		}
	})
	p := &program{cmd: cmd}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	ts.Check(cmd.Start())
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
		log := p.stderr.String()
		ts.Logf("[serve %s]\n%s", name, log[max(0, len(log)-4000):])
	})
	on(ts).programs[name] = p
	found := p.stdout.await(regexp.MustCompile(`^longwire: listening on (\S+)$`), 1)
	if found == nil {
		ts.Fatalf("serve does not say that it listens")
	}
	ts.Setenv(name, found[1])
}

// cmdTap starts "longwire tap" before a server in the background and waits until it listens:
//
//	tap NAME ADDR [flag...]
//
// NAME becomes a variable of the script, with the address of the tap, whose port is a free one.
func cmdTap(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: tap NAME ADDR [flag...]")
	}
	cmd := exec.Command("longwire", append([]string{"tap", "--listen", "127.0.0.1:0", "--to", args[1]}, args[2:]...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = cmd.Environ()
	p := &program{cmd: cmd}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	ts.Check(cmd.Start())
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	on(ts).programs[args[0]] = p
	found := p.stderr.await(regexp.MustCompile(`^longwire tap: listening on (\S+), for`), 1)
	if found == nil {
		ts.Fatalf("tap does not say that it listens")
	}
	ts.Setenv(args[0], found[1])
}

// cmdAwait waits until a program has written lines to stderr that match:
//
//	await NAME REGEXP [COUNT]
func cmdAwait(ts *testscript.TestScript, neg bool, args []string) {
	p, n := running(ts, args), 1
	if len(args) == 3 {
		var err error
		n, err = strconv.Atoi(args[2])
		ts.Check(err)
	}
	if neg || len(args) < 2 || len(args) > 3 {
		ts.Fatalf("usage: await NAME REGEXP [COUNT]")
	}
	if p.stderr.await(regexp.MustCompile(args[1]), n) == nil {
		ts.Fatalf("there are no %d lines that match %q", n, args[1])
	}
}

// cmdEnd sends a signal to a program, waits for its end, and checks its exit
// status, which is -1 of one that was killed. What it has printed is then there
// for stdout and stderr.
//
//	end NAME SIGNAL STATUS
func cmdEnd(ts *testscript.TestScript, neg bool, args []string) {
	p := running(ts, args)
	if neg || len(args) != 3 {
		ts.Fatalf("usage: end NAME SIGNAL STATUS")
	}
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "KILL": syscall.SIGKILL}
	ts.Check(p.cmd.Process.Signal(signals[args[1]]))
	overdue := time.AfterFunc(patience, func() { p.cmd.Process.Kill() })
	defer overdue.Stop()
	err := p.cmd.Wait()
	if _, failed := errors.AsType[*exec.ExitError](err); err != nil && !failed {
		ts.Fatalf("%v", err)
	}
	if got := strconv.Itoa(p.cmd.ProcessState.ExitCode()); got != args[2] {
		ts.Fatalf("exit status %s, want %s", got, args[2])
	}
	io.WriteString(ts.Stdout(), p.stdout.String())
	io.WriteString(ts.Stderr(), p.stderr.String())
}

func running(ts *testscript.TestScript, args []string) *program {
	if len(args) == 0 || on(ts).programs[args[0]] == nil {
		ts.Fatalf("no such program: %q", args)
	}
	return on(ts).programs[args[0]]
}

// cmdRaw sends bytes over TCP, ends its stream, and prints the frames that come
// back until the other side ends, in hexadecimal, one a line, with the number of
// equal ones in front:
//
//	raw [--slow] [--repeat N] ADDR HEX
//
// With --slow each byte is a packet of its own; with --repeat the bytes are sent
// N times.
func cmdRaw(ts *testscript.TestScript, neg bool, args []string) {
	flags := pflag.NewFlagSet("raw", pflag.ContinueOnError)
	slow := flags.Bool("slow", false, "")
	repeat := flags.Int("repeat", 1, "")
	ts.Check(flags.Parse(args))
	if neg || flags.NArg() != 2 {
		ts.Fatalf("usage: raw [--slow] [--repeat N] ADDR HEX")
	}
	data, err := hex.DecodeString(strings.ReplaceAll(flags.Arg(1), " ", ""))
	ts.Check(err)
	c, err := net.Dial("tcp", flags.Arg(0))
	ts.Check(err)
	defer c.Close()
	c.SetDeadline(time.Now().Add(patience))
	go func() { // the answers must not wait until all is sent
		pieces := [][]byte{data}
		if *slow {
			pieces = nil
			for i := range data {
				pieces = append(pieces, data[i:i+1])
			}
		}
		for range *repeat {
			for _, p := range pieces {
				c.Write(p)
			}
		}
		c.(*net.TCPConn).CloseWrite()
	}()
	stdout := ts.Stdout() // also when nothing comes back
	codec, err := frame.NewCodec(frame.Format{})
	ts.Check(err)
	last, n := "", 0
	for r := frame.NewReader(c, nil); ; n++ {
		f, err := r.Next()
		if err != nil && err != io.EOF {
			ts.Fatalf("after %d equal frames: %v", n, err)
		}
		var whole []byte
		if err == nil {
			whole, err = codec.Append(nil, f.Type, f.Data)
			ts.Check(err)
		}
		if text := hex.EncodeToString(whole); text != last {
			if n > 0 {
				fmt.Fprintf(stdout, "%d %s\n", n, last)
			}
			last, n = text, 0
		}
		if len(whole) == 0 {
			return
		}
	}
}

// cmdExits runs longwire and checks its exit status, and when that is not 0 that
// it says why in one line on stderr and nothing else.
//
//	exits STATUS [argument...]
func cmdExits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: exits STATUS [argument...]")
	}
	cmd := exec.Command("longwire", args[1:]...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(cmd.Environ(), "LONGWIRE_TOKEN="+ts.Getenv("LONGWIRE_TOKEN"))
	for _, c := range newRoot().Commands() {
		c.Flags().VisitAll(func(f *pflag.Flag) {
			cmd.Env = append(cmd.Env, variable(f.Name)+"="+ts.Getenv(variable(f.Name)))
		})
	}
	var stdout, stderr strings.Builder
	cmd.Stdout, cmd.Stderr = io.MultiWriter(&stdout, ts.Stdout()), io.MultiWriter(&stderr, ts.Stderr())
	if err := cmd.Run(); cmd.ProcessState == nil {
		ts.Fatalf("%v", err)
	}
	if got := strconv.Itoa(cmd.ProcessState.ExitCode()); got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
	if n := strings.Count(stderr.String(), "\n"); args[0] != "0" && n != 1 {
		ts.Fatalf("%d lines on stderr", n)
	}
	if args[0] == "2" && stdout.Len() > 0 {
		ts.Fatalf("wrong usage, and something on stdout")
	}
}

// cmdCount checks how many files match a pattern:
//
//	count N PATTERN
func cmdCount(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: count N PATTERN")
	}
	names, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	if strconv.Itoa(len(names)) != args[0] {
		ts.Fatalf("%d files match, want %s: %q", len(names), args[0], names)
	}
}

// lines collects what a program writes, and lets others wait for a line.
type lines struct {
	mu      sync.Mutex
	text    strings.Builder
	changed chan struct{} // closed when text has grown; nil until somebody waits
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// await waits until n lines match, and returns the n-th match; nil if they do not
// come.
func (l *lines) await(re *regexp.Regexp, n int) []string {
	overdue := time.After(patience)
	for {
		l.mu.Lock()
		text := l.text.String()
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		seen := 0
		for s := bufio.NewScanner(strings.NewReader(text)); s.Scan(); {
			if m := re.FindStringSubmatch(s.Text()); m != nil {
				if seen++; seen == n {
					return m
				}
			}
		}
		select {
		case <-changed:
		case <-overdue:
			return nil
		}
	}
}
