package top

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"
	"unicode"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
)

// Styles, which terminals of all kinds have.
const (
	plain   = "\x1b[0m"
	bold    = "\x1b[1m"
	faint   = "\x1b[2m"
	reverse = "\x1b[7m"
	red     = "\x1b[31m"
	green   = "\x1b[32m"
)

func style(how, text string) string { return how + text + plain }

func (m *model) View() tea.View {
	v := tea.NewView(m.screen())
	v.AltScreen = true
	v.WindowTitle = "longwire top"
	return v
}

// screen returns all lines, as many and as wide as the terminal has.
func (m *model) screen() string {
	lines := m.header()
	body := max(m.height-len(lines)-1, 0)
	var list []string
	switch {
	case m.help:
		list = strings.Split(helpText, "\n")
	case m.page == boardsPage:
		list = m.boardLines()
	case m.page == commandsPage:
		list = m.commandLines()
	case m.page == closesPage:
		list = m.closeLines()
	case m.page == latencyPage:
		list = m.latencyLines()
	default:
		list = m.traceLines(body)
	}
	for i := range body {
		if i < len(list) {
			lines = append(lines, list[i])
		} else {
			lines = append(lines, "")
		}
	}
	lines = append(lines, m.footer())
	for i := range lines {
		lines[i] = ansi.Truncate(lines[i], m.width, "…") + plain
	}
	return strings.Join(lines[max(len(lines)-m.height, 0):], "\n")
}

const helpText = `
  1 2 3 4, tab   boards, commands, closes, latency
  up down j k    choose; page up and down, home and end
  enter          what the board says and is told, as it goes; esc goes back
  /              only boards with this text in id, address, group or attributes
  s              sort by the next column
  x              end the connection of the board
  c r            commands: call back, retry
  space d w      frames: pause, hexadecimal, all of the data on several lines
  q              leave

  What is shown per second is from one look to the next. Up to 1,000 boards are
  sorted by that; more by what they have sent or been sent in all, and then only
  those on the screen are asked for.`

func (m *model) header() []string {
	s := &m.now.stats
	state := style(green, "connected") + "  "
	if m.problem != nil {
		state = style(red, "away for "+age(m.now.at)+", trying again") + "  "
	}
	if m.plain {
		state = ""
	}
	lines := []string{style(bold, "longwire top") + "  " + state + clean(m.conf.Address)}
	asks := ""
	if n := len(m.samples); n > 0 {
		last, every := m.samples[n-1], m.every()
		asks = fmt.Sprintf("  asks %s/s", short(float64(last.Asks)/every.Seconds()))
		if last.Asks > 0 {
			asks += fmt.Sprintf(" p50 %s p99 %s", latency(last.AskP50), latency(last.AskP99))
		}
	}
	lines = append(lines, fmt.Sprintf("boards %d of %d online  frames %s/s in %s/s out%s", s.Devices.Online, s.Devices.Known, short(m.totals.in), short(m.totals.out), asks))
	third := fmt.Sprintf("up %s  memory %s", age(s.StartedAt), size(float64(s.Memory.Used)))
	if s.Memory.Limit > 0 {
		third += " of " + size(float64(s.Memory.Limit))
	}
	if s.Commands != nil {
		third += fmt.Sprintf("  commands %d waiting, %d dead", s.Commands.Waiting, s.Commands.Ended["dead"])
	}
	if s.Store != nil {
		third += "  disk " + size(float64(s.Store.Bytes))
		if s.Store.Error != "" {
			third = style(red, "nothing can be kept: "+clean(s.Store.Error))
		}
	}
	lines = append(lines, third)
	var tabs []string
	for i, name := range []string{"1 Boards", "2 Commands", "3 Closes", "4 Latency"} {
		if i == m.page || m.page == tracePage && i == boardsPage {
			name = style(bold, "["+name+"]")
		} else {
			name = " " + name + " "
		}
		tabs = append(tabs, name)
	}
	tab := strings.Join(tabs, " ")
	if m.page == boardsPage {
		tab += "  by " + Sorts[m.sort]
		switch {
		case m.sort >= rates:
		case m.now.total > rankable:
			tab += " in all"
		default:
			tab += "/s"
		}
		if m.search != "" || m.typing {
			tab += "  /" + clean(m.search)
		}
		if m.typing {
			tab += "_"
		}
	}
	return append(lines, tab)
}

