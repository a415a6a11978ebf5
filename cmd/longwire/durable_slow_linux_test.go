//go:build slow

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/queue"
)

// A served is "longwire serve" in a process of its own, which may be killed.
type served struct {
	t      *testing.T
	cmd    *exec.Cmd
	boards string // where boards connect
	api    string
	began  time.Time
	took   time.Duration // until it listened
	stderr lines
}

// serveIn starts serve with a configuration and a directory of what is kept, and waits until it
// listens.
func serveIn(t *testing.T, data, yaml string) *served {
	t.Helper()
	file := filepath.Join(t.TempDir(), "longwire.yaml")
	if err := os.WriteFile(file, []byte(yaml), 0o600); err != nil {
		t.Fatal(err)
	}
	s := &served{t: t, began: time.Now()}
	s.cmd = exec.Command("longwire", "serve", "--config", file, "--data", data,
		"--listen", "127.0.0.1:0", "--http", "127.0.0.1:0", "--log-level", "warn")
	s.cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0")
	var stdout lines
	s.cmd.Stdout, s.cmd.Stderr = &stdout, &s.stderr
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.kill)
	listening, api := stdout.await(regexp.MustCompile(`^longwire: listening on (\S+)$`), 1), stdout.await(regexp.MustCompile(`^longwire: API on (\S+)$`), 1)
	if listening == nil || api == nil {
		t.Fatalf("serve does not say that it listens: %s", s.stderr.String())
	}
	s.boards, s.api, s.took = listening[1], api[1], time.Since(s.began)
	return s
}

// kill ends the process as a crash does.
func (s *served) kill() {
	if s.cmd.ProcessState == nil {
		s.cmd.Process.Kill()
		s.cmd.Wait()
	}
}

// do calls the API and decodes what it responds. An error means that there was no response.
func (s *served) do(method, path, body string, v any) (status int, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, s.api+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return 0, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		return 0, err
	}
	if v != nil && response.StatusCode < 300 {
		err = json.Unmarshal(b, v)
	}
	return response.StatusCode, err
}

// commands returns all commands of a device, none if it is not known.
func (s *served) commands(device string) (all []queue.Command) {
	s.t.Helper()
	for cursor := ""; ; {
		var page struct {
			Commands []queue.Command
			Next     string
		}
		status, err := s.do("GET", "/v1/devices/"+device+"/commands?limit=500&cursor="+cursor, "", &page)
		if err != nil || status != http.StatusOK && (status != http.StatusNotFound || cursor != "") {
			s.t.Fatalf("list commands of %s: status %d, %v", device, status, err)
		}
		all = append(all, page.Commands...)
		if cursor = page.Next; cursor == "" {
			return all
		}
	}
}

// intFromEnv returns a number from the environment.
func intFromEnv(t *testing.T, variable string, other int) int {
	t.Helper()
	if text := os.Getenv(variable); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%s: %v", variable, err)
		}
		return n
	}
	return other
}

// A task is what one command of a test says: who put it, and how many before it for the same board.
type task struct {
	Worker int `json:"worker"`
	N      int `json:"n"`
}

// A receipt is a command as its board has got it.
type receipt struct {
	ID string
	task
}

// A fleet is boards that stay connected to whichever process serves, and remember what
// they get.
type fleet struct {
	t       *testing.T
	address atomic.Pointer[string]
	calm    atomic.Bool // all is answered, at once

	mu  sync.Mutex
	got map[string][]receipt // by board, in order
}

// newFleet makes n boards.
func newFleet(t *testing.T, n int) *fleet {
	f := &fleet{t: t, got: make(map[string][]receipt)}
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	for i := range n {
		id := fmt.Sprint("board", i)
		cl := &longwire.Client{
			Hello:      &longwire.Hello{ID: id},
			Handler:    longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) { return f.handle(ctx, id, m) }),
			MinBackoff: time.Millisecond,
			MaxBackoff: 20 * time.Millisecond,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				at := f.address.Load()
				if at == nil {
					return nil, errors.New("nobody serves")
				}
				return new(net.Dialer).DialContext(ctx, network, *at)
			},
		}
		all.Go(func() { cl.Run(ctx) })
	}
	t.Cleanup(func() {
		cancel()
		all.Wait()
	})
	return f
}

