package top

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/longwire/longwire/internal/gateway"
)

const (
	boardsPage = iota
	commandsPage
	closesPage
	latencyPage
	tracePage
)

const (
	maxCloses = 500
	maxFrames = 500
)

// A model is all that is shown, and changes by messages alone.
type model struct {
	conf   Config
	ctx    context.Context // ends what is asked
	plain  bool            // without keys
	width  int
	height int

	page    int
	help    bool
	now     look
	rates   map[string]rate // of boards that were seen in two looks
	before  map[string]counted
	base    look // that the rates of all are from
	totals  rate // of all
	busy    bool // a look is under way
	problem error
	fatal   error

	sort   int
	search string
	typing bool // into search
	cursor [tracePage]int
	top    [tracePage]int // the first line that is shown

	samples []sample // of the last hour, the latest last

	closes []closed // the latest first
	tally  map[string]int

	board      string // that is looked at
	frames     []shown
	held       []shown // have come while it was paused
	questions  map[string]time.Time
	paused     bool
	hex        bool
	wrap       bool
	cancel     context.CancelFunc
	traceError error
	traceOpen  bool // each frame of the board is shown from now on
	stream     chan tea.Msg

	asking string // before something is done
	action func(context.Context) error
	notice string
}

// counted is what has been counted of a board at one moment.
type counted struct {
	at time.Time
	gateway.Device
}

type rate struct{ in, out, bytesIn, bytesOut float64 }

func newModel(ctx context.Context, c Config) *model {
	return &model{conf: c, ctx: ctx, page: max(slices.Index(Pages, c.Page), 0), sort: max(slices.Index(Sorts, c.Sort), 0), search: c.Search, tally: make(map[string]int), rates: make(map[string]rate), width: 80, height: 24}
}

// first looks at once.
func (m *model) first(ctx context.Context) error {
	l := load(ctx, m.conf.Client, m.window(), m.since())
	if l.err == nil {
		m.take(l)
	}
	return l.err
}

// rows is how many lines a list has.
func (m *model) rows() int { return max(m.height-6, 1) }

// since is the time of the newest sample that is known.
func (m *model) since() (t time.Time) {
	if n := len(m.samples); n > 0 {
		t = m.samples[n-1].At
	}
	return t
}

// window says what to ask for: all boards, or those on the screen where there are too many.
func (m *model) window() window {
	w := window{page: m.page, sort: Sorts[m.sort], search: m.search, limit: rankable}
	if m.now.total > rankable {
		w.offset, w.limit = m.top[boardsPage], min(max(m.rows(), 20), 500)
	}
	return w
}

type tick struct{}

func (m *model) Init() tea.Cmd { return m.wait() }

func (m *model) wait() tea.Cmd {
	return tea.Tick(m.conf.Interval, func(time.Time) tea.Msg { return tick{} })
}

// look asks the gateway, unless that is under way.
func (m *model) look() tea.Cmd {
	if m.busy {
		return nil
	}
	m.busy = true
	w, since := m.window(), m.since()
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
		defer cancel()
		return load(ctx, m.conf.Client, w, since)
	}
}

func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		return m, m.look()
	case tick:
		return m, tea.Batch(m.look(), m.wait())
	case look:
		m.busy = false
		if isFatal(msg.err) {
			m.fatal = msg.err
			return m, tea.Quit
		}
		if m.problem = msg.err; msg.err == nil {
			m.take(msg)
		}
		if msg.window != m.window() { // somebody has gone on meanwhile
			return m, m.look()
		}
	case closed:
		m.closes = slices.Insert(m.closes, 0, msg)
		if len(m.closes) > maxCloses {
			m.closes = m.closes[:maxCloses]
		}
		m.tally[msg.Reason]++
	case traced:
		return m, m.trace(msg)
	case done:
		m.notice = msg.said
		if msg.err != nil {
			m.notice = why(msg.err)
		}
		return m, m.look()
	case tea.PasteMsg:
		if m.typing {
			return m, m.find(m.search + clean(msg.Content))
		}
	case tea.KeyPressMsg:
		return m, m.key(msg)
	}
	return m, nil
}

// take remembers what the gateway has said.
func (m *model) take(l look) {
	m.measure(&l)
	if !l.stats.StartedAt.Equal(m.now.stats.StartedAt) {
		m.samples = nil // those of another run of the gateway
	}
	m.samples = append(m.samples, l.stats.Samples...)
	m.samples = m.samples[max(len(m.samples)-maxSamples, 0):]
	chosen := m.chosen()
	if l.window.page == boardsPage {
		m.rank(l)
	} else {
		l.boards, l.offset, l.total = m.now.boards, m.now.offset, m.now.total
		if l.window.page != commandsPage {
			l.commands = m.now.commands
		}
	}
	m.now = l
	m.follow(chosen)
	m.keep()
}

