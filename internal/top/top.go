// Package top is a view of a running gateway in a terminal: who is there and how busy, which
// commands wait, whose connections have ended and why, and what one board says.
//
// It asks the API like any other program, and is the one importer of the terminal library.
package top

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"
	"github.com/charmbracelet/x/term"

	"github.com/longwire/longwire/internal/client"
)

// A Config says what is looked at, and how.
type Config struct {
	Client   *client.Client
	Address  string        // of the gateway, for people
	Interval time.Duration // between two looks; zero means 2 s
	Sort     string        // a column of [Sorts]; "" means the first
	Search   string        // only boards that mention it
	Page     string        // one of [Pages] that it begins with; "" means the first

	In  *os.File
	Out *os.File
}

// Pages are the lists that there are.
var Pages = []string{"boards", "commands", "closes", "latency"}

// Sorts are the columns that boards can be sorted by.
var Sorts = []string{"frames_in", "frames_out", "bytes_in", "bytes_out", "last_seen", "id"}

const rates = 4 // the first of them are numbers that grow, of which there are rates

// IsTerminal reports whether somebody can be shown something at both ends. A terminal that is dumb, or
// that nobody has said the kind of, shows what moves the cursor as text.
func (c *Config) IsTerminal() bool {
	kind := os.Getenv("TERM")
	return term.IsTerminal(c.In.Fd()) && term.IsTerminal(c.Out.Fd()) && (runtime.GOOS == "windows" || kind != "" && kind != "dumb")
}

func (c *Config) setDefaults() {
	if c.Interval == 0 {
		c.Interval = 2 * time.Second
	}
	if c.Sort == "" {
		c.Sort = Sorts[0]
	}
}

// Run shows the view until somebody leaves it or ctx ends. The terminal is as it was when it returns.
// An error is that of the first look, or says that the gateway does not want to be asked any more.
func Run(ctx context.Context, c Config) error {
	c.setDefaults()
	m := newModel(ctx, c)
	if err := m.first(ctx); err != nil {
		return err
	}
	p := tea.NewProgram(m, tea.WithInput(c.In), tea.WithOutput(c.Out), tea.WithoutSignalHandler())
	defer context.AfterFunc(ctx, p.Quit)() // a signal is a way to leave
	ctx, cancel := context.WithCancel(ctx)
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		followCloses(ctx, c.Client, p.Send)
	}()
	end, err := p.Run()
	cancel()
	<-followed
	m.stopTrace()
	if last, ok := end.(*model); ok && last.fatal != nil {
		return last.fatal
	}
	return err
}

// Once writes what the view begins with, after two looks, as plain text of 80 columns and 24 lines.
func Once(ctx context.Context, c Config, w io.Writer) error {
	c.setDefaults()
	c.Interval = min(c.Interval, time.Second) // nobody waits for longer for one screen
	m := newModel(ctx, c)
	m.width, m.height, m.plain = 80, 24, true
	if err := m.first(ctx); err != nil {
		return err
	}
	// Meanwhile the connections are told of that have ended.
	meanwhile, cancel := context.WithTimeout(ctx, c.Interval)
	defer cancel()
	followCloses(meanwhile, c.Client, func(msg tea.Msg) { m.Update(msg) })
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := m.first(ctx); err != nil {
		return err
	}
	for line := range strings.Lines(ansi.Strip(m.screen())) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}
