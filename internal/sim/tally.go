package sim

import (
	"maps"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/latency"
)

// A tally is what the boards of a group have counted.
type tally struct {
	begun                        atomic.Int64 // boards
	online, opened, ups, storms  atomic.Int64
	asked, pushed, heard         atomic.Int64
	framesIn, framesOut          atomic.Int64
	bytesIn, bytesOut            atomic.Int64
	answers, questions, failures atomic.Int64

	mu        sync.Mutex
	seen      map[*board]bool // boards that were connected
	connects  map[string]int64
	ends      map[string]int64
	errors    map[string]int64
	took      latency.Histogram // until the gateway answered
	replyTook latency.Histogram // until a board answered
	replies   [3]int64          // by what the board did
}

// What a board did with a question.
const (
	replied = iota
	repliedError
	leftSilent
)

func newTally() *tally {
	return &tally{
		seen:      make(map[*board]bool),
		connects:  make(map[string]int64),
		ends:      make(map[string]int64),
		errors:    make(map[string]int64),
		took:      latency.New(),
		replyTook: latency.New(),
	}
}

// up counts a connection that the gateway has let in, and down its end.
func (t *tally) up(b *board) {
	t.ups.Add(1)
	t.online.Add(1)
	t.mu.Lock()
	t.seen[b] = true
	t.mu.Unlock()
}

func (t *tally) down() { t.online.Add(-1) }

// end counts the end of a connection.
func (t *tally) end(why longwire.Reason) {
	t.mu.Lock()
	t.ends[why.String()]++
	t.mu.Unlock()
}

// ended counts what a client of the library has.
func (t *tally) ended(s longwire.Stats) {
	t.opened.Add(s.Opened)
	t.framesIn.Add(s.FramesIn)
	t.framesOut.Add(s.FramesOut)
	t.bytesIn.Add(s.BytesIn)
	t.bytesOut.Add(s.BytesOut)
	t.mu.Lock()
	for why, n := range s.Closed {
		t.ends[why.String()] += n
	}
	t.mu.Unlock()
}

// notConnected counts a connection that did not come about.
func (t *tally) notConnected(err error) {
	if why := whyNotConnected(err); why != "" {
		t.mu.Lock()
		t.connects[why]++
		t.mu.Unlock()
	}
}

// answered counts an answer of the gateway.
func (t *tally) answered(took time.Duration) {
	t.answers.Add(1)
	t.mu.Lock()
	t.took.Record(took)
	t.mu.Unlock()
}

// failed counts a message without an answer, or with one that says no.
func (t *tally) failed(why string) {
	t.failures.Add(1)
	t.mu.Lock()
	t.errors[why]++
	t.mu.Unlock()
}

// reply counts what a board did with a question.
func (t *tally) reply(took time.Duration, what int) {
	t.questions.Add(1)
	t.mu.Lock()
	t.replies[what]++
	if what == replied {
		t.replyTook.Record(took)
	}
	t.mu.Unlock()
}

// addTo adds what has been counted so far.
func (t *tally) addTo(p *Progress) {
	p.Asked += t.asked.Load()
	p.Answered += t.answers.Load()
	p.Questions += t.questions.Load()
	p.Errors += t.failures.Load()
}

// report fills in what has been counted, when nothing is at work any more.
func (t *tally) report(g *Group) {
	g.Begun = int(t.begun.Load())
	g.Connected = len(t.seen)
	g.Connections = t.opened.Load()
	g.Ups = t.ups.Load()
	g.Storms = t.storms.Load()
	g.NotConnected = maps.Clone(t.connects)
	g.Ended = maps.Clone(t.ends)
	g.Asked = t.asked.Load()
	g.Answered = t.answers.Load()
	g.Pushed = t.pushed.Load()
	g.Heard = t.heard.Load()
	g.Errors = maps.Clone(t.errors)
	g.Took = t.took.Percentiles()
	g.Questions = t.questions.Load()
	g.Replied = t.replies[replied]
	g.RepliedError = t.replies[repliedError]
	g.LeftSilent = t.replies[leftSilent]
	g.ReplyTook = t.replyTook.Percentiles()
	g.FramesIn = t.framesIn.Load()
	g.FramesOut = t.framesOut.Load()
	g.BytesIn = t.bytesIn.Load()
	g.BytesOut = t.bytesOut.Load()
}