// handle answers a command, or does what boards do.
func (f *fleet) handle(ctx context.Context, id string, m *longwire.Message) (any, error) {
	var l task
	if err := json.Unmarshal(m.Payload(), &l); err != nil {
		f.t.Errorf("%s got %q: %v", id, m.Data, err)
	}
	f.mu.Lock()
	f.got[id] = append(f.got[id], receipt{m.Key(), l})
	f.mu.Unlock()
	if f.calm.Load() {
		return "done", nil
	}
	switch rand.IntN(10) {
	case 0, 1:
		return longwire.NoAnswer, nil
	case 2:
		select {
		case <-time.After(rand.N(100 * time.Millisecond)):
		case <-ctx.Done():
		}
	case 3:
		return nil, longwire.Errorf("500", "not today")
	case 4:
		m.Conn().Close(longwire.ReasonClosed)
	}
	return "done", nil
}

// An ack is a command that a client has been told is kept.
type ack struct {
	receipt
	device    string
	at        time.Time // when the client was told
	cancelled bool
}

// clients put commands until stop is closed, each one after another, and return what was acknowledged.
// How many that are is in told.
func clients(n, boards int, now func() *served, stop <-chan struct{}, told *atomic.Int64) (acked []ack) {
	var mu sync.Mutex
	var all sync.WaitGroup
	for worker := range n {
		all.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				s := now()
				if s == nil {
					time.Sleep(time.Millisecond) // there is nobody to ask
					continue
				}
				a := ack{device: fmt.Sprint("board", rand.IntN(boards)), receipt: receipt{task: task{worker, i}}}
				ttl := "1h"
				if rand.IntN(20) == 0 {
					ttl = "2s"
				}
				var c queue.Command
				status, err := s.do("POST", "/v1/devices/"+a.device+"/commands", fmt.Sprintf(
					`{"type":16,"data":{"worker":%d,"n":%d},"timeout":"300ms","attempts":1000,"ttl":"%s"}`, worker, i, ttl), &c)
				if err != nil || status >= 500 {
					continue
				}
				if status != http.StatusAccepted {
					s.t.Errorf("a command is answered with status %d", status)
					return
				}
				a.ID, a.at = c.ID, time.Now()
				told.Add(1)
				if rand.IntN(20) == 0 {
					status, err = s.do("DELETE", "/v1/devices/"+a.device+"/commands/"+a.ID, "", nil)
					a.cancelled = err == nil && status == http.StatusOK
					a.at = time.Now()
				}
				mu.Lock()
				acked = append(acked, a)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	return acked
}

// wantTold waits until so many commands have been acknowledged.
func wantTold(t *testing.T, told *atomic.Int64, want int64) {
	t.Helper()
	for began := time.Now(); told.Load() < want; time.Sleep(time.Millisecond) { // a poll
		if time.Since(began) > patience {
			t.Fatalf("%d commands have been acknowledged, want %d", told.Load(), want)
		}
	}
}

// wantKept checks what has become of commands that were acknowledged: every one is there, in a
// state that is true of what its board has got, and no board got one before those that the
// same client had put earlier.
func (f *fleet) wantKept(s *served, acked []ack, boards int) {
	t := f.t
	t.Helper()
	commands := make(map[string]queue.Command)
	for i := range boards {
		for _, c := range s.commands(fmt.Sprint("board", i)) {
			commands[c.ID] = c
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	got := make(map[string]int) // by id
	said := make(map[task]string)
	for device, receipts := range f.got {
		latest := make(map[int]int)
		for _, r := range receipts {
			if id, again := said[r.task]; again && id != r.ID {
				t.Errorf("%s got what %d put as its number %d under two ids", device, r.Worker, r.N)
			}
			said[r.task] = r.ID
			if got[r.ID]++; got[r.ID] > 1 {
				continue
			}
			if r.N < latest[r.Worker] {
				t.Errorf("%s got number %d of client %d after number %d", device, r.N, r.Worker, latest[r.Worker])
			}
			latest[r.Worker] = r.N
		}
	}
	states := make(map[queue.State]int)
	for _, a := range acked {
		c, there := commands[a.ID]
		states[c.State]++
		switch {
		case !there:
			t.Errorf("command %s of %s was acknowledged and is lost", a.ID, a.device)
		case c.Device != a.device || string(c.Data) != fmt.Sprintf(`{"worker":%d,"n":%d}`, a.Worker, a.N):
			t.Errorf("command %s of %s is another: %+v", a.ID, a.device, c)
		case a.cancelled && c.State != queue.Cancelled:
			t.Errorf("command %s of %s was cancelled and is %s", a.ID, a.device, c.State)
		case c.State == queue.Done && got[a.ID] == 0:
			t.Errorf("command %s of %s is done and its board has not got it", a.ID, a.device)
		case c.Attempts == 0 && got[a.ID] > 0:
			t.Errorf("command %s of %s is %s, sent never, and its board has got it", a.ID, a.device, c.State)
		case c.Attempts < got[a.ID]:
			t.Errorf("command %s of %s was sent %d times, and its board has got it %d times", a.ID, a.device, c.Attempts, got[a.ID])
		}
	}
	t.Logf("%d acknowledged: %v; boards got %d", len(acked), states, len(got))
}

// settle waits until no command waits any more, for boards that are calm.
func (f *fleet) settle(s *served, boards int) {
	f.t.Helper()
	deadline := time.Now().Add(2 * time.Minute)
	for i := 0; i < boards; {
		waiting := 0
		for _, c := range s.commands(fmt.Sprint("board", i)) {
			if !c.State.Ended() {
				waiting++
			}
		}
		if waiting == 0 {
			i++
			continue
		}
		if time.Now().After(deadline) {
			f.t.Fatalf("%d commands of board %d still wait", waiting, i)
		}
		time.Sleep(50 * time.Millisecond) // a poll; nothing is decided by its length
	}
}

// durable is the configuration of these tests.
const durable = `
commands:
  max: 100000
  max_bytes: 16MiB
  rate: 100000
  unknown: true
`

// TestKill kills the gateway again and again, while clients put commands and boards answer some, and
// looks what has become of all that were acknowledged. LONGWIRE_KILLS says how often.
func TestKill(t *testing.T) {
	const boards, workers = 40, 8
	kills := intFromEnv(t, "LONGWIRE_KILLS", 200)
	data := t.TempDir()
	f := newFleet(t, boards)
	var now atomic.Pointer[served]
	stop := make(chan struct{})
	result := make(chan []ack)
	var told atomic.Int64
	go func() { result <- clients(workers, boards, now.Load, stop, &told) }()
	for life := range kills {
		s := serveIn(t, data, durable)
		f.address.Store(&s.boards)
		before := told.Load()
		now.Store(s)
		time.Sleep(10*time.Millisecond + rand.N(120*time.Millisecond)) // the moment is what is tried
		if life%2 == 0 {                                               // and not how much a busy machine does until then
			wantTold(t, &told, before+20)
		}
		s.cmd.Process.Signal(syscall.SIGKILL)
		now.Store(nil)
		f.address.Store(nil)
		s.cmd.Wait()
	}
	close(stop)
	acked := <-result
	s := serveIn(t, data, durable)
	f.calm.Store(true) // before the first of them is back
	f.address.Store(&s.boards)
	f.settle(s, boards)
	f.wantKept(s, acked, boards)
}
