package top

import (
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
	before  map[string]gateway.Device
	totals  rate // of all
	busy    bool // a look is under way
	problem error
	fatal   error

	sort   int
	search string
	typing bool // into search
	cursor [3]int
	top    [3]int // the first line that is shown

	closes []closed // the latest first
	tally  map[string]int

	board      string // that is looked at
	frames     []gateway.Frame
	held       []gateway.Frame // have come while it was paused
	paused     bool
	hex        bool
	cancel     context.CancelFunc
	traceError error
	stream     chan tea.Msg

	asking string // before something is done
	action func(context.Context) error
	notice string
}

type rate struct{ in, out, bytes float64 }

func newModel(ctx context.Context, c Config) *model {
	return &model{conf: c, ctx: ctx, sort: max(slices.Index(Sorts, c.Sort), 0), search: c.Search, tally: make(map[string]int), rates: make(map[string]rate), width: 80, height: 24}
}

// first looks at once.
func (m *model) first(ctx context.Context) error {
	l := load(ctx, m.conf.Client, m.window())
	if l.err == nil {
		m.take(l)
	}
	return l.err
}

// rows is how many lines a list has.
func (m *model) rows() int { return max(m.height-6, 1) }

func (m *model) window() window {
	return window{page: m.page, sort: Sorts[m.sort], search: m.search, offset: m.top[boardsPage], limit: min(max(m.rows(), 20), 500)}
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
	w := m.window()
	return func() tea.Msg {
		ctx, cancel := context.WithTimeout(m.ctx, 10*time.Second)
		defer cancel()
		return load(ctx, m.conf.Client, w)
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
			m.notice = msg.err.Error()
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
	if seconds := l.at.Sub(m.now.at).Seconds(); !m.now.at.IsZero() && seconds > 0.2 {
		sum := func(s *stats) (in, out int64) {
			for _, l := range s.Listeners {
				in, out = in+l.FramesIn, out+l.FramesOut
			}
			return in, out
		}
		in, out := sum(&l.stats)
		wasIn, wasOut := sum(&m.now.stats)
		m.totals = rate{in: float64(max(in-wasIn, 0)) / seconds, out: float64(max(out-wasOut, 0)) / seconds}
		rates := make(map[string]rate)
		for _, d := range l.boards {
			if was, ok := m.before[d.ID]; ok {
				rates[d.ID] = rate{
					in: float64(d.FramesIn-was.FramesIn) / seconds, out: float64(d.FramesOut-was.FramesOut) / seconds,
					bytes: float64(d.BytesIn+d.BytesOut-was.BytesIn-was.BytesOut) / seconds,
				}
			}
		}
		m.rates = rates
	}
	if l.window.page == boardsPage {
		m.before = make(map[string]gateway.Device)
		for _, d := range l.boards {
			m.before[d.ID] = d
		}
	} else {
		l.boards, l.offset, l.total = m.now.boards, m.now.offset, m.now.total
		if l.window.page != commandsPage {
			l.commands = m.now.commands
		}
	}
	m.now = l
	m.keep()
}

// size is how many lines the list of a page has.
func (m *model) size() int {
	switch m.page {
	case boardsPage:
		return m.now.total
	case commandsPage:
		return len(m.now.commands)
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
	at := m.cursor[min(m.page, closesPage)]
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

// trace takes a frame, and waits for the next.
func (m *model) trace(t traced) tea.Cmd {
	stream := m.stream
	if t.id != m.board || stream == nil {
		return nil
	}
	if m.traceError = t.err; t.err != nil {
		return nil
	}
	if m.paused {
		m.held = append(m.held, t.frame)
		m.held = m.held[max(len(m.held)-maxFrames, 0):]
	} else {
		m.show(t.frame)
	}
	return next(stream)
}

func (m *model) show(frames ...gateway.Frame) {
	m.frames = append(m.frames, frames...)
	m.frames = m.frames[max(len(m.frames)-maxFrames, 0):]
}

func next(stream chan tea.Msg) tea.Cmd { return func() tea.Msg { return <-stream } }

// startTrace looks at a board.
func (m *model) startTrace(id string) tea.Cmd {
	m.stopTrace()
	ctx, cancel := context.WithCancel(m.ctx)
	stream := make(chan tea.Msg)
	m.board, m.page, m.frames, m.held, m.paused, m.cancel, m.stream, m.traceError = id, tracePage, nil, nil, false, cancel, stream, nil
	go func() {
		defer close(stream)
		followTrace(ctx, m.conf.Client, id, func(msg tea.Msg) {
			select {
			case stream <- msg:
			case <-ctx.Done():
			}
		})
	}()
	return next(stream)
}

func (m *model) stopTrace() {
	if m.cancel != nil {
		m.cancel()
		for range m.stream { // until it is over
		}
		m.cancel, m.stream = nil, nil
	}
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
