package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/show"
)

func newReload() *cobra.Command {
	var a api
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have a gateway read its configuration again",
		Long: `Reload has a gateway read its configuration again, and prints the settings that have
changed: those that are in force now, and those that will be after a restart. When the
new configuration has a problem the old one stays in force, and the exit status is 1.

` + aboutAPI,
		Example: "  longwire reload",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				done, body, err := c.Reload(ctx)
				if p, ok := errors.AsType[*client.Problem](err); ok && p.Status == http.StatusUnprocessableEntity {
					return fmt.Errorf("the old configuration stays in force: %s", asClause(p.Detail))
				}
				switch {
				case err != nil:
					return err
				case asJSON:
					return a.printJSON(body)
				}
				return a.print(reloadedText(done))
			})
		},
	}
	cmd.Flags().SortFlags = false
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the result as JSON")
	a.addFlags(cmd)
	return cmd
}

// reloadedText tells what a reload has changed.
func reloadedText(done client.Reloaded) (text []byte) {
	for _, setting := range done.Applied {
		text = fmt.Appendf(text, "applied        %s\n", show.Printable(setting))
	}
	for _, setting := range done.Restart {
		text = fmt.Appendf(text, "needs restart  %s\n", show.Printable(setting))
	}
	if len(text) == 0 {
		return []byte("nothing has changed\n")
	}
	return text
}
