package top

import (
	"context"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// key does what a key is for.
func (m *model) key(msg tea.KeyPressMsg) tea.Cmd {
	k := msg.String()
	if k == "ctrl+c" {
		return tea.Quit
	}
	m.notice = ""
	switch {
	case m.asking != "":
		if k == "y" || k == "enter" {
			return m.act()
		}
		m.asking, m.action = "", nil
		return nil
	case m.typing:
		return m.typed(msg)
	case m.help:
		m.help = false
		return nil
	}
	switch k {
	case "q":
		return tea.Quit
	case "?", "h":
		m.help = true
	case "1", "2", "3", "4":
		return m.open(int(k[0] - '1'))
	case "tab", "right":
		return m.open((min(m.page, latencyPage) + 1) % tracePage)
	case "shift+tab", "left":
		return m.open((min(m.page, latencyPage) + latencyPage) % tracePage)
	case "esc", "backspace":
		if m.page != boardsPage {
			return m.open(boardsPage)
		}
		return m.find("")
	case "/":
		m.page, m.typing = boardsPage, true
		m.stopTrace()
	case "x":
		if id := m.chosen(); id != "" {
			m.confirm("end the connection of "+clean(id), func(ctx context.Context) error { return m.conf.Client.Kick(ctx, id) })
		}
	}
	if m.page == tracePage {
		m.traceKey(k)
		return nil
	}
	return m.listKey(k)
}

// open shows a page.
func (m *model) open(page int) tea.Cmd {
	m.stopTrace()
	m.page = page
	m.keep()
	return m.look()
}

// find looks for boards that mention a text.
func (m *model) find(text string) tea.Cmd {
	m.search, m.cursor[boardsPage], m.top[boardsPage] = text, 0, 0
	return m.look()
}

// typed takes a key for the text that is looked for.
func (m *model) typed(msg tea.KeyPressMsg) tea.Cmd {
	switch k := msg.String(); k {
	case "enter":
		m.typing = false
		return nil
	case "esc":
		m.typing = false
		return m.find("")
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.search)
		return m.find(m.search[:len(m.search)-n])
	}
	if text := msg.Key().Text; text != "" && len(m.search)+len(text) <= 128 {
		return m.find(m.search + text)
	}
	return nil
}

func (m *model) traceKey(k string) {
	switch k {
	case "p", "space":
		if m.paused {
			m.show(m.held...)
			m.held = nil
		}
		m.paused = !m.paused
	case "d":
		m.hex = !m.hex
	case "w":
		m.wrap = !m.wrap
	}
}

func (m *model) listKey(k string) tea.Cmd {
	c := &m.cursor[m.page]
	switch k {
	case "up", "k":
		*c--
	case "down", "j":
		*c++
	case "pgup":
		*c -= m.rows()
	case "pgdown":
		*c += m.rows()
	case "home", "g":
		*c = 0
	case "end", "G":
		*c = m.size() - 1
	case "enter":
		if id := m.chosen(); id != "" {
			return m.startTrace(id)
		}
	case "s":
		if m.page == boardsPage {
			m.sort = (m.sort + 1) % len(Sorts)
			return m.find(m.search)
		}
	case "c", "r":
		m.commandKey(k)
	}
	m.keep()
	if m.page == boardsPage && m.window() != m.now.window {
		return m.look()
	}
	return nil
}

// commandKey calls a command back, or has it wait again.
func (m *model) commandKey(k string) {
	if m.page != commandsPage || m.cursor[commandsPage] >= len(m.now.commands) {
		return
	}
	c := m.now.commands[m.cursor[commandsPage]]
	switch {
	case k == "c" && !c.State.Ended():
		m.confirm("call command "+clean(c.ID)+" back", func(ctx context.Context) error {
			_, err := m.conf.Client.CancelCommand(ctx, c.Device, c.ID)
			return err
		})
	case k == "r" && c.State.Ended():
		m.confirm("retry command "+clean(c.ID), func(ctx context.Context) error {
			_, err := m.conf.Client.RetryCommand(ctx, c.Device, c.ID)
			return err
		})
	default:
		m.notice = "this is not for a command that is " + string(c.State)
	}
}
