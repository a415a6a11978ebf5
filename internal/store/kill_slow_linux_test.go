//go:build slow

package store_test

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// killLogs are the logs of the store that is killed: one that keeps all, with small
// files, and one that keeps the latest.
var killLogs = []store.LogConfig{{Name: "log"}, {Name: "latest", Latest: true}}

func init() {
	roles["append"] = appendUntilKilled
	churnRounds = 200
}

// appendUntilKilled appends to the store in the current directory and prints each
// record that was acknowledged.
func appendUntilKilled() {
	s, err := store.Open(context.Background(), store.Config{Dir: ".", Logs: killLogs})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	if lost := s.Stats().Lost; len(lost.Damage)+len(lost.SetAside) > 0 {
		fmt.Println("error", "lost:", lost)
	}
	run := rand.Uint32()
	fmt.Println("run", run)
	var mu sync.Mutex
	for w := range 16 {
		go func() {
			for i := 0; ; i++ {
				log, key := "log", fmt.Sprintf("%d/%d/%d", run, w, i)
				if w%4 == 0 {
					log, key = "latest", fmt.Sprintf("w/%d", w)
				}
				value := fmt.Sprintf("%d.%d.%d", run, w, i)
				records := []store.Record{{Key: key, Data: killData(value)}}
				if w%3 == 0 {
					records = append(records, store.Record{Key: key + "/more", Data: killData(value)})
				}
				_, err := s.Log(log).Append(context.Background(), records...)
				mu.Lock()
				if err != nil {
					fmt.Println("error", err)
				} else {
					for _, r := range records {
						fmt.Println("kept", log, r.Key, value)
					}
				}
				mu.Unlock()
			}
		}()
	}
	select {}
}

func killData(value string) []byte {
	return []byte(value + strings.Repeat(".", len(value)*7%300))
}

// TestKilled kills a process that appends, again and again, and looks each time
// whether all is there that it said it had.
func TestKilled(t *testing.T) {
	const rounds = 30
	dir := t.TempDir()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	kept := map[string]map[string]string{"log": {}, "latest": {}}
	runs := map[uint32]int{} // in which round each was
	for round := range rounds {
		c := exec.Command(self)
		c.Dir = dir
		c.Env = append(os.Environ(), "LONGWIRE_TEST_ROLE=append")
		out, err := c.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		timer := time.AfterFunc(time.Duration(100+rand.IntN(900))*time.Millisecond, func() { c.Process.Kill() })
		for lines := bufio.NewScanner(out); lines.Scan(); {
			word, rest, _ := strings.Cut(lines.Text(), " ")
			switch f := strings.Fields(rest); {
			case word == "error":
				t.Errorf("round %d: %s", round, rest)
			case word == "run":
				run, _ := strconv.ParseUint(rest, 10, 32)
				runs[uint32(run)] = round
			case word == "kept" && len(f) == 3:
				kept[f[0]][f[1]] = f[2]
			}
		}
		c.Wait()
		timer.Stop()

		began := time.Now()
		s := open(t, store.Config{Dir: dir, Logs: killLogs})
		took := time.Since(began)
		for log, values := range kept {
			there := map[string]string{}
			for _, r := range readAll(t, s.Log(log)) {
				there[r.Key] = string(r.Data)
			}
			for key, value := range values {
				got := there[key]
				if log == "latest" && newer(runs, got, value) {
					continue // what was written after it, and not told any more
				}
				if got != string(killData(value)) {
					t.Errorf("round %d: log %s, key %s: got %q, want %q", round, log, key, got, killData(value))
				}
			}
			for key, value := range there {
				if key, more := strings.CutSuffix(key, "/more"); more && there[key] != value {
					t.Errorf("round %d: log %s: of the two records of one Append for %s there are %q and %q", round, log, key, there[key], value)
				}
			}
		}
		t.Logf("round %d: %d records, opened in %v", round, len(kept["log"]), took)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// newer reports whether data is of a later Append than value, of the same process or of one after it.
func newer(runs map[uint32]int, data, value string) bool {
	var run, later uint32
	var w, i, j int
	fmt.Sscanf(value, "%d.%d.%d", &run, &w, &i)
	fmt.Sscanf(data, "%d.%d.%d", &later, &w, &j)
	return (runs[later] > runs[run] || later == run && j > i) && data == string(killData(fmt.Sprintf("%d.%d.%d", later, w, j)))
}
