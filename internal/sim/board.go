package sim

import (
	"context"
	"encoding/json"
	"math"
	"math/rand/v2"
	"net"
	"sync"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// A board is one of a group.
type board struct {
	g         *group
	n         int // its number
	place     int // in its group, from 0
	index     int // in the fleet, from 0
	id, token string

	mu    sync.Mutex
	rng   rand.PCG
	sent  []int // messages, by send
	count int   // answers
}

func newBoard(g *group, place int) *board {
	b := &board{g: g, n: int(g.conf.First) + place, place: place, sent: make([]int, len(g.conf.Send))}
	b.rng.Seed(g.f.seed, uint64(len(g.f.groups))<<32|uint64(place))
	return b
}

// live is what a board does until ctx ends.
func (b *board) live(ctx context.Context) {
	switch b.g.conf.Fault.Kind {
	case config.NoFault, config.Storm:
		b.liveHonestly(ctx)
	default:
		b.liveFaultily(ctx)
	}
}

// random returns a number from 0 up to 1. Each board has its own, so that what one board does
// does not depend on when another one is at work.
func (b *board) random() float64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return float64(b.rng.Uint64()>>11) / (1 << 53)
}

// chance is true for a share of the calls.
func (b *board) chance(share config.Share) bool { return b.random()*100 < float64(share) }

// around returns a time that is longer or shorter by up to a share.
func (b *board) around(d config.Duration, jitter config.Share) time.Duration {
	return time.Duration(float64(d) * (1 + (2*b.random()-1)*float64(jitter)/100))
}

// hello is what the board says of itself, nil when that is nothing.
func (b *board) hello() *longwire.Hello {
	if b.id == "" {
		return nil
	}
	return &longwire.Hello{ID: b.id, Token: b.token, Groups: b.g.conf.Groups, Attributes: b.g.conf.Attributes}
}

// dial connects. How many do at once is bounded.
func (b *board) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	f := b.g.f
	select {
	case f.gate <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	defer func() { <-f.gate }()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(f.Scenario.Timeout))
	defer cancel()
	nc, err := f.dialer.Dial(ctx, b.index)
	if err != nil {
		return nil, err
	}
	return nc, nil
}

// message returns the data of the next message of a send.
func (b *board) message(i int) ([]byte, error) {
	b.mu.Lock()
	b.sent[i]++
	count := b.sent[i]
	b.mu.Unlock()
	return b.g.sends[i].data.make(b.say(count, nil))
}

// wordNames are all that a template can say.
const wordNames = ".ID, .N, .Group, .Count, .Question, .Now, .Unix, .Rand LOW HIGH and .Int LOW HIGH"

// words is what a template can say.
type words struct {
	b *board

	ID       string
	N        int    // of the board
	Group    string // its name
	Count    int    // of the messages of the board like this, from 1
	Question string // what is being answered
}

func (b *board) say(count int, question []byte) *words {
	return &words{b: b, ID: b.id, N: b.n, Group: b.g.conf.Name, Count: count, Question: string(question)}
}

// Now is the time.
func (w *words) Now() string { return time.Now().UTC().Format("2006-01-02T15:04:05.000Z") }

// Unix is the time in milliseconds.
func (w *words) Unix() int64 { return time.Now().UnixMilli() }

// Rand is a random number with two digits behind the point.
func (w *words) Rand(low, high float64) float64 {
	return math.Round(100*(low+(high-low)*w.b.random())) / 100
}

// Int is a random whole number.
func (w *words) Int(low, high int) int {
	return low + int(w.b.random()*float64(high-low+1))
}

// A reply is what a board does with a message from the gateway.
type reply struct {
	silent bool
	raw    bool // data is sent as it is
	status string
	data   []byte
}

// answer makes the reply to a message. It takes as long as the board is to take.
func (b *board) answer(ctx context.Context, t longwire.Type, asked bool, payload []byte) reply {
	began, tally := time.Now(), b.g.tally
	a := b.g.answerFor(t)
	switch {
	case a == nil && asked:
		tally.reply(time.Since(began), replied)
		return reply{status: longwire.StatusOK}
	case a == nil, a.Match == config.MatchNone, a.Match == config.MatchKey && !asked, a.Match == config.MatchType && isAnswer(payload):
		tally.heard.Add(1) // the gateway's answer to a message that waits for none, or what it pushes
		return reply{silent: true}
	}
	if a.Delay > 0 && !sleep(ctx, b.around(a.Delay, a.Jitter)) {
		return reply{silent: true}
	}
	switch dice := b.random() * 100; {
	case dice < float64(a.Silent):
		tally.reply(time.Since(began), leftSilent)
		return reply{silent: true}
	case dice < float64(a.Silent+a.Errors):
		tally.reply(time.Since(began), repliedError)
		return reply{status: longwire.StatusInternal}
	}
	b.mu.Lock()
	b.count++
	count := b.count
	b.mu.Unlock()
	data, err := a.data.make(b.say(count, payload))
	if err != nil {
		tally.failed("answer_template")
		return reply{status: longwire.StatusInternal}
	}
	tally.reply(time.Since(began), replied)
	return reply{status: a.Status, data: data, raw: a.Match == config.MatchType && !asked}
}

// answerFor returns how questions of a type are answered, nil where nothing is said.
func (g *group) answerFor(t longwire.Type) *answer {
	for i := range g.answers {
		if a := &g.answers[i]; a.ForType(t) {
			return a
		}
	}
	return nil
}

// isAnswer reports whether data is an envelope with a status. If a board answered that as a
// question, and the gateway the answer, they would do so for ever.
func isAnswer(data []byte) bool {
	var e struct {
		Status string `json:"status"`
	}
	return json.Unmarshal(data, &e) == nil && e.Status != ""
}

// value returns data for an envelope: JSON as it is, other text as a string.
func value(data []byte) any {
	switch {
	case len(data) == 0:
		return nil
	case json.Valid(data):
		return json.RawMessage(data)
	}
	return string(data)
}

// sleep waits, and reports whether that was the whole time.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
