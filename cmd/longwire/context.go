package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
)

func newContext() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "context",
		Short: "Keep addresses and tokens of gateways by name",
		Long: `A context is a name for the address of a gateway's API and the token for it. The
commands that ask a gateway take the context that is in use, or the one that --context
or LONGWIRE_CONTEXT names. --api and LONGWIRE_API go over a context's address, and
--token-file, LONGWIRE_TOKEN_FILE and LONGWIRE_API_TOKEN over its token. A context
that stands on the command line goes over all these variables.

The token of a context is sent to no other address than that of the context.

Contexts are kept in the file longwire/contexts.json of the user's directory for
configuration, which nobody else can read.`,
		Example: `  longwire context set plant --api https://gateway.example:10380 --token-file ~/plant.token
  longwire context use plant
  longwire devices`,
		Args: onlyCommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newContextSet(), newContextUse(), newContextList(), newContextRemove())
	return cmd
}

func newContextSet() *cobra.Command {
	var saved savedContext
	cmd := &cobra.Command{
		Use:   "set NAME",
		Short: "Keep a gateway's address and token under a name",
		Long: `Set keeps the address of an API under a name, and with it the file that has the
token, or the token. It replaces whatever was kept under that name.

A token that stands on the command line can be seen by others on this machine, and
the shell may remember it. --token-file keeps only the name of a file, which is read
each time; --token - reads the token from stdin.`,
		Example: `  longwire context set plant --api https://gateway.example:10380 --token-file ~/plant.token
  longwire context set plant --api https://10.0.0.5:10380 --ca-file plant-ca.pem --token - < plant.token`,
		Args:              arguments("NAME"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return setContext(cmd, args[0], saved)
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&saved.API, "api", "", "`address` of the API, as in "+defaultAPI+"; must be given")
	f.StringVar(&saved.TokenFile, "token-file", "", "`file` with the token")
	f.StringVar(&saved.Token, "token", "", "the `token` itself; - reads it from stdin")
	f.StringVar(&saved.CAFile, "ca-file", "", "`file` with the authorities, in PEM, that the gateway's certificate may be from")
	return cmd
}

func setContext(cmd *cobra.Command, name string, saved savedContext) (err error) {
	switch given := cmd.Flags().Changed; {
	case !contextName.MatchString(name):
		return usagef("NAME %.64q is no name; write 1 to 64 of A-Z a-z 0-9 _ . - that begin with a letter or a digit", name)
	case saved.API == "":
		return usagef("--api: must be given; write it as in %s", defaultAPI)
	case given("token") && given("token-file"):
		return usagef("--token and --token-file both say which token; leave one of them out")
	}
	if saved.API, err = client.ParseAddress(saved.API); err != nil {
		return usagef("--api: %v", err)
	}
	if saved.Token == "-" {
		text, err := readUpTo(cmd.InOrStdin(), 8<<10)
		if err != nil {
			return fmt.Errorf("cannot read the token from stdin: %w", innermost(err))
		}
		saved.Token = strings.TrimSpace(string(text))
	}
	if cmd.Flags().Changed("token") && !client.IsToken(saved.Token) {
		return usagef("--token: is no token; it is empty, or has spaces or other characters in it that no token has")
	}
	if err := saved.checkFiles(); err != nil {
		return err
	}
	all, err := loadContexts()
	if err != nil {
		return err
	}
	if (saved.Token != "" || saved.TokenFile != "") && isReadable(saved.API) {
		fmt.Fprintf(cmd.ErrOrStderr(), "warning: without TLS others can read the token on its way to %s; with it, the address begins with https://\n", saved.API)
	}
	all.Contexts[name] = saved
	return all.save()
}

// checkFiles looks whether the files are what they should be, and gives them names that mean
// the same in every directory.
func (s *savedContext) checkFiles() (err error) {
	if s.TokenFile != "" {
		if _, err = readTokenFile(s.TokenFile); err != nil {
			return err
		}
		if s.TokenFile, err = filepath.Abs(s.TokenFile); err != nil {
			return err
		}
	}
	if s.CAFile != "" {
		if !strings.HasPrefix(s.API, "https:") {
			return usagef("--ca-file: %s is without TLS; write https:// in the address", s.API)
		}
		if _, err = readAuthorities(s.CAFile); err != nil {
			return err
		}
		if s.CAFile, err = filepath.Abs(s.CAFile); err != nil {
			return err
		}
	}
	return nil
}

// isReadable reports whether others can read what goes to an address.
func isReadable(address string) bool {
	u, err := url.Parse(address)
	if err != nil || u.Scheme == "https" {
		return false
	}
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Hostname() != "localhost" && (err != nil || !ip.IsLoopback())
}

func newContextUse() *cobra.Command {
	return &cobra.Command{
		Use:               "use NAME",
		Short:             "Have commands ask the gateway of a context",
		Long:              "Use makes a context the one that commands take when they are told no other.",
		Example:           "  longwire context use plant",
		Args:              arguments("NAME"),
		ValidArgsFunction: completeContextArgument,
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := findContext(args[0])
			if err != nil {
				return err
			}
			all.InUse = args[0]
			return all.save()
		},
	}
}

