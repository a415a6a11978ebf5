//go:build slow

package longwire_test

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// How much of a machine other programs may take for figures of time to be judged. During an
// attack a server has more to do, and so waits longer for a processor that others want too: that
// is not its own doing, and is felt first in p99.
const (
	mostForP99  = 0.15
	mostForTime = 0.60
)

// busy is by how much a machine that has other things to do may be late.
const busy = 500 * time.Millisecond

// A machine tells what else it does meanwhile.
type machine struct {
	t       *testing.T
	began   span
	dropped int // packets until then

	mu    sync.Mutex
	worst float64 // what others took of the half second in which they took most
}

// watchMachine watches it until the end of the test.
func watchMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t: t, began: newSpan(t), dropped: droppedPackets(t)}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(busy)
		defer tick.Stop()
		for s := m.began; ; s = newSpan(t) {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			others := s.others()
			m.mu.Lock()
			m.worst = max(m.worst, others)
			m.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return m
}

// A span is a time that has begun.
type span struct {
	t     *testing.T
	began time.Time
	time  time.Duration // accounted for until then
}

func newSpan(t *testing.T) span {
	s := span{t: t, began: time.Now()}
	s.time, _ = accounted(t)
	return s
}

// others returns what other programs than this one and its children have taken of the
// processors' time since.
func (s span) others() float64 {
	now, processors := accounted(s.t)
	return 1 - (now-s.time).Seconds()/time.Since(s.began).Seconds()/float64(processors)
}

// disturbed says why figures of time tell nothing of the server, when it is so: others have
// taken more than so much of the processors' time; or the kernel came so late to the packets on
// the loopback that it has dropped some, which arrive only when they are sent again, some tenths
// of a second later or some seconds.
func (m *machine) disturbed(others, most float64) (why string) {
	m.t.Helper()
	dropped := droppedPackets(m.t) - m.dropped
	if others <= most && dropped == 0 {
		return ""
	}
	return fmt.Sprintf("other programs took %.0f %%, and %d packets were dropped", 100*others, dropped)
}

// want fails the test when something was not in time, unless that tells nothing: half a second in
// which the server had no processor is enough.
func (m *machine) want(inTime bool, format string, args ...any) {
	m.t.Helper()
	if inTime {
		return
	}
	m.mu.Lock()
	worst := m.worst
	m.mu.Unlock()
	if why := m.disturbed(max(worst, m.began.others()), mostForTime); why != "" {
		m.t.Logf("not judged, as %s: %s", why, fmt.Sprintf(format, args...))
		return
	}
	m.t.Errorf(format, args...)
}

// droppedPackets returns how many packets have found the kernel's queues full.
func droppedPackets(t *testing.T) (sum int) {
	t.Helper()
	stat, err := os.ReadFile("/proc/net/softnet_stat") // a line for each processor
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(stat)) {
		n, _ := strconv.ParseInt(strings.Fields(line)[1], 16, 64)
		sum += int(n)
	}
	return sum
}

// accounted returns the time for which the processors have been idle or have worked for this
// program and its children, and how many they are.
func accounted(t *testing.T) (sum time.Duration, processors int) {
	t.Helper()
	const tick = 10 * time.Millisecond // the kernel's unit
	stat, err := os.ReadFile("/proc/stat")
	if err != nil {
		t.Fatal(err)
	}
	all, _, _ := strings.Cut(string(stat), "\n")
	f := numbers(strings.Fields(all))
	sum = time.Duration(f[4]+f[5]) * tick // idle, and waiting for a disk
	me := os.Getpid()
	processes, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, p := range processes {
		stat, _ := os.ReadFile(p) // it may be gone
		name := strings.LastIndex(string(stat), ")")
		if name < 0 {
			continue
		}
		f := numbers(strings.Fields(string(stat[name+1:]))) // from its state on, see proc_pid_stat(5)
		switch parent, own, children := f[1], f[11]+f[12], f[13]+f[14]; {
		case p == fmt.Sprintf("/proc/%d/stat", me):
			sum += time.Duration(own+children) * tick
		case parent == me:
			sum += time.Duration(own) * tick
		}
	}
	return sum, strings.Count(string(stat), "\ncpu")
}

// numbers returns the numbers that the words are, and 0 for those that are none.
func numbers(words []string) (n []int) {
	for _, w := range words {
		i, _ := strconv.Atoi(w)
		n = append(n, i)
	}
	return n
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
