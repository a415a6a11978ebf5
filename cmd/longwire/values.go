package main

import (
	"fmt"
	"strings"

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
