package main

import (
	"context"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
)

func newKick() *cobra.Command {
	a := new(api)
	cmd := &cobra.Command{
		Use:   "kick ID",
		Short: "End the connection of a device",
		Long: `Kick has a gateway end the connection of a device. Nothing keeps the device from
connecting again, and most do so at once.

` + aboutAPI,
		Example:           "  longwire kick meter-7",
		Args:              arguments("ID"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkDevice(args[0]); err != nil {
				return err
			}
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error { return c.Kick(ctx, args[0]) })
		},
	}
	cmd.Flags().SortFlags = false
	a.addFlags(cmd)
	return cmd
}
