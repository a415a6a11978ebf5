package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Exit statuses.
const (
	exitDone   = 0
	exitFailed = 1 // what was asked for did not come about
	exitUsage  = 2 // it is not clear what was asked for
)

// run is the program: it returns its exit status. An error is one sentence on
// stderr, with the name of the command in front.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	begun := false // the command line has been understood
	root := newRoot()
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		if err := readEnvironment(cmd.Flags()); err != nil {
			return err
		}
		begun = true
		return nil
	}
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitDone
	}
	fmt.Fprintf(stderr, "%s: %v\n", cmd.CommandPath(), err)
	if _, usage := errors.AsType[*usageError](err); usage || !begun {
		return exitUsage
	}
	return exitFailed
}

// A usageError is an error in the way the command was called.
type usageError struct{ problem string }

func (e *usageError) Error() string { return e.problem }

func usagef(format string, args ...any) error {
	return &usageError{fmt.Sprintf(format, args...)}
}

func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "longwire",
		Short: "Long-lived framed TCP connections",
		Long: `Longwire is for boards, meters and gateways that keep a TCP connection open
and speak in small binary frames over it.

"longwire serve" holds their connections and lets programs ask them; "longwire
devices", "ask", "push", "commands", "events", "trace", "top" and others do that from
a shell. "longwire send" and "longwire listen" talk to whatever speaks in such frames,
"longwire tap" and "longwire decode" show what goes over the wire, "longwire sim"
simulates boards, and "longwire bench" measures. "longwire doctor" looks at the
machine, "longwire config" is about the configuration of serve, and "longwire token"
makes a token for a login.

The exit status of each command is 0 when it did what it was asked for, 1 when
it could not, and 2 when it was called in a wrong way.`,
		Example: `  longwire serve
  longwire send 127.0.0.1:10302 16 66666`,
		Args:          onlyCommands,
		RunE:          showHelp,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetVersionTemplate("{{.Version}}\n")
	root.SetFlagErrorFunc(flagError)
	root.SetHelpCommand(newHelp())
	root.AddCommand(newServe(), newSend(), newListen(), newBench(), newSim(), newTap(), newDecode(), newConfig(), newDoctor(), newToken(), newVersion())
	root.AddCommand(newDevices(), newAsk(), newPush(), newCommands(), newEvents(), newTop(), newTrace(), newKick(), newDrain(), newReload(), newContext(), newStore())
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.Name() == "completion" {
			c.Short = "Print a script that completes command lines in a shell"
			c.Args, c.RunE = onlyCommands, showHelp
		}
	}
	return root
}

// onlyCommands and showHelp make a command that is nothing without the name of
// another one behind it.
func onlyCommands(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		return unknownCommand(cmd, args[0])
	}
	return nil
}

func showHelp(cmd *cobra.Command, _ []string) error { return cmd.Help() }

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:     "help [command]",
		Short:   "Explain a command",
		Example: "  longwire help send",
		ValidArgsFunction: func(cmd *cobra.Command, args []string, _ string) (names []string, _ cobra.ShellCompDirective) {
			if len(args) == 0 {
				for _, c := range cmd.Root().Commands() {
					names = append(names, c.Name())
				}
			}
			return names, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			switch {
			case err != nil:
				return err
			case len(rest) > 0:
				return unknownCommand(about, rest[0])
			}
			about.InitDefaultHelpFlag()
			about.InitDefaultVersionFlag()
			return about.Help()
		},
	}
}

// arguments checks that a command gets the arguments with these names.
func arguments(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case len(args) == len(names):
			return nil
		case len(names) == 0:
			return usagef("takes no arguments, and was given %q", args[0])
		case len(args) > len(names):
			return usagef("takes %s, and was given %q besides; put quotes around an argument with spaces", strings.Join(names, " "), args[len(names)])
		}
		return usagef("needs %s, and was given no %s; see %s --help", strings.Join(names, " "), names[len(args)], cmd.CommandPath())
	}
}

// noneOr checks the arguments where there are any.
func noneOr(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return nil
		}
		return check(cmd, args)
	}
}

func unknownCommand(cmd *cobra.Command, name string) error {
	return usagef("there is no command %q%s; see %s --help", name, didYouMean(cmd, name, ""), cmd.CommandPath())
}

// flagError says what is wrong with a flag.
func flagError(cmd *cobra.Command, err error) error {
	if e, ok := errors.AsType[*pflag.InvalidValueError](err); ok {
		return usagef("--%s: %s", e.GetFlag().Name, valueProblem(e.GetFlag(), e.GetValue(), e.Unwrap()))
	}
	if e, ok := errors.AsType[*pflag.NotExistError](err); ok {
		if short := e.GetSpecifiedShortnames(); short != "" {
			return usagef("there is no flag %q; put -- before arguments that begin with a dash", "-"+short)
		}
		// SuggestionsFor compares with the names of commands, so let the flags be commands.
		flags := &cobra.Command{}
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			flags.AddCommand(&cobra.Command{Use: f.Name, Run: func(*cobra.Command, []string) {}})
		})
		name := e.GetSpecifiedName()
		return usagef("there is no flag --%s%s; see %s --help", name, didYouMean(flags, name, "--"), cmd.CommandPath())
	}
	return usagef("%v", err)
}

// didYouMean names the commands that are called nearly like name.
func didYouMean(cmd *cobra.Command, name, prefix string) string {
	cmd.SuggestionsMinimumDistance = 2
	similar := cmd.SuggestionsFor(name)
	if len(similar) == 0 {
		return ""
	}
	return "; did you mean " + prefix + strings.Join(similar, " or "+prefix) + "?"
}
