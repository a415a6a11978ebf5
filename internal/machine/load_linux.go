package machine

import (
	"fmt"
	"os"
	"path/filepath"
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

// Busy is by how much a machine that has other things to do may be late.
const Busy = 500 * time.Millisecond

// A Load is what else the machine does meanwhile.
type Load struct {
	t       *testing.T
	began   span
	dropped int // packets until then

	mu    sync.Mutex
	worst float64 // what others took of the half second in which they took most
}

// Watch watches the machine until the end of the test.
func Watch(t *testing.T) *Load {
	t.Helper()
	l := &Load{t: t, began: newSpan(t), dropped: droppedPackets(t)}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		tick := time.NewTicker(Busy)
		defer tick.Stop()
		for s := l.began; ; s = newSpan(t) {
			select {
			case <-stop:
				return
			case <-tick.C:
			}
			others := s.others()
			l.mu.Lock()
			l.worst = max(l.worst, others)
			l.mu.Unlock()
		}
	}()
	t.Cleanup(func() {
		close(stop)
		<-stopped
	})
	return l
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

// Disturbed says why p99 tells nothing of the server, when it is so.
func (l *Load) Disturbed() (why string) {
	l.t.Helper()
	return l.disturbed(l.began.others(), mostForP99)
}

// disturbed says why figures of time tell nothing, when it is so: others have taken more than so
// much of the processors' time; or the kernel came so late to the packets on the loopback that it
// has dropped some, which arrive only when they are sent again, some tenths of a second later or
// some seconds.
func (l *Load) disturbed(others, most float64) (why string) {
	l.t.Helper()
	dropped := droppedPackets(l.t) - l.dropped
	if others <= most && dropped == 0 {
		return ""
	}
	return fmt.Sprintf("other programs took %.0f %%, and %d packets were dropped", 100*others, dropped)
}

// Want fails the test when something was not in time, unless that tells nothing: half a second in
// which the server had no processor is enough.
func (l *Load) Want(inTime bool, format string, args ...any) {
	l.t.Helper()
	if inTime {
		return
	}
	l.mu.Lock()
	worst := l.worst
	l.mu.Unlock()
	if why := l.disturbed(max(worst, l.began.others()), mostForTime); why != "" {
		l.t.Logf("not judged, as %s: %s", why, fmt.Sprintf(format, args...))
		return
	}
	l.t.Errorf(format, args...)
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
