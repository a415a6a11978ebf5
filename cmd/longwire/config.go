package main

import (
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/config"
)

func newConfig() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Check and show the configuration of serve",
		Long: `Config is about the file that "longwire serve --config" reads. "longwire config
check" tells what is wrong with one, and "longwire config print" shows what is in
force: what the file says, with the environment over it and defaults under it.

"longwire config print --defaults" is a file to begin with. It has every setting,
with what it means and its default.`,
		Example: `  longwire config print --defaults > longwire.yaml
  longwire config check longwire.yaml
  longwire config print --config longwire.yaml`,
		Args: onlyCommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newConfigCheck(), newConfigPrint())
	return cmd
}

func newConfigCheck() *cobra.Command {
	return &cobra.Command{
		Use:   "check FILE",
		Short: "Tell what is wrong with a configuration",
		Long: `Check reads a configuration and the files that it names, as serve would with the
same environment and in the same directory, and tells everything that is wrong, one
line on stderr for each. Warnings are no mistakes for certain.

The exit status is 0 when serve would take the file, and 1 when it would not.`,
		Example: "  longwire config check longwire.yaml",
		Args:    arguments("FILE"),
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := loadConfig(cmd, args[0])
			if err != nil {
				return err
			}
			for _, w := range c.Warnings() {
				fmt.Fprintf(cmd.ErrOrStderr(), "warning: %v\n", w)
			}
			_, err = fmt.Fprintf(cmd.OutOrStdout(), "%s: good, %s\n", args[0], number(len(c.Listeners), "listener"))
			return err
		},
	}
}

func newConfigPrint() *cobra.Command {
	var file string
	var defaults bool
	cmd := &cobra.Command{
		Use:   "print",
		Short: "Show the configuration that is in force",
		Long: `Print shows the configuration that serve would run with in this environment, as a
file with what each setting means. What is not a default has a comment with where it
is from. Secrets are hidden.`,
		Example: `  longwire config print --config longwire.yaml
  longwire config print --defaults > longwire.yaml`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if defaults {
				return write(cmd.OutOrStdout(), config.Documented())
			}
			c, err := loadConfig(cmd, file)
			if err != nil {
				return err
			}
			return write(cmd.OutOrStdout(), c.YAML())
		},
	}
	cmd.Flags().StringVar(&file, "config", "", "`file` with the configuration; without it there are defaults and the environment")
	cmd.Flags().BoolVar(&defaults, "defaults", false, "print the defaults alone, whatever the file and the environment say")
	fallBack(cmd, "config")
	return cmd
}

func write(w io.Writer, text []byte) error {
	_, err := w.Write(text)
	return err
}

// loadConfig reads a configuration with the environment over it. It prints a line for
// everything that is wrong, and returns how much that is.
func loadConfig(cmd *cobra.Command, file string) (*config.Config, error) {
	c, err := config.Load(file, config.Environment(os.Environ())...)
	problems, ok := errors.AsType[config.Problems](err)
	if !ok {
		return c, err
	}
	for _, p := range problems {
		fmt.Fprintln(cmd.ErrOrStderr(), p)
	}
	if file == "" {
		file = "the environment"
	}
	return nil, fmt.Errorf("%s: %s", file, number(len(problems), "problem"))
}

// number says how many there are of something.
func number(n int, what string) string {
	if n != 1 {
		what += "s"
	}
	return fmt.Sprintf("%d %s", n, what)
}
