package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/doctor"
	"github.com/longwire/longwire/internal/show"
)

func newDoctor() *cobra.Command {
	var file string
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Look at this machine and a configuration, and say what to change",
		Long: `Doctor looks at what would keep "longwire serve" from holding its boards here: how
many files may be open, the queue of connections, ports, the table of a firewall,
memory, the clock, the disk and how fast it is, ports that are taken, certificates
that end, and files that others may read. It says what it found, what that means, and
what to change. It only looks: it changes nothing and leaves nothing behind.

Run it as the user and with the limits that serve has. The configuration is that of
serve with the same --config, environment and directory.

With --json each line is one check, with check, status (ok, note, warning or
problem), found, means and change.

The exit status is 0 when there is no problem, whatever the warnings, 1 when there is
one, and 2 when serve would not take the configuration.`,
		Example: `  longwire doctor
  longwire doctor --config /etc/longwire/longwire.yaml`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := config.Load(file, config.Environment(os.Environ())...)
			if _, ok := errors.AsType[config.Problems](err); ok {
				return usagef("%s", firstProblem(err))
			}
			if err != nil {
				return err
			}
			found := doctor.Look(cmd.Context(), doctor.This(), c, file)
			if asJSON {
				err = printFindingsJSON(cmd.OutOrStdout(), found)
			} else {
				err = printFindings(cmd.OutOrStdout(), found)
			}
			if n := countOf(found, doctor.Problem); err == nil && n > 0 {
				return fmt.Errorf("%s", number(n, "problem"))
			}
			return err
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "`file` with the configuration; without it there are defaults and the environment")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each check as a line of JSON")
	fallBack(cmd, "config")
	return cmd
}

func printFindingsJSON(w io.Writer, found []doctor.Finding) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	for _, f := range found {
		if err := e.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// printFindings prints a line for each check, under it what it means and what to change,
// and at last how much there is of what.
func printFindings(w io.Writer, found []doctor.Finding) error {
	column := 0
	for _, f := range found {
		column = max(column, len(f.Check)+2)
	}
	indent := strings.Repeat(" ", len("warning  ")+column)
	var text []byte
	for _, f := range found {
		text = fmt.Appendf(text, "%-7s  %-*s%s\n", f.Status, column, f.Check, show.Printable(f.Found))
		if f.Status == doctor.OK {
			continue // there is nothing to do about it
		}
		if f.Means != "" {
			text = fmt.Appendf(text, "%smeans: %s\n", indent, show.Printable(f.Means))
		}
		if f.Change != "" {
			text = fmt.Appendf(text, "%schange: %s\n", indent, show.Printable(f.Change))
		}
	}
	text = fmt.Appendf(text, "%s, %s, %s\n", number(countOf(found, doctor.Problem), "problem"),
		number(countOf(found, doctor.Warning), "warning"), number(countOf(found, doctor.Note), "note"))
	return write(w, text)
}

func countOf(found []doctor.Finding, s doctor.Status) (n int) {
	for _, f := range found {
		if f.Status == s {
			n++
		}
	}
	return n
}
