package sim

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/latency"
)

// Progress is how far a fleet has come.
type Progress struct {
	Elapsed               time.Duration
	Boards, Begun, Online int
	Asked, Answered       int64 // by boards, and by the gateway
	Questions             int64 // of the gateway
	Errors                int64
}

// A Report is what came of a fleet.
type Report struct {
	Ramp    time.Duration // how long it took until all boards had begun
	Elapsed time.Duration // from the first one's beginning until the boards were to send no more
	Online  int           // boards that were connected then
	Groups  []Group
}

// A Group is what came of a group of boards.
type Group struct {
	Name   string
	Boards int
	Fault  config.FaultKind

	Connected    int              // boards that were let in at least once
	Connections  int64            // that were opened
	Ups          int64            // of these, how many were let in
	Storms       int64            // connections that ended because of a storm
	NotConnected map[string]int64 // connections that did not come about, by why
	Ended        map[string]int64 // connections that were opened, by why they ended; closed means by the board

	Asked    int64               // messages of boards that wait for an answer
	Answered int64               // of these, how many were
	Took     latency.Percentiles // how long that took
	Pushed   int64               // messages that wait for none
	Errors   map[string]int64    // messages that were not answered as they should, by why
	Heard    int64               // messages of the gateway that ask nothing

	Questions    int64               // of the gateway
	Replied      int64               // of these, how many boards answered
	RepliedError int64               // or answered with an error, as they should
	LeftSilent   int64               // or left without an answer, as they should
	ReplyTook    latency.Percentiles // how long boards took until they answered

	FramesIn, FramesOut int64 // those that are no frame, or not a whole one, do not count
	BytesIn, BytesOut   int64
}

// report fills in what the groups have counted.
func (f *Fleet) report(r *Report) {
	for _, g := range f.groups {
		one := g.tally.report()
		one.Name, one.Boards, one.Fault = g.conf.Name, len(g.boards), g.conf.Fault.Kind
		r.Groups = append(r.Groups, one)
	}
}

// Honest reports whether what the boards do is right, so that the gateway must answer them.
func (g *Group) Honest() bool {
	switch g.Fault {
	case config.NoFault, config.Split, config.Storm:
		return true
	}
	return false
}

// ErrorCount returns how many messages were not answered as they should.
func (g *Group) ErrorCount() (n int64) {
	for _, of := range g.Errors {
		n += of
	}
	return n
}

// Problem says what honest boards of the group were not given; "" means nothing.
func (g *Group) Problem() string {
	if !g.Honest() {
		return ""
	}
	var problems []string
	if missing := g.Boards - g.Connected; missing > 0 {
		text := fmt.Sprintf("%d of %d boards were never connected", missing, g.Boards)
		if len(g.NotConnected) > 0 {
			text += " (" + Counts(g.NotConnected) + ")"
		}
		problems = append(problems, text)
	}
	if n := g.ErrorCount(); n > 0 {
		problems = append(problems, fmt.Sprintf("%d of %d messages were not answered as they should (%s)", n, g.Asked+g.Pushed, Counts(g.Errors)))
	}
	return strings.Join(problems, ", and ")
}

// Counts says how often there was each of several things.
func Counts(of map[string]int64) string {
	var counts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		counts = append(counts, fmt.Sprintf("%s %d", what, of[what]))
	}
	return strings.Join(counts, ", ")
}