// measure makes rates of what has been counted in two looks. Looks that come too soon after each other,
// because somebody has pressed a key, tell little of a rate.
func (m *model) measure(l *look) {
	least := m.conf.Interval * 8 / 10
	sum := func(s *stats) (in, out int64) {
		for _, l := range s.Listeners {
			in, out = in+l.FramesIn, out+l.FramesOut
		}
		return in, out
	}
	if seconds := l.at.Sub(m.base.at).Seconds(); l.at.Sub(m.base.at) >= least {
		in, out := sum(&l.stats)
		wasIn, wasOut := sum(&m.base.stats)
		if !m.base.at.IsZero() {
			m.totals = rate{in: float64(max(in-wasIn, 0)) / seconds, out: float64(max(out-wasOut, 0)) / seconds}
		}
		m.base = *l
	}
	if l.window.page != boardsPage {
		return
	}
	before, now := make(map[string]counted), make(map[string]rate)
	for _, d := range l.boards {
		was, ok := m.before[d.ID]
		known, hasRate := m.rates[d.ID]
		passed := l.at.Sub(was.at)
		switch seconds := passed.Seconds(); {
		case !ok || d.FramesIn < was.FramesIn || d.FramesOut < was.FramesOut: // a gateway that has begun anew counts from the start
			was = counted{l.at, d}
		case passed >= least:
			now[d.ID] = rate{
				in: float64(d.FramesIn-was.FramesIn) / seconds, out: float64(d.FramesOut-was.FramesOut) / seconds,
				bytesIn: float64(d.BytesIn-was.BytesIn) / seconds, bytesOut: float64(d.BytesOut-was.BytesOut) / seconds,
			}
			was = counted{l.at, d}
		case hasRate:
			now[d.ID] = known
		}
		before[d.ID] = was
	}
	m.before, m.rates = before, now
}

// rank orders boards by what they do now, where all of them are there. Where there is no difference
// the order stays, which is that of all they have done.
func (m *model) rank(l look) {
	if l.total > rankable {
		return
	}
	of := map[string]func(rate) float64{
		"frames_in": func(r rate) float64 { return r.in }, "frames_out": func(r rate) float64 { return r.out },
		"bytes_in": func(r rate) float64 { return r.bytesIn }, "bytes_out": func(r rate) float64 { return r.bytesOut },
	}[l.window.sort]
	if of != nil {
		slices.SortStableFunc(l.boards, func(a, b gateway.Device) int { return cmp.Compare(of(m.rates[b.ID]), of(m.rates[a.ID])) })
	}
}

// follow keeps the cursor on its board as long as that is on the screen: the order changes, and what
// somebody is about to open must not slip away.
func (m *model) follow(id string) {
	if m.page != boardsPage || id == "" {
		return
	}
	for i := range m.now.boards {
		if at := m.now.offset + i; m.now.boards[i].ID == id && at >= m.top[boardsPage] && at < m.top[boardsPage]+m.rows() {
			m.cursor[boardsPage] = at
		}
	}
}

// size is how many lines the list of a page has.
func (m *model) size() int {
	switch m.page {
	case boardsPage:
		return m.now.total
	case commandsPage:
		return len(m.now.commands)
	case latencyPage:
		return len(m.samples)
	}
	return len(m.closes)
}

// keep keeps the cursor within the list, and the list where the cursor is.
func (m *model) keep() {
	if m.page == tracePage {
		return
	}
	c, t := &m.cursor[m.page], &m.top[m.page]
	*c = max(min(*c, m.size()-1), 0)
	*t = max(min(*t, *c), *c-m.rows()+1)
}

// chosen returns the board that the cursor is on, "" when it is on none.
func (m *model) chosen() string {
	at := m.cursor[min(m.page, latencyPage)]
	switch {
	case m.page == tracePage:
		return m.board
	case m.page == boardsPage && at-m.now.offset >= 0 && at-m.now.offset < len(m.now.boards):
		return m.now.boards[at-m.now.offset].ID
	case m.page == commandsPage && at < len(m.now.commands):
		return m.now.commands[at].Device
	case m.page == closesPage && at < len(m.closes):
		return m.closes[at].Device
	}
	return ""
}

// done tells what has become of an action.
type done struct {
	said string
	err  error
}

// confirm asks before an action.
func (m *model) confirm(question string, action func(context.Context) error) {
	m.asking, m.action = question, action
}

func (m *model) act() tea.Cmd {
	said, action := m.asking, m.action
	m.asking, m.action = "", nil
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
		defer cancel()
		return done{said: fmt.Sprintf("done: %s", said), err: action(ctx)}
	}
}
