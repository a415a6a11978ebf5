package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdBench starts "longwire bench" in the background:
//
//	bench NAME server|run|conns [argument...]
//
// Of a server it waits until that listens. NAME becomes a variable of the script,
// with the address, and NAME_PID one with the process.
func cmdBench(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: bench NAME server|run|conns [argument...]")
	}
	name := args[0]
	cmd := exec.Command("longwire", append([]string{"bench"}, args[1:]...)...)
	cmd.Dir = ts.MkAbs(".")
	cmd.Env = append(cmd.Environ(), "LONGWIRE_LISTEN=127.0.0.1:0")
	p := &program{cmd: cmd}
	cmd.Stdout, cmd.Stderr = &p.stdout, &p.stderr
	ts.Check(cmd.Start())
	ts.Defer(func() {
		if cmd.ProcessState == nil {
			cmd.Process.Kill()
			cmd.Wait()
		}
	})
	on(ts).programs[name] = p
	ts.Setenv(name+"_PID", strconv.Itoa(cmd.Process.Pid))
	if args[1] != "server" {
		return
	}
	found := p.stdout.await(regexp.MustCompile(`^longwire: listening on (\S+)$`), 1)
	if found == nil {
		ts.Fatalf("the server does not say that it listens: %s", p.stderr.String())
	}
	ts.Setenv(name, found[1])
}

// What is printed with --json has these fields, and no others.
func TestBenchFields(t *testing.T) {
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"run"}, `address connect_s conns conns_per_s depth duration_s errors errors_by_kind frame_bytes frames frames_per_s
			latency_samples max_us mb_per_s p50_us p90_us p999_us p99_us size_bytes type warmup_s`},
		{[]string{"run", "--rate", "100"}, `address connect_s conns conns_per_s duration_s errors errors_by_kind frame_bytes frames frames_per_s
			late_frames latency_samples max_lag_us max_us mb_per_s p50_us p90_us p999_us p99_us rate_per_s schedule_kept size_bytes type
			unsent_frames warmup_s`},
		{[]string{"conns", "--hold", "0"}, `address closed conns conns_per_s connect_s held_s silent`},
		{[]string{"conns", "--hold", "0", "--pid", strconv.Itoa(os.Getpid())}, `address bytes_per_conn closed conns conns_per_s connect_s held_s pid
			rss_after_bytes rss_before_bytes silent`},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var listening, complaints, stdout, stderr lines // progress, where the machine is busy, is on stderr
		served := make(chan int, 1)
		go func() {
			served <- run(ctx, []string{"bench", "server", "--listen", "127.0.0.1:0"}, nil, &listening, &complaints)
		}()
		address := listening.await(regexp.MustCompile(`on (\S+)$`), 1)[1]
		args := append([]string{"bench", test.args[0], address, "--json", "--conns", "2"}, test.args[1:]...)
		if test.args[0] == "run" {
			args = append(args, "--duration", "30ms", "--warmup", "0")
		}
		if status := run(t.Context(), args, nil, &stdout, &stderr); status != exitDone {
			t.Errorf("%v: exit status %d: %s", test.args, status, stderr.String())
		}
		var got map[string]any
		if err := json.Unmarshal([]byte(stdout.String()), &got); err != nil {
			t.Errorf("%v: %v", test.args, err)
		}
		for name := range strings.FieldsSeq(test.want) {
			if _, ok := got[name]; !ok {
				t.Errorf("%v: there is no %s in %s", test.args, name, stdout.String())
			}
			delete(got, name)
		}
		if len(got) > 0 {
			t.Errorf("%v: unexpected: %v", test.args, got)
		}
		cancel()
		if status := <-served; status != exitDone || complaints.String() != "" {
			t.Errorf("the server: exit status %d: %s", status, complaints.String())
		}
	}
}

// The first signal ends a measurement, and the second one that does not end.
func TestBenchEndsAtTheSecondSignal(t *testing.T) {
	self, err := os.FindProcess(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	over := make(chan struct{})
	defer close(over)
	measuring, ending := make(chan struct{}), make(chan struct{})
	ended := make(chan error, 1)
	go func() {
		_, err := untilAborted(t.Context(), func(ctx context.Context) (int, error) {
			close(measuring)
			<-ctx.Done()
			close(ending)
			<-over
			return 0, nil
		})
		ended <- err
	}()
	<-measuring
	for range 2 {
		if err := self.Signal(os.Interrupt); err != nil {
			t.Fatal(err)
		}
		<-ending
	}
	if err := <-ended; !errors.Is(err, errInterrupted) {
		t.Error(err)
	}
}

func TestShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 999: "999ns", 12_345: "12.35µs", 1_234_567_890: "1.235s", 83 * time.Minute: "1h23m0s",
	} {
		if got := short(d); got != want {
			t.Errorf("%d: %s, want %s", d, got, want)
		}
	}
}
