//go:build slow

package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// simulated are 500 boards, a fifth of them with a fault that ends connections or holds them up.
const simulated = `
ramp: 100
boards:
- name: honest
  count: 360
  send:
  - &report {type: 0x10, data: '{"t":{{.Rand 18 24}},"n":{{.Count}}}', every: 2s, jitter: 20%%}
  - {type: 0x11, data: '00ff{{printf "%%04x" .Count}}', encoding: hex, match: none, every: 10s}
  answers:
  - {type: 0x20, data: '{"n":{{.Question}}}', delay: 20ms, jitter: 50%%}
  - {type: 0x21, errors: 100%%}
- {name: split, count: 20, send: [*report], fault: {kind: split, bytes: 3, pause: 1ms}}
- {name: storm, count: 20, send: [*report], fault: {kind: storm, every: 5s, share: 50%%, pause: 500ms}}
- {name: garbage, count: 20, send: [*report], fault: garbage}
- {name: wrong_tail, count: 20, send: [*report], fault: wrong_tail}
- {name: slow, count: 20, send: [*report], fault: {kind: slow, bytes: 32}}
- {name: half_open, count: 20, send: [*report], fault: {kind: half_open, hold: 20s}}
- {name: stop, count: 20, send: [*report], fault: {kind: stop, hold: 5s}}
`

// TestSim has 500 boards, of which 100 do what they should not, at work on a gateway that is asked
// and given commands, for as long as LONGWIRE_SIM says. Every honest board is answered; what the
// boards have counted is what the gateway has; and the memory of the gateway stays as it is.
func TestSim(t *testing.T) {
	d, err := time.ParseDuration(os.Getenv("LONGWIRE_SIM"))
	if err != nil {
		d = 17 * time.Second // no storm begins when it ends
	}
	s := serveIn(t, t.TempDir(), "listeners: [{name: boards, limits: {connections_per_address: off}}]\n")
	file := filepath.Join(t.TempDir(), "boards.yaml")
	if err := os.WriteFile(file, fmt.Appendf(nil, simulated), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("longwire", "sim", s.boards, "--scenario", file, "--duration", d.String(), "--json")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	var asks, busy, commands, puts atomic.Int64
	var working sync.WaitGroup
	working.Go(func() { // somebody asks the boards, and gives them commands
		tick := time.NewTicker(50 * time.Millisecond)
		defer tick.Stop()
		time.Sleep(6 * time.Second) // until all are there
		for n := 0; ; n++ {
			select {
			case <-over:
				return
			case <-tick.C:
			}
			if time.Since(s.began) > d {
				return // no question is to be open at the end
			}
			board := fmt.Sprintf("/v1/devices/honest-%d/", 1+n%360)
			if n%10 == 0 {
				puts.Add(1)
				if status, err := s.do("POST", board+"commands", `{"type":32,"data":{}}`, nil); status == 202 && err == nil {
					commands.Add(1)
				}
				continue
			}
			typ, want := 0x20, "200"
			if n%10 == 5 {
				typ, want = 0x21, "500" // which is what the board's script says
			}
			var answer struct{ Status string }
			asks.Add(1)
			if status, err := s.do("POST", board+"ask", fmt.Sprintf(`{"type":%d,"data":%d}`, typ, n), &answer); err != nil || status != 200 || answer.Status != want {
				busy.Add(1)
			}
		}
	})
	var memory []int64
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	sample := time.NewTicker(time.Second)
	defer sample.Stop()
	for running := true; running; {
		select {
		case err = <-ended:
			running = false
		case <-sample.C:
			memory = append(memory, resident(t, s))
			if len(memory)%30 == 0 {
				m := s.metrics()
				t.Logf("%ds: resident %d MiB, heap in use %.0f MiB, the collector's next %.0f MiB", len(memory), memory[len(memory)-1]>>20,
					m["go_memstats_heap_inuse_bytes"]/(1<<20), m["go_memstats_next_gc_bytes"]/(1<<20))
			}
		}
	}
	close(over)
	working.Wait()
	t.Logf("%s%s", stderr.String(), stdout.String())
	if err != nil {
		t.Fatalf("sim: %v", err)
	}
	var report simObject
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		t.Fatal(err)
	}
	wantServed(t, &report)
	if n := busy.Load(); n > 0 {
		t.Errorf("%d of %d questions were not answered by honest boards", n, asks.Load())
	}
	if commands.Load() != puts.Load() {
		t.Errorf("%d of %d commands were taken", commands.Load(), puts.Load())
	}
	wantAgreement(t, s, &report, asks.Load()+commands.Load())
	wantFlat(t, memory)
}

