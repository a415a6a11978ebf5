package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"github.com/longwire/longwire/internal/latency"
	"github.com/longwire/longwire/internal/sim"
)

// A progressLine says how far a fleet has come: on a terminal in one line that is written over
// every second, elsewhere in a line every 5 seconds.
type progressLine struct {
	to       io.Writer
	terminal bool
	shown    int // lines or, on a terminal, characters of the last one
	seconds  int
	last     sim.Progress
}

const progressEvery = 5

func newProgressLine(to io.Writer) *progressLine {
	p := &progressLine{to: to}
	if f, ok := to.(*os.File); ok {
		info, err := f.Stat()
		p.terminal = err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	}
	return p
}

func (p *progressLine) show(now sim.Progress) {
	p.seconds++
	if !p.terminal && p.seconds%progressEvery != 0 {
		return
	}
	rate := perSecond(int(now.Asked-p.last.Asked), now.Elapsed-p.last.Elapsed)
	text := fmt.Sprintf("%v: %d of %d boards connected, %d asked (%.0f/s), %d answered, %d errors, %d questions from the gateway",
		now.Elapsed.Round(time.Second), now.Online, now.Boards, now.Asked, rate, now.Answered, now.Errors, now.Questions)
	p.last = now
	if p.terminal {
		fmt.Fprintf(p.to, "\r%-*s", p.shown, text)
		p.shown = len(text)
		return
	}
	fmt.Fprintln(p.to, text)
}

// end leaves a terminal at the beginning of a line of its own.
func (p *progressLine) end() {
	if p.terminal && p.shown > 0 {
		fmt.Fprintf(p.to, "\r%-*s\r", p.shown, "")
	}
}

func (s *simulate) printReport(r *sim.Report, address string) error {
	if s.json {
		out, err := appendJSONLine(nil, newSimObject(r, address))
		if err != nil {
			return err
		}
		return s.write(out)
	}
	var out []byte
	var all sim.Group
	for i := range r.Groups {
		g := &r.Groups[i]
		out = append(out, groupLines(g)...)
		all.Boards += g.Boards
		all.Connections += g.Connections
		all.Asked += g.Asked
		all.Answered += g.Answered
		all.Questions += g.Questions
		all.Replied += g.Replied
		all.FramesOut += g.FramesOut
		all.FramesIn += g.FramesIn
	}
	out = fmt.Appendf(out, "all: %d boards, %d connected when the %s were over, %d connections\n", all.Boards, r.Online(), short(r.Elapsed), all.Connections)
	out = fmt.Appendf(out, "  asked %d, answered %d; were asked %d, answered %d; %d frames sent, %d received\n",
		all.Asked, all.Answered, all.Questions, all.Replied, all.FramesOut, all.FramesIn)
	return s.write(out)
}

func (s *simulate) write(out []byte) error {
	if _, err := s.cmd.OutOrStdout().Write(out); err != nil {
		return fmt.Errorf("cannot print the result: %w", innermost(err))
	}
	return nil
}

// groupLines is what is printed of a group without --json.
func groupLines(g *sim.Group) (out []byte) {
	must := ""
	if !g.Honest() {
		must = ", which may fail"
	}
	out = fmt.Appendf(out, "%s: %d boards, fault %s%s\n", g.Name, g.Boards, g.Fault, must)
	line := func(name, format string, args ...any) {
		out = fmt.Appendf(out, "  %-13s "+format+"\n", append([]any{name}, args...)...)
	}
	storms := ""
	if g.Storms > 0 {
		storms = fmt.Sprintf(", %d in storms", g.Storms)
	}
	line("connected", "%d boards; %d connections, of which %d were let in%s", g.Connected, g.Connections, g.Ups, storms)
	if len(g.NotConnected) > 0 {
		line("not connected", "%s", sim.Counts(g.NotConnected))
	}
	line("asked", "%d, answered %d%s", g.Asked, g.Answered, percentiles(g.Took))
	if g.Pushed > 0 {
		line("told", "%d messages that wait for no answer", g.Pushed)
	}
	line("was asked", "%d, answered %d%s", g.Questions, g.Replied, percentiles(g.ReplyTook))
	if g.RepliedError+g.LeftSilent > 0 {
		line("", "%d with an error and %d not at all, as they should", g.RepliedError, g.LeftSilent)
	}
	if len(g.Ended) > 0 {
		line("ended", "%s", sim.Counts(g.Ended))
	}
	errors := "none"
	if len(g.Errors) > 0 {
		errors = sim.Counts(g.Errors)
	}
	line("errors", "%s", errors)
	line("frames", "%d sent, %d received; %d and %d bytes", g.FramesOut, g.FramesIn, g.BytesOut, g.BytesIn)
	return out
}

