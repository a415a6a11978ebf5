package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/longwire/longwire/internal/config"
)

// The values of flags are read as those of the configuration.
type (
	size     = config.Size
	duration = config.Duration
	count    = config.Count
)

const (
	kib = config.KiB
	mib = config.MiB
	day = config.Day
)

// A word is a flag's choice of one of a few words.
type word struct {
	chosen  string
	choices []string
}

func (w *word) Set(text string) error {
	for _, c := range w.choices {
		if strings.EqualFold(c, text) {
			w.chosen = c
			return nil
		}
	}
	last := len(w.choices) - 1
	return fmt.Errorf("%q is neither %s nor %s", text, strings.Join(w.choices[:last], ", "), w.choices[last])
}

func (w *word) String() string { return w.chosen }
func (w *word) Type() string   { return "word" }

// A column is a flag's choice of what is ordered by, from the largest to the smallest with - before it.
type column struct{ word }

func (c *column) Set(text string) error {
	name, descending := strings.CutPrefix(text, "-")
	if err := c.word.Set(name); err != nil {
		return err
	}
	if descending {
		c.chosen = "-" + c.chosen
	}
	return nil
}

func (c *column) Type() string { return "column" }

// A moment is a flag's time: one like 2026-11-22T15:36:09Z, or how long ago it was.
type moment struct{ time.Time }

func (m *moment) Set(text string) error {
	var ago duration
	if ago.Set(text) == nil {
		m.Time = time.Now().Add(-time.Duration(ago))
		return nil
	}
	at, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return fmt.Errorf("%.64q is no time; write one like 2026-11-22T15:36:09Z, or how long ago it was, like 30s, 5m, 12h or 28d", text)
	}
	m.Time = at
	return nil
}

func (m *moment) String() string {
	if m.IsZero() {
		return ""
	}
	return m.Format(time.RFC3339)
}

func (m *moment) Type() string { return "time" }

// completeWord lets the shell complete a flag's word.
func completeWord(cmd *cobra.Command, name string, w word) {
	if err := cmd.RegisterFlagCompletionFunc(name, cobra.FixedCompletions(w.choices, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not defined
	}
}

// valueProblem says why a flag does not take a value.
func valueProblem(f *pflag.Flag, value string, err error) string {
	if f.Value.Type() == "bool" {
		return fmt.Sprintf("%q is neither true nor false", value)
	}
	return err.Error()
}