func (m *model) footer() string {
	switch {
	case m.plain:
		return ""
	case m.asking != "":
		return style(reverse, " "+m.asking+"? y or n ")
	case m.notice != "":
		return clean(m.notice)
	case m.problem != nil:
		return style(red, clean(why(m.problem)))
	case m.page == tracePage:
		return style(faint, "space pause  d hex  w wrap  x kick  esc back  ? help  q leave")
	case m.page == commandsPage:
		return style(faint, "enter frames  c call back  r retry  tab next page  ? help  q leave")
	}
	return style(faint, "enter frames  / find  s sort  x kick  tab next page  ? help  q leave")
}

// A cell is a column of a list.
type cell struct {
	title string
	width int // negative for numbers, which stand on the right
}

// row makes texts into a line.
func row(cells []cell, texts ...string) string {
	var b strings.Builder
	for i, c := range cells {
		w := max(c.width, -c.width)
		text := ansi.Truncate(texts[i], w, "…")
		space := strings.Repeat(" ", max(w-ansi.StringWidth(text), 0))
		if c.width < 0 {
			text = space + text
		} else {
			text += space
		}
		if b.WriteString(text); i < len(cells)-1 {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// list returns a list with its head, whose last column takes what is left of the width.
func (m *model) list(cells []cell, n, from int, texts func(i int) []string, none string) []string {
	used := 0
	for _, c := range cells {
		used += max(c.width, -c.width) + 1
	}
	titles := make([]string, len(cells))
	for i := range cells {
		titles[i] = cells[i].title
	}
	cells[len(cells)-1].width += max(m.width-used, 0)
	lines := []string{style(reverse, row(cells, titles...))}
	if n == 0 {
		return append(lines, "", "  "+none)
	}
	for i := from; i < min(n, from+m.rows()); i++ {
		t := texts(i)
		if t == nil {
			lines = append(lines, "…")
			continue
		}
		line := row(cells, t...)
		if i == m.cursor[m.page] && !m.plain {
			line = style(bold, "") + "\x1b[7m" + ansi.Strip(line)
		}
		lines = append(lines, line)
	}
	return lines
}

func (m *model) boardLines() []string {
	id := max(min(m.width-58, 40), 14)
	cells := []cell{{"BOARD", id}, {"STATE", 8}, {"IN/s", -6}, {"OUT/s", -6}, {"BYTES/s", -8}, {"SEEN", -4}, {"ADDRESS", 10}}
	none := "no board has connected yet"
	if m.search != "" {
		none = "no board mentions that"
	}
	return m.list(cells, m.now.total, m.top[boardsPage], func(i int) []string {
		if i < m.now.offset || i >= m.now.offset+len(m.now.boards) {
			return nil
		}
		d := &m.now.boards[i-m.now.offset]
		state := "away"
		if d.Online {
			state = "online"
		}
		in, out, bytes := "-", "-", "-"
		if r, ok := m.rates[d.ID]; ok {
			in, out, bytes = short(r.in), short(r.out), size(r.bytesIn+r.bytesOut)
		}
		return []string{clean(d.ID), state, in, out, bytes, age(d.LastSeen), clean(d.RemoteAddr)}
	}, none)
}

func (m *model) commandLines() []string {
	none := "no command waits, and none has failed"
	if m.now.stats.Commands == nil {
		none = "this gateway keeps nothing"
	}
	cells := []cell{{"BOARD", 18}, {"STATE", 9}, {"TYPE", 7}, {"AGE", -4}, {"TRIES", -5}, {"ABOUT", 10}}
	return m.list(cells, len(m.now.commands), m.top[commandsPage], func(i int) []string {
		c := &m.now.commands[i]
		about := cmp.Or(c.Error, string(c.Data))
		if c.Raw != nil && c.Error == "" {
			about = hex.EncodeToString(c.Raw)
		}
		return []string{clean(c.Device), string(c.State), c.Type.String(), age(c.CreatedAt), fmt.Sprintf("%d/%d", c.Attempts, c.MaxAttempts), clean(about)}
	}, none)
}

func (m *model) closeLines() []string {
	cells := []cell{{"AT", 8}, {"BOARD", 20}, {"REASON", 16}, {"LISTENER", 10}, {"ADDRESS", 10}}
	lines := m.list(cells, len(m.closes), m.top[closesPage], func(i int) []string {
		e := &m.closes[i]
		return []string{e.At.Local().Format("15:04:05"), clean(e.Device), clean(e.Reason), clean(e.Listener), clean(e.RemoteAddr)}
	}, "no connection has ended in the last hour")
	if len(m.tally) > 0 && len(lines) > 0 {
		var sums []string
		for _, reason := range slices.SortedFunc(maps.Keys(m.tally), func(a, b string) int { return cmp.Or(m.tally[b]-m.tally[a], strings.Compare(a, b)) }) {
			sums = append(sums, fmt.Sprintf("%s %d", clean(reason), m.tally[reason]))
		}
		last := min(len(lines), m.rows())
		lines = append(lines[:last], style(faint, strings.Join(sums, "  ")))
	}
	return lines
}

// every is how long a sample is of.
func (m *model) every() time.Duration {
	every, err := time.ParseDuration(m.now.stats.Interval)
	if err != nil || every <= 0 {
		return 10 * time.Second
	}
	return every
}

// latencyLines shows the last hour: how long answers took, and what else happened meanwhile.
func (m *model) latencyLines() []string {
	cells := []cell{{"UNTIL", 8}, {"ASKS", -7}, {"FAILED", -7}, {"P50", -8}, {"P99", -8}, {"IN/s", -6}, {"OUT/s", -6}, {"CLOSED", -6}, {" P99", 4}}
	slowest, every := 0.0, m.every().Seconds()
	for i := range m.samples {
		slowest = max(slowest, m.samples[i].AskP99)
	}
	return m.list(cells, len(m.samples), m.top[latencyPage], func(i int) []string {
		s := &m.samples[len(m.samples)-1-i]
		p50, p99, bar := "-", "-", ""
		if s.AskP99 > 0 {
			p50, p99 = latency(s.AskP50), latency(s.AskP99)
			bar = " " + strings.Repeat("#", int(math.Ceil(s.AskP99/slowest*float64(cells[len(cells)-1].width-1))))
		}
		var closed int64
		for _, n := range s.Closed {
			closed += n
		}
		return []string{s.At.Local().Format("15:04:05"), fmt.Sprint(s.Asks), fmt.Sprint(s.AsksFailed), p50, p99, short(float64(s.FramesIn) / every), short(float64(s.FramesOut) / every), fmt.Sprint(closed), bar}
	}, "the first sample comes when the gateway has run for "+m.every().String())
}

// clean replaces what would move the cursor, turn text around or not be seen, and what terminals do
// not agree about how wide it makes the picture before it: what boards say is text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) || unicode.In(r, unicode.Variation_Selector, unicode.Regional_Indicator) || r >= 0x1F3FB && r <= 0x1F3FF {
			return '·'
		}
		return r
	}, text)
}

func age(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := max(time.Since(t), 0); {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

// short writes a number in five characters at most.
func short(n float64) string {
	switch {
	case n == 0:
		return "0"
	case n < 10:
		return fmt.Sprintf("%.1f", n)
	case n < 10_000:
		return fmt.Sprintf("%.0f", n)
	case n < 1e6:
		return fmt.Sprintf("%.0fk", n/1e3)
	}
	return fmt.Sprintf("%.1fM", n/1e6)
}

func size(n float64) string {
	switch {
	case n < 1024:
		return fmt.Sprintf("%.0f B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", n/1024)
	case n < 1<<30:
		return fmt.Sprintf("%.0f MiB", n/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", n/(1<<30))
}

func latency(seconds float64) string {
	d := time.Duration(seconds * float64(time.Second))
	switch {
	case d < time.Millisecond:
		return d.Round(10 * time.Microsecond).String()
	case d < 100*time.Millisecond:
		return d.Round(100 * time.Microsecond).String()
	case d < time.Second:
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
