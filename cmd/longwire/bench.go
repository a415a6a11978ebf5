package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/bench"
	"github.com/longwire/longwire/internal/dial"
)

func newBench() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "bench",
		Short: "Measure a server that echoes frames",
		Long: `Bench measures how fast a server sends frames back, and what a connection that
rests costs it. "longwire bench server" is such a server, made with the library;
"longwire bench run" and "longwire bench conns" measure that or any other.

Where both ends run on one machine they share its processors, so a rate is one of
both together. Comparing two servers is what such figures are good for.`,
		Example: `  longwire bench server --listen 127.0.0.1:10302
  longwire bench run 127.0.0.1:10302 --conns 1000
  longwire bench conns 127.0.0.1:10302 --conns 10000 --pid 4711`,
		Args: onlyCommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newBenchServer(), newBenchRun(), newBenchConns())
	return cmd
}

// load is what the commands that open many connections have in common.
type load struct {
	cmd     *cobra.Command
	conns   count
	typ     typeFlag
	timeout duration
	json    bool
}

func (l *load) addFlags() {
	l.typ = 0x10
	l.timeout = duration(10 * time.Second)
	f := l.cmd.Flags()
	f.Var(&l.typ, "type", "type of the frames, as in 16 or 0x10")
	f.Var(&l.timeout, "timeout", "how long a connection may take to open, and answers to come that are missing")
	f.BoolVar(&l.json, "json", false, "print one JSON object")
}

func (l *load) check(address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	switch {
	case l.conns == 0:
		return usagef("--conns: must be at least 1")
	case l.timeout == 0:
		return usagef("--timeout: must be more than 0")
	}
	return nil
}

// A typeFlag is a flag's type of message.
type typeFlag longwire.Type

func (t *typeFlag) Set(text string) error {
	typ, err := parseType(text)
	if err != nil {
		return errors.New(strings.TrimPrefix(err.Error(), "TYPE "))
	}
	*t = typeFlag(typ)
	return nil
}

func (t *typeFlag) String() string { return longwire.Type(*t).String() }
func (t *typeFlag) Type() string   { return "type" }

// errInterrupted ends a measurement that a second signal cut off.
var errInterrupted = errors.New("interrupted before it was over")

// untilAborted measures. The first signal ends measure's ctx, so that it ends early;
// the second is an error at once.
func untilAborted[R any](ctx context.Context, measure func(ctx context.Context) (R, error)) (R, error) {
	stop, abort, release := untilSignal(ctx)
	defer release()
	type result struct {
		report R
		err    error
	}
	measured := make(chan result, 1)
	go func() {
		report, err := measure(stop)
		measured <- result{report, err}
	}()
	select {
	case m := <-measured:
		if m.err != nil && stop.Err() != nil && errors.Is(m.err, context.Cause(stop)) {
			m.err = errors.New("interrupted before anything was measured")
		}
		return m.report, m.err
	case <-abort.Done():
		var none R
		return none, errInterrupted
	}
}

// problem makes an error of package bench into a sentence.
func (l *load) problem(err error, address string) error {
	if e, ok := errors.AsType[*dial.LimitError](err); ok {
		return fmt.Errorf("--conns: %d connections are too many where a process may have %d file descriptors; raise that limit (ulimit -n), or open fewer", e.Conns, e.Limit)
	}
	if e, ok := errors.AsType[*bench.ConnectError](err); ok {
		after := ""
		if e.Opened > 0 {
			after = fmt.Sprintf(", after %d of %d", e.Opened, l.conns)
		}
		if errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("no connection to %s within %v%s", address, &l.timeout, after)
		}
		return fmt.Errorf("cannot connect to %s%s: %w", address, after, innermost(e.Err))
	}
	if e, ok := errors.AsType[*bench.Failure](err); ok {
		return errors.New(failure(e))
	}
	return err
}

// failure says what was wrong on a connection.
func failure(f *bench.Failure) string { return fmt.Sprintf("connection %d: %s", f.Conn+1, f.Problem) }

// progress says how many connections have been opened.
func (l *load) progress(p bench.Progress) {
	fmt.Fprintf(l.cmd.ErrOrStderr(), "%d of %d connections\n", p.Opened, l.conns)
}

// print prints a report: as an object on one line with --json, else as lines.
func (l *load) print(object any, lines [][2]string) error {
	var out []byte
	if l.json {
		var err error
		if out, err = appendJSONLine(nil, object); err != nil {
			return err
		}
	} else {
		for _, line := range lines {
			out = fmt.Appendf(out, "%-12s %s\n", line[0], line[1])
		}
	}
	if _, err := l.cmd.OutOrStdout().Write(out); err != nil {
		return fmt.Errorf("cannot print the result: %w", innermost(err))
	}
	return nil
}

// short returns a time span with three or four digits.
func short(d time.Duration) string {
	unit := time.Duration(1)
	for d/unit >= 10_000 {
		unit *= 10
	}
	return d.Round(unit).String()
}

// Units of the figures in JSON, with at most three digits behind the point.
func seconds(d time.Duration) float64      { return rounded(d.Seconds()) }
func microseconds(d time.Duration) float64 { return rounded(float64(d) / float64(time.Microsecond)) }
func rounded(x float64) float64            { return math.Round(x*1000) / 1000 }

// perSecond returns the rate of n things in a time.
func perSecond(n int, in time.Duration) float64 {
	if in <= 0 {
		return 0
	}
	return rounded(float64(n) / in.Seconds())
}
