package main

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/bench"
)

// benchRun is the command "longwire bench run" with its flags.
type benchRun struct {
	load
	depth    count
	rate     count
	size     size
	duration duration
	warmup   duration
}

func newBenchRun() *cobra.Command {
	b := &benchRun{
		depth:    1,
		size:     64,
		duration: duration(10 * time.Second),
		warmup:   duration(time.Second),
	}
	b.conns = 100
	b.cmd = &cobra.Command{
		Use:   "run ADDR",
		Short: "Load an echoing server and print rate and latency",
		Long: `Run opens connections to ADDR, where a server sends every frame back, keeps frames
in flight on each, verifies what comes back, and prints how many frames per second
came back and how long they took. Each second it says on stderr how far it is.
SIGINT or SIGTERM ends it early; what was measured by then is printed.

Without --rate a frame is sent when another has come back, so a server that is slow
is sent less. With --rate so many frames per second are sent, each at its time,
whether or not others have come back, and what is measured is how long after its
time a frame came back: what waits because the server, or this side, is slow is in
the figures. When frames could not be sent at their times, that is said.

Data of 8 bytes and more begins with a number, so that a frame that is lost, comes
twice or out of order is noticed. The exit status is 1 when anything that came back
was wrong or missing.`,
		Example: `  longwire bench run 127.0.0.1:10302 --conns 1000 --depth 16
  longwire bench run 127.0.0.1:10302 --conns 1000 --rate 50000 --duration 1m
  longwire bench run 127.0.0.1:10302 --json`,
		Args:              arguments("ADDR"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return b.run(cmd.Context(), args[0]) },
	}
	f := b.cmd.Flags()
	f.SortFlags = false
	f.Var(&b.conns, "conns", "how many connections to open")
	f.Var(&b.depth, "depth", "how many frames are in flight on each connection")
	f.Var(&b.rate, "rate", "how many frames per second to send, over all connections; 0 for one whenever another came back")
	f.Var(&b.size, "size", "how many bytes of data a frame has")
	f.Var(&b.duration, "duration", "how long to measure")
	f.Var(&b.warmup, "warmup", "how long to send before that")
	b.addFlags()
	return b.cmd
}

func (b *benchRun) run(ctx context.Context, address string) error {
	if err := b.check(address); err != nil {
		return err
	}
	rep, err := untilAborted(ctx, func(ctx context.Context) (*bench.Report, error) {
		return bench.Run(ctx, bench.Options{
			Addr:     address,
			Conns:    int(b.conns),
			Depth:    int(b.depth),
			Rate:     int(b.rate),
			Size:     int(b.size),
			Type:     frame.Type(b.typ),
			Warmup:   time.Duration(b.warmup),
			Duration: time.Duration(b.duration),
			Timeout:  time.Duration(b.timeout),
			Progress: b.progress,
		})
	})
	if err != nil {
		return b.problem(err, address)
	}
	if err := b.print(b.object(rep, address), b.lines(rep)); err != nil {
		return err
	}
	if rep.First != nil {
		return fmt.Errorf("the server does not echo as it should: %s; first, on %s", errorCounts(rep), failure(rep.First))
	}
	return nil
}

// check looks at what the types of the flags do not.
func (b *benchRun) check(address string) error {
	if err := b.load.check(address); err != nil {
		return err
	}
	switch {
	case b.depth == 0:
		return usagef("--depth: must be at least 1")
	case b.duration == 0:
		return usagef("--duration: must be more than 0")
	case b.rate > 0 && b.cmd.Flag("depth").Changed:
		return usagef("--depth waits for what comes back before it sends more, and --rate does not; choose one of them")
	case int(b.size) > frame.Default.MaxSize()-frame.Default.Overhead():
		return usagef("--size: %v is more than a frame can hold", &b.size)
	}
	return nil
}

func (b *benchRun) progress(p bench.Progress) {
	if p.Elapsed == 0 {
		b.load.progress(p)
		return
	}
	warmup := ""
	if p.Warmup {
		warmup = ", warming up"
	}
	fmt.Fprintf(b.cmd.ErrOrStderr(), "%v: %.0f frames/s, %d frames, %d errors%s\n",
		p.Elapsed.Round(time.Second), p.PerSecond, p.Frames, p.Errors, warmup)
}

