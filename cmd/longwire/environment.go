package main

import (
	"os"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// hasVariable marks the flags that fall back to an environment variable.
const hasVariable = "longwire_variable"

// fallBack lets flags of a command fall back to the environment: --log-file to
// LONGWIRE_LOG_FILE.
func fallBack(cmd *cobra.Command, names ...string) {
	for _, name := range names {
		if err := cmd.Flags().SetAnnotation(name, hasVariable, []string{variable(name)}); err != nil {
			panic(err) // the flag is not defined
		}
	}
}

// fallBackAll is fallBack for all flags that the command has.
func fallBackAll(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { fallBack(cmd, f.Name) })
}

func variable(flag string) string {
	return "LONGWIRE_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// readEnvironment gives the flags that are not on the command line the values of
// their variables. A variable that is empty counts as one that is not set.
func readEnvironment(flags *pflag.FlagSet) (err error) {
	flags.VisitAll(func(f *pflag.Flag) {
		value := fromEnvironment(f)
		if value == "" || err != nil {
			return
		}
		if problem := f.Value.Set(value); problem != nil {
			err = usagef("%s: %s", variable(f.Name), valueProblem(f, value, problem))
		}
	})
	return err
}

// fromEnvironment returns the value that a flag takes from the environment, ""
// when it takes none.
func fromEnvironment(f *pflag.Flag) string {
	if f.Changed || f.Annotations[hasVariable] == nil {
		return ""
	}
	return os.Getenv(variable(f.Name))
}

// setting returns what whoever set a flag wrote, so that an error can name it: the
// flag, or the variable that it fell back to.
func setting(cmd *cobra.Command, name string) string {
	if fromEnvironment(cmd.Flag(name)) != "" {
		return variable(name)
	}
	return "--" + name
}
