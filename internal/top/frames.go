package top

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"github.com/longwire/longwire/internal/gateway"
)

// trace takes a frame, and waits for the next.
func (m *model) trace(t traced) tea.Cmd {
	stream := m.stream
	if t.id != m.board || stream == nil {
		return nil
	}
	if m.traceError, m.traceOpen = t.err, t.open; t.err != nil {
		return nil
	}
	switch {
	case t.frame == nil:
	case m.paused:
		m.held = append(m.held, m.answering(*t.frame))
		m.held = m.held[max(len(m.held)-maxFrames, 0):]
	default:
		m.show(m.answering(*t.frame))
	}
	return next(stream)
}

// A shown frame is one with how long after its question it went, 0 when it is no answer.
type shown struct {
	gateway.Frame
	took time.Duration
}

// answering finds out how long after its question a frame went. What is not answered is forgotten in
// the end.
func (m *model) answering(f gateway.Frame) shown {
	var e struct {
		Key string `json:"call_back_key"`
	}
	if json.Unmarshal(f.Data, &e) != nil || e.Key == "" {
		return shown{Frame: f}
	}
	other := gateway.In
	if f.Direction == gateway.In {
		other = gateway.Out
	}
	if at, ok := m.questions[string(other)+e.Key]; ok {
		delete(m.questions, string(other)+e.Key)
		return shown{f, f.At.Sub(at)}
	}
	if len(m.questions) >= maxFrames {
		clear(m.questions)
	}
	m.questions[string(f.Direction)+e.Key] = f.At
	return shown{Frame: f}
}

func (m *model) show(frames ...shown) {
	m.frames = append(m.frames, frames...)
	m.frames = m.frames[max(len(m.frames)-maxFrames, 0):]
}

func next(stream chan tea.Msg) tea.Cmd { return func() tea.Msg { return <-stream } }

// startTrace looks at a board.
func (m *model) startTrace(id string) tea.Cmd {
	m.stopTrace()
	ctx, cancel := context.WithCancel(m.ctx)
	stream := make(chan tea.Msg)
	m.questions = make(map[string]time.Time)
	m.board, m.page, m.frames, m.held, m.paused, m.cancel, m.stream = id, tracePage, nil, nil, false, cancel, stream
	m.traceError, m.traceOpen = nil, false
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

// traceLines shows the frames of a board, the latest last.
func (m *model) traceLines(height int) []string {
	head := style(bold, clean(m.board))
	switch {
	case m.traceError != nil:
		head += "  " + style(red, clean(why(m.traceError)))
	case !m.traceOpen:
		head += "  connecting"
	case m.paused:
		head += fmt.Sprintf("  paused, %d more", len(m.held))
	}
	lines := []string{head}
	if len(m.frames) == 0 && m.traceOpen && m.traceError == nil {
		return append(lines, "", "  no frame yet; they are shown as they go")
	}
	var rows []string
	for i := len(m.frames) - 1; i >= 0 && len(rows) < height-1; i-- {
		rows = append(m.frameLines(&m.frames[i]), rows...)
	}
	return append(lines, rows[max(len(rows)-height+1, 0):]...)
}

// frameLines shows a frame: what its envelope is about on one line, or all of its data on as many as
// that takes.
func (m *model) frameLines(f *shown) []string {
	way := "<- in "
	if f.Direction == gateway.Out {
		way = "-> out"
	}
	took := ""
	if f.took > 0 {
		took = latency(f.took.Seconds())
	}
	head := fmt.Sprintf("%s %s %-12s %6d B %7s ", f.At.Local().Format("15:04:05.000"), way, ansi.Truncate(clean(cmp.Or(f.TypeName, f.Type.String())), 12, "…"), f.Size, took)
	room := m.width - ansi.StringWidth(head)
	if !m.wrap || room < 8 {
		return []string{head + m.dataOf(f, true)}
	}
	lines := strings.Split(ansi.Hardwrap(m.dataOf(f, false), room, true), "\n")
	for i := range lines {
		if i > 0 {
			head = strings.Repeat(" ", ansi.StringWidth(head))
		}
		lines[i] = head + lines[i]
	}
	return lines
}

// dataOf writes the data of a frame, of an envelope in brief the status and what is inside.
func (m *model) dataOf(f *shown, brief bool) string {
	var e struct {
		Key    *string `json:"call_back_key"`
		Status string
		Data   json.RawMessage
	}
	text := clean(string(f.Data))
	switch {
	case m.hex || !utf8.Valid(f.Data):
		text = fmt.Sprintf("% x", f.Data)
	case brief && json.Unmarshal(f.Data, &e) == nil && e.Key != nil:
		text = strings.TrimSpace(clean(e.Status + " " + string(e.Data)))
	}
	if more := f.Size - len(f.Data); more > 0 {
		text += fmt.Sprintf(" and %d bytes more", more)
	}
	return text
}
