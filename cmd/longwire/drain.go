package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
)

func newDrain() *cobra.Command {
	a := new(api)
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Have a gateway let its devices go, and stop",
		Long: `Drain has a gateway do what it does when it receives SIGTERM: accept no more
devices, let what is in progress finish, end the connections, and stop. Drain does
not wait for that.

` + aboutAPI,
		Example: "  longwire drain --context plant",
		Args:    arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error { return c.Drain(ctx) })
		},
	}
	cmd.Flags().SortFlags = false
	a.addFlags(cmd)
	return cmd
}