// percentiles says how long answers took, nothing when there were none.
func percentiles(p latency.Percentiles) string {
	if p.Samples == 0 {
		return ""
	}
	return fmt.Sprintf("; p50 %s, p90 %s, p99 %s, p99.9 %s, max %s", short(p.P50), short(p.P90), short(p.P99), short(p.P999), short(p.Max))
}

// simObject is what is printed with --json.
type simObject struct {
	Address string     `json:"address"`
	Boards  int        `json:"boards"`
	Online  int        `json:"online"`
	Ramp    float64    `json:"ramp_s"`
	Elapsed float64    `json:"elapsed_s"`
	Served  bool       `json:"honest_served"`
	Groups  []simGroup `json:"groups"`
}

type simGroup struct {
	Name         string           `json:"name"`
	Boards       int              `json:"boards"`
	Fault        string           `json:"fault"`
	Honest       bool             `json:"honest"`
	Connected    int              `json:"connected"`
	Connections  int64            `json:"connections"`
	LetIn        int64            `json:"let_in"`
	Storms       int64            `json:"storms"`
	NotConnected map[string]int64 `json:"not_connected"`
	Ended        map[string]int64 `json:"ended"`
	Asked        int64            `json:"asked"`
	Answered     int64            `json:"answered"`
	Took         simLatency       `json:"answer_us"`
	Told         int64            `json:"told"`
	Heard        int64            `json:"heard"`
	Errors       map[string]int64 `json:"errors"`
	Questions    int64            `json:"questions"`
	Replied      int64            `json:"replied"`
	RepliedError int64            `json:"replied_error"`
	LeftSilent   int64            `json:"left_silent"`
	ReplyTook    simLatency       `json:"reply_us"`
	FramesOut    int64            `json:"frames_out"`
	FramesIn     int64            `json:"frames_in"`
	BytesOut     int64            `json:"bytes_out"`
	BytesIn      int64            `json:"bytes_in"`
}

type simLatency struct {
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func newSimLatency(p latency.Percentiles) simLatency {
	return simLatency{microseconds(p.P50), microseconds(p.P90), microseconds(p.P99), microseconds(p.P999), microseconds(p.Max)}
}

func newSimObject(r *sim.Report, address string) *simObject {
	o := &simObject{Address: address, Online: r.Online(), Ramp: seconds(r.Ramp), Elapsed: seconds(r.Elapsed), Served: honestProblem(r) == nil}
	for _, g := range r.Groups {
		o.Boards += g.Boards
		o.Groups = append(o.Groups, simGroup{
			Name: g.Name, Boards: g.Boards, Fault: string(g.Fault), Honest: g.Honest(),
			Connected: g.Connected, Connections: g.Connections, LetIn: g.Ups, Storms: g.Storms,
			NotConnected: g.NotConnected, Ended: g.Ended,
			Asked: g.Asked, Answered: g.Answered, Took: newSimLatency(g.Took), Told: g.Pushed, Heard: g.Heard, Errors: g.Errors,
			Questions: g.Questions, Replied: g.Replied, RepliedError: g.RepliedError, LeftSilent: g.LeftSilent, ReplyTook: newSimLatency(g.ReplyTook),
			FramesOut: g.FramesOut, FramesIn: g.FramesIn, BytesOut: g.BytesOut, BytesIn: g.BytesIn,
		})
	}
	return o
}
