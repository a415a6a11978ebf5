package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/config"
)

func newToken() *cobra.Command {
	return &cobra.Command{
		Use:   "token [ID]",
		Short: "Make a token for a device or a program",
		Long: `Token prints a new random token, and under it the line for a tokens_file of the
configuration, which has the token's hash: whoever reads that file cannot connect
with it. The token goes to the device, or to the program that uses the HTTP API.

ID is the id of the device or the name of the program. Without it the second line is
the hash alone. Nothing is stored: a token that is lost is replaced by a new one.`,
		Example:           "  longwire token meter-7",
		Args:              noneOr(arguments("ID")),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			id := strings.Join(args, "")
			if len(args) > 0 && !config.IsID(id) {
				return usagef("ID %.64q "+config.BadID, id)
			}
			token := config.NewToken()
			_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s\n%s\n", token, strings.TrimSpace(id+" "+config.HashOf(token).Reveal()))
			return err
		},
	}
}
