//go:build slow

package longwire_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
)

// A setup is what a server in a process of its own is to be like.
type setup struct {
	Portable          bool
	Strangers         bool   // peers are strangers until they have sent login
	CertFile, KeyFile string // both set: it speaks TLS
	AdmitTimeout      time.Duration
	FrameTimeout      time.Duration
	WriteTimeout      time.Duration
	MaxOutbox         int
	Limits            longwire.Limits
	Drain             time.Duration // what Shutdown has, when the process is told to end
}

// What such a server does with messages: all others it sends back.
const (
	typeStuck   longwire.Type = 2 // the handler waits for the end of its connection
	typeForEver longwire.Type = 3 // the handler never comes back
	typeFill    longwire.Type = 4 // the handler pushes until there is no room
	typeLogin   longwire.Type = 5
)

func init() {
	roles["server"] = func() {
		var s setup
		if err := json.Unmarshal([]byte(os.Getenv("LONGWIRE_TEST_SETUP")), &s); err != nil {
			panic(err)
		}
		arrivals, late := new(arrivals), newLateness()
		srv := s.server(arrivals)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			panic(err)
		}
		ended := make(chan os.Signal, 1)
		signal.Notify(ended, syscall.SIGTERM)
		go srv.Serve(l)
		fmt.Println("listening", l.Addr())
		go func() {
			answerLines(map[string]func() any{
				"stats":    func() any { return srv.Stats() },
				"collect":  func() any { return collect() },
				"arrivals": func() any { return arrivals.most(time.Second) },
				"late":     func() any { return late.most.Swap(0) },
			})
			os.Exit(1) // the test is over, however it ended
		}()
		<-ended
		ctx, cancel := context.WithTimeout(context.Background(), s.Drain)
		defer cancel()
		fmt.Println("shutdown", srv.Shutdown(ctx))
	}
}

// answerLines answers each line on standard input that is a word it knows with that word and a
// value, in JSON. It returns when the test is over.
func answerLines(words map[string]func() any) {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		if value, ok := words[in.Text()]; ok {
			b, err := json.Marshal(value())
			if err != nil {
				panic(err)
			}
			fmt.Println(in.Text(), string(b))
		}
	}
}

func (s *setup) server(a *arrivals) *longwire.Server {
	srv := &longwire.Server{
		Config: &longwire.Config{
			Portable:     s.Portable,
			AdmitTimeout: s.AdmitTimeout,
			FrameTimeout: s.FrameTimeout,
			WriteTimeout: s.WriteTimeout,
			MaxOutbox:    s.MaxOutbox,
			Limits:       s.Limits,
		},
		Handler: longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			switch m.Type {
			case typeStuck:
				<-ctx.Done()
			case typeForEver:
				select {}
			case typeFill:
				fill(m.Conn())
				return nil, nil
			}
			return m.Raw(m.Data), nil
		}),
	}
	if s.Strangers {
		srv.Admit = func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			a.add(time.Now())
			_, err := c.Receive(ctx)
			return nil, err
		}
	}
	if s.CertFile != "" {
		srv.TLS = &longwire.TLS{CertFile: s.CertFile, KeyFile: s.KeyFile}
	}
	return srv
}

// fill pushes to a connection until there has been no room for a while.
func fill(c *longwire.Conn) {
	for err := error(nil); err == nil; {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		err = c.Push(ctx, typeFill, longwire.Raw(make([]byte, 100_000)))
		cancel()
	}
}

// arrivals are when connections were accepted.
type arrivals struct {
	mu sync.Mutex
	at []time.Time // in order, as nearly as goroutines are
}

func (a *arrivals) add(at time.Time) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = append(a.at, at)
}

func (a *arrivals) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.at = nil
}

// most returns how many there were in the time of that length with the most, wherever that
// begins.
func (a *arrivals) most(within time.Duration) (most int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := 0
	for last, at := range a.at {
		for at.Sub(a.at[first]) >= within {
			first++
		}
		most = max(most, last-first+1)
	}
	return most
}

// A lateness is how late a goroutine of this process has run at most, since it was asked.
type lateness struct{ most atomic.Int64 }

func newLateness() *lateness {
	l := new(lateness)
	go func() {
		for {
			began := time.Now()
			time.Sleep(time.Millisecond)
			l.most.Store(max(l.most.Load(), int64(time.Since(began)-time.Millisecond))) // what is asked for meanwhile may come twice
		}
	}()
	return l
}

// both runs a test with either driver.
func both(t *testing.T, test func(t *testing.T, portable bool)) {
	t.Run("linux", func(t *testing.T) { test(t, false) })
	t.Run("portable", func(t *testing.T) { test(t, true) })
}

// A process is a server in a process of its own.
type process struct {
	*actor
	addr  string
	setup setup
}

// startServer starts one.
func startServer(t *testing.T, s setup) *process {
	t.Helper()
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("LONGWIRE_TEST_SETUP", string(b))
	p := &process{actor: start(t, "server"), setup: s}
	p.addr = p.hear("listening")
	return p
}

// look asks an actor for a value, which it answers with answerLines.
func (a *actor) look(word string, value any) {
	a.t.Helper()
	a.tell(word)
	if err := json.Unmarshal([]byte(a.hear(word)), value); err != nil {
		a.t.Fatal(err)
	}
}

// counted is a Stats that came out of JSON.
type counted struct {
	longwire.Stats
	Closed map[string]int64
}

// stats returns what the server has counted.
func (p *process) stats() (s counted) {
	p.t.Helper()
	p.look("stats", &s)
	return s
}

// wait waits until the server has counted what is wanted.
func (p *process) wait(wanted func(counted) bool) {
	p.t.Helper()
	for began := time.Now(); ; time.Sleep(5 * time.Millisecond) { // a poll
		s := p.stats()
		if wanted(s) {
			return
		}
		if time.Since(began) > time.Minute {
			p.t.Fatalf("it has counted %+v", s)
		}
	}
}

// memory returns a figure of the process, in bytes: VmRSS is what is resident, VmHWM the most
// that has ever been.
func (a *actor) memory(figure string) int {
	a.t.Helper()
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", a.cmd.Process.Pid))
	if err != nil {
		a.t.Fatal(err)
	}
	kib, err := strconv.Atoi(string(regexp.MustCompile(figure + `:\s+(\d+) kB`).FindSubmatch(status)[1]))
	if err != nil {
		a.t.Fatal(err)
	}
	return kib << 10
}

// collect collects the garbage of this process, and returns how many bytes are in use then.
// Memory that has not been written to is not resident.
func collect() int {
	debug.FreeOSMemory()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapInuse + m.StackInuse)
}

// held returns the memory of the process in bytes, without garbage: what is in use and what is
// resident.
func (p *process) held() (inUse, resident int) {
	p.t.Helper()
	p.look("collect", &inUse)
	return inUse, p.memory("VmRSS")
}

// descriptors returns how many the process has open.
func (p *process) descriptors() int {
	p.t.Helper()
	open, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", p.cmd.Process.Pid))
	if err != nil {
		p.t.Fatal(err)
	}
	return len(open)
}

// underRaceDetector reports whether this program, and so its processes, were built with the
// race detector, which makes figures of memory and of p99 say nothing.
var underRaceDetector = sync.OnceValue(func() bool {
	info, _ := debug.ReadBuildInfo()
	for _, s := range info.Settings {
		if s.Key == "-race" {
			return s.Value == "true"
		}
	}
	return false
})
