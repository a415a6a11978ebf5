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
	Elapsed         time.Duration
	Boards, Online  int
	Asked, Answered int64 // by boards, and by the gateway
	Questions       int64 // of the gateway
	Errors          int64
}

// A Report is what came of a fleet.
type Report struct {
	Ramp    time.Duration // how long it took until all boards had begun
	Elapsed time.Duration // from the first one's beginning until the boards were to send no more
	Groups  []Group
}

// A Group is what came of a group of boards.
type Group struct {
	Name   string
	Boards int
	Fault  config.FaultKind

	Begun        int              // boards that had begun; all, unless the ramp was cut short
	Online       int              // boards that were connected when they were to send no more
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

	cut bool // the ramp was cut short
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
	missing, away := g.Begun-g.Connected, g.Connected-g.Online
	if g.cut && len(g.NotConnected) == 0 {
		missing = 0 // there was no time
	}
	if g.Fault == config.Storm || g.cut {
		away = 0 // they may just be on their way
	}
	if away > 0 {
		problems = append(problems, fmt.Sprintf("%d boards were not connected any more at the end", away))
	}
	if missing > 0 {
		text := fmt.Sprintf("%d of %d boards were never connected", missing, g.Begun)
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

// Online returns how many boards were connected when they were to send no more.
func (r *Report) Online() (n int) {
	for i := range r.Groups {
		n += r.Groups[i].Online
	}
	return n
}

// Counts says how often there was each of several things.
func Counts(of map[string]int64) string {
	var counts []string
	for _, what := range slices.Sorted(maps.Keys(of)) {
		counts = append(counts, fmt.Sprintf("%s %d", what, of[what]))
	}
	return strings.Join(counts, ", ")
}