// wantServed checks that honest boards had what they need.
func wantServed(t *testing.T, r *simObject) {
	t.Helper()
	for _, g := range r.Groups {
		if g.Honest && (g.Connected != g.Boards || g.Asked == 0 || g.Answered != g.Asked || len(g.Errors) > 0) {
			t.Errorf("%s: %d of %d boards connected, %d of %d messages answered, %v", g.Name, g.Connected, g.Boards, g.Answered, g.Asked, g.Errors)
		}
		if g.Fault == "none" && (g.Connections != int64(g.Boards) || len(g.Ended) != 1) {
			t.Errorf("boards that do nothing wrong lost connections: %v", g.Ended)
		}
	}
}

// wantAgreement compares what both sides have counted, when all connections are over.
func wantAgreement(t *testing.T, s *served, r *simObject, questions int64) {
	t.Helper()
	m := s.metrics()
	for began := time.Now(); m[`longwire_connections{listener="boards"}`] > 0; m = s.metrics() {
		if time.Since(began) > 30*time.Second {
			t.Fatal("the gateway still has connections")
		}
		time.Sleep(100 * time.Millisecond)
	}
	closed := func(reason string) int64 {
		return int64(m[`longwire_connections_closed_total{listener="boards",reason="`+reason+`"}`])
	}
	total := func(name string) int64 { return int64(m["longwire_"+name]) }
	group := make(map[string]simGroup)
	var all simGroup
	replied, redialling := int64(0), int64(0)
	for _, g := range r.Groups {
		group[g.Name] = g
		all.Connections += g.Connections
		if g.Fault != "none" {
			redialling += int64(g.Boards)
		}
		all.FramesIn += g.FramesIn
		all.FramesOut += g.FramesOut
		all.BytesIn += g.BytesIn
		all.BytesOut += g.BytesOut
		replied += g.Replied + g.RepliedError
	}
	// What a board has begun as the simulation ends may have come to the gateway: a fault, and a dial.
	undone := group["garbage"].Ended["closed"] + group["wrong_tail"].Ended["closed"]
	bad := group["garbage"].Ended["peer_closed"] + group["garbage"].Ended["lost"] + group["wrong_tail"].Ended["peer_closed"] + group["wrong_tail"].Ended["lost"]
	// A board that does not read, or that goes without a word, may have left some frames: those of
	// the kinds that do so have one on the way, and the answer to it.
	loose := group["slow"].Connections + group["half_open"].Connections + group["stop"].Connections
	for _, c := range []struct {
		what            string
		boards, gateway int64
		fewer, more     int64 // than the boards say, at most
	}{
		{"connections opened", all.Connections, total(`connections_opened_total{listener="boards"}`), 0, redialling},
		{"connections ended for bytes that are no frame", bad, closed("bad_frame"), 0, undone},
		{"frames from boards", all.FramesOut, total(`frames_total{direction="in",listener="boards"}`), loose, loose},
		{"frames to boards", all.FramesIn, total(`frames_total{direction="out",listener="boards"}`), loose, loose},
		{"questions answered", replied, questions, 0, 0},
	} {
		t.Logf("%s: %d by the boards, %d by the gateway", c.what, c.boards, c.gateway)
		if more := c.gateway - c.boards; more < -c.fewer || more > c.more {
			t.Errorf("%s: %d by the boards, %d by the gateway", c.what, c.boards, c.gateway)
		}
	}
	if closed("bad_frame") == 0 || closed("truncated")+closed("frame_timeout") == 0 || group["storm"].Storms == 0 {
		t.Error("there were no faults")
	}
}

// metrics returns what the gateway has counted.
func (s *served) metrics() map[string]float64 {
	s.t.Helper()
	response, err := http.Get(s.api + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer response.Body.Close()
	b, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	all := make(map[string]float64)
	for line := range strings.Lines(string(b)) {
		if name, text, ok := strings.Cut(strings.TrimSpace(line), " "); ok && !strings.HasPrefix(line, "#") {
			n, _ := strconv.ParseFloat(text, 64)
			all[name] = n
		}
	}
	return all
}

// blocks is by how much memory may grow when the store begins to fill a larger buffer: it holds
// the newest block of each log, which is up to 8 MiB, and the collector lets as much garbage be
// there as there is else. Heap profiles of a run show nothing else that grows.
const blocks = 16

// wantFlat checks that memory does not grow once the gateway has been at work for a while: in the
// last quarter it is, in the mean, at most 5 % and one step of the store's buffers more than in
// the third.
func wantFlat(t *testing.T, memory []int64) {
	t.Helper()
	mean := func(of []int64) float64 {
		sum := 0.0
		for _, n := range of {
			sum += float64(n) / float64(len(of))
		}
		return math.Round(sum/(1<<20)*100) / 100
	}
	n := len(memory)
	first, third, last := mean(memory[n/4:n/2]), mean(memory[n/2:n*3/4]), mean(memory[n*3/4:])
	t.Logf("resident MiB in the second, third and last quarter: %v, %v, %v", first, third, last)
	if last > third*1.05+blocks {
		t.Errorf("memory grows: %v MiB in the third quarter, %v MiB in the last", third, last)
	}
}