// lines is what is printed without --json.
func (b *benchRun) lines(r *bench.Report) [][2]string {
	inFlight := fmt.Sprintf("%v in flight on each", &b.depth)
	if b.rate > 0 {
		inFlight = fmt.Sprintf("%v frames/s to send", &b.rate)
	}
	l := r.Latency
	lines := [][2]string{
		{"connections", fmt.Sprintf("%v, opened in %s, %s", &b.conns, short(r.Connect), inFlight)},
		{"frames", fmt.Sprintf("%d of %d bytes in %s: %.0f frames/s, %.1f MB/s each way",
			r.Frames, r.FrameSize, short(r.Elapsed), r.FramesPerSecond(), r.BytesPerSecond()/1e6)},
		{"latency", fmt.Sprintf("p50 %s, p90 %s, p99 %s, p99.9 %s, max %s",
			short(l.P50), short(l.P90), short(l.P99), short(l.P999), short(l.Max))},
	}
	if s := r.Schedule; s != nil {
		schedule := fmt.Sprintf("kept; no frame went out more than %s after its time", short(s.MaxLag))
		if !s.Kept() {
			schedule = fmt.Sprintf("not kept: %d frames went out more than %v after their time, at most %s, and %d not at all",
				s.Late, bench.LateBy, short(s.MaxLag), s.Unsent)
		}
		lines = append(lines, [2]string{"schedule", schedule})
	}
	errors := "none"
	if r.First != nil {
		errors = errorCounts(r)
	}
	return append(lines, [2]string{"errors", errors})
}

// errorCounts says how often there was an error of each kind.
func errorCounts(r *bench.Report) string {
	var counts []string
	for _, kind := range slices.Sorted(maps.Keys(r.Errors)) {
		counts = append(counts, fmt.Sprintf("%s %d", kind, r.Errors[kind]))
	}
	return strings.Join(counts, ", ")
}

// benchRunObject is what is printed with --json.
type benchRunObject struct {
	Address   string  `json:"address"`
	Conns     int     `json:"conns"`
	Depth     *int    `json:"depth,omitempty"`
	Rate      *int    `json:"rate_per_s,omitempty"`
	Size      int     `json:"size_bytes"`
	FrameSize int     `json:"frame_bytes"`
	Type      string  `json:"type"`
	Warmup    float64 `json:"warmup_s"`
	Duration  float64 `json:"duration_s"`

	Connect         float64 `json:"connect_s"`
	ConnsPerSecond  float64 `json:"conns_per_s"`
	Frames          int64   `json:"frames"`
	FramesPerSecond float64 `json:"frames_per_s"`
	MBPerSecond     float64 `json:"mb_per_s"`

	Samples int64   `json:"latency_samples"`
	P50     float64 `json:"p50_us"`
	P90     float64 `json:"p90_us"`
	P99     float64 `json:"p99_us"`
	P999    float64 `json:"p999_us"`
	Max     float64 `json:"max_us"`

	Errors       int64                `json:"errors"`
	ErrorsByKind map[bench.Kind]int64 `json:"errors_by_kind"`
	FirstError   string               `json:"first_error,omitempty"`

	ScheduleKept *bool    `json:"schedule_kept,omitempty"`
	Late         *int64   `json:"late_frames,omitempty"`
	Unsent       *int64   `json:"unsent_frames,omitempty"`
	MaxLag       *float64 `json:"max_lag_us,omitempty"`
}

func (b *benchRun) object(r *bench.Report, address string) *benchRunObject {
	l := r.Latency
	o := &benchRunObject{
		Address:   address,
		Conns:     int(b.conns),
		Size:      int(b.size),
		FrameSize: r.FrameSize,
		Type:      b.typ.String(),
		Warmup:    seconds(time.Duration(b.warmup)),
		Duration:  seconds(r.Elapsed),

		Connect:         seconds(r.Connect),
		ConnsPerSecond:  perSecond(int(b.conns), r.Connect),
		Frames:          r.Frames,
		FramesPerSecond: rounded(r.FramesPerSecond()),
		MBPerSecond:     rounded(r.BytesPerSecond() / 1e6),

		Samples: l.Samples,
		P50:     microseconds(l.P50),
		P90:     microseconds(l.P90),
		P99:     microseconds(l.P99),
		P999:    microseconds(l.P999),
		Max:     microseconds(l.Max),

		Errors:       r.ErrorCount(),
		ErrorsByKind: r.Errors,
	}
	if b.rate == 0 {
		o.Depth = new(int(b.depth))
	}
	if r.First != nil {
		o.FirstError = failure(r.First)
	}
	if s := r.Schedule; s != nil {
		o.Rate = new(int(b.rate))
		o.ScheduleKept, o.Late, o.Unsent = new(s.Kept()), &s.Late, &s.Unsent
		o.MaxLag = new(microseconds(s.MaxLag))
	}
	return o
}