func newContextRemove() *cobra.Command {
	return &cobra.Command{
		Use:               "remove NAME",
		Short:             "Forget a context",
		Long:              "Remove forgets a context. When it is the one in use, none is.",
		Example:           "  longwire context remove plant",
		Args:              arguments("NAME"),
		ValidArgsFunction: completeContextArgument,
		RunE: func(_ *cobra.Command, args []string) error {
			all, err := findContext(args[0])
			if err != nil {
				return err
			}
			delete(all.Contexts, args[0])
			if all.InUse == args[0] {
				all.InUse = ""
			}
			return all.save()
		},
	}
}

// findContext returns the contexts, among which there must be one with that name.
func findContext(name string) (*contexts, error) {
	all, err := loadContexts()
	if err != nil {
		return nil, err
	}
	if _, known := all.Contexts[name]; !known {
		return nil, usagef(`there is no context %.64q; "longwire context list" tells which there are`, name)
	}
	return all, nil
}

func completeContextArgument(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return completeContext(cmd, args, begun)
}

func newContextList() *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the contexts",
		Long: `List shows the contexts, with a * at the one in use. It does not show tokens, only
where they are.`,
		Example: "  longwire context list",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			all, err := loadContexts()
			if err != nil {
				return err
			}
			if asJSON {
				return all.printJSON(cmd.OutOrStdout())
			}
			return all.print(cmd.OutOrStdout())
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print each context as a line of JSON")
	return cmd
}

func (c *contexts) print(w io.Writer) error {
	t := table{{"", "NAME", "API", "TOKEN", "AUTHORITIES"}}
	for _, name := range c.names() {
		saved, mark, token := c.Contexts[name], "", "none"
		if name == c.InUse {
			mark = "*"
		}
		switch {
		case saved.TokenFile != "":
			token = saved.TokenFile
		case saved.Token != "":
			token = "kept"
		}
		t = append(t, []string{mark, name, saved.API, token, saved.CAFile})
	}
	return write(w, t.text())
}

func (c *contexts) printJSON(w io.Writer) error {
	var text []byte
	for _, name := range c.names() {
		saved := c.Contexts[name]
		line, err := json.Marshal(struct {
			Name      string `json:"name"`
			InUse     bool   `json:"in_use"`
			API       string `json:"api"`
			TokenFile string `json:"token_file,omitempty"`
			TokenKept bool   `json:"token_kept"`
			CAFile    string `json:"ca_file,omitempty"`
		}{name, name == c.InUse, saved.API, saved.TokenFile, saved.Token != "", saved.CAFile})
		if err != nil {
			return err
		}
		text = append(appendPrintable(text, line), '\n')
	}
	return write(w, text)
}
