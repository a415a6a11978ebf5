package main

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/bench"
)

// benchConns is the command "longwire bench conns" with its flags.
type benchConns struct {
	load
	hold   duration
	pid    count
	silent bool
}

func newBenchConns() *cobra.Command {
	b := &benchConns{hold: duration(10 * time.Second)}
	b.conns = 1000
	b.cmd = &cobra.Command{
		Use:   "conns ADDR",
		Short: "Open connections that rest, and print what each costs",
		Long: `Conns opens connections to ADDR, where a server sends every frame back, exchanges
one frame on each, and lets them rest. It prints how many connections per second it
opened, and how many the server has ended meanwhile. SIGINT or SIGTERM ends the rest.

With --pid, the process of a server on this machine, it prints by how many bytes per
connection the resident memory of that process has grown, from before the first
connection to the end of the rest. What the system itself keeps for a connection is
not part of that. This works on Linux alone.`,
		Example: `  longwire bench conns 127.0.0.1:10302 --conns 18000
  longwire bench conns 127.0.0.1:10302 --conns 18000 --pid 4711 --hold 30s`,
		Args:              arguments("ADDR"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return b.run(cmd.Context(), args[0]) },
	}
	f := b.cmd.Flags()
	f.SortFlags = false
	f.Var(&b.conns, "conns", "how many connections to open")
	f.Var(&b.hold, "hold", "how long they rest")
	f.Var(&b.pid, "pid", "process whose resident memory is looked at; 0 for none")
	f.BoolVar(&b.silent, "silent", false, "exchange no frame")
	b.addFlags()
	return b.cmd
}

func (b *benchConns) run(ctx context.Context, address string) error {
	if err := b.check(address); err != nil {
		return err
	}
	rep, err := untilAborted(ctx, func(ctx context.Context) (*bench.ConnsReport, error) {
		return bench.Conns(ctx, bench.ConnsOptions{
			Addr:     address,
			Conns:    int(b.conns),
			Type:     frame.Type(b.typ),
			Timeout:  time.Duration(b.timeout),
			Progress: b.progress,
			Silent:   b.silent,
			Hold:     time.Duration(b.hold),
			PID:      int(b.pid),
		})
	})
	if err != nil {
		return b.problem(err, address)
	}
	if err := b.print(b.object(rep, address), b.lines(rep)); err != nil {
		return err
	}
	if rep.Closed > 0 {
		return fmt.Errorf("the server ended %d of %v connections while they rested", rep.Closed, &b.conns)
	}
	return nil
}

// problem makes an error of package bench into a sentence.
func (b *benchConns) problem(err error, address string) error {
	e, ok := errors.AsType[*bench.MemoryError](err)
	switch {
	case !ok:
		return b.load.problem(err, address)
	case errors.Is(e, errors.ErrUnsupported):
		return errors.New("--pid: the memory of a process can be read on Linux alone")
	case errors.Is(e, os.ErrNotExist):
		return fmt.Errorf("--pid: there is no process %d", e.PID)
	}
	return fmt.Errorf("--pid: cannot read the memory of process %d: %w", e.PID, innermost(e.Err))
}

// grown returns by how many bytes per connection the process has grown.
func (b *benchConns) grown(r *bench.ConnsReport) float64 {
	return math.Round(float64(r.MemoryAfter-r.MemoryBefore) / float64(b.conns))
}

// lines is what is printed without --json.
func (b *benchConns) lines(r *bench.ConnsReport) [][2]string {
	lines := [][2]string{
		{"connections", fmt.Sprintf("%v, opened in %s: %.0f connections/s", &b.conns, short(r.Connect), perSecond(int(b.conns), r.Connect))},
		{"closed", fmt.Sprintf("%d after %s", r.Closed, short(r.Held))},
	}
	if b.pid > 0 {
		lines = append(lines, [2]string{"memory", fmt.Sprintf("%.0f bytes per connection: %d bytes before, %d now",
			b.grown(r), r.MemoryBefore, r.MemoryAfter)})
	}
	return lines
}

// benchConnsObject is what is printed with --json.
type benchConnsObject struct {
	Address        string  `json:"address"`
	Conns          int     `json:"conns"`
	Silent         bool    `json:"silent"`
	Connect        float64 `json:"connect_s"`
	ConnsPerSecond float64 `json:"conns_per_s"`
	Held           float64 `json:"held_s"`
	Closed         int     `json:"closed"`

	PID          *int     `json:"pid,omitempty"`
	MemoryBefore *int64   `json:"rss_before_bytes,omitempty"`
	MemoryAfter  *int64   `json:"rss_after_bytes,omitempty"`
	PerConn      *float64 `json:"bytes_per_conn,omitempty"`
}

func (b *benchConns) object(r *bench.ConnsReport, address string) *benchConnsObject {
	o := &benchConnsObject{
		Address:        address,
		Conns:          int(b.conns),
		Silent:         b.silent,
		Connect:        seconds(r.Connect),
		ConnsPerSecond: perSecond(int(b.conns), r.Connect),
		Held:           seconds(r.Held),
		Closed:         r.Closed,
	}
	if b.pid > 0 {
		o.PID = new(int(b.pid))
		o.MemoryBefore, o.MemoryAfter = &r.MemoryBefore, &r.MemoryAfter
		o.PerConn = new(b.grown(r))
	}
	return o
}
