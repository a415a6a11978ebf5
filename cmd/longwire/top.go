package main

import (
	"context"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/top"
)

func newTop() *cobra.Command {
	a, interval, sort, page, once := new(api), duration(2*time.Second), word{top.Sorts[0], top.Sorts}, word{top.Pages[0], top.Pages}, false
	conf := top.Config{In: os.Stdin, Out: os.Stdout}
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch a gateway in a terminal",
		Long: `Top shows a gateway as it runs: how many boards are there, what goes in and out, how
long answers take and how many commands wait; and lists of boards, of commands that
wait or have failed, of connections that have ended, with why, and of the last hour
in pieces of ten seconds, with how long answers took. Enter shows what the board under the cursor says and is told. "?" tells the keys.

It needs a terminal; --once prints what it begins with, and ends.

` + aboutAPI,
		Example: `  longwire top
  longwire top --sort bytes_in --search hall-2
  longwire top --once --page closes`,
		Args:              arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if interval < duration(100*time.Millisecond) {
				return usagef("--interval: must be 100ms or more")
			}
			if !once && !conf.IsTerminal() {
				return usagef(`needs a terminal to show something in; "longwire top --once" prints it once, and "longwire devices" lists the boards`)
			}
			conf.Interval, conf.Sort, conf.Page = time.Duration(interval), sort.chosen, page.chosen
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				g, err := a.gateway()
				if err != nil {
					return err
				}
				conf.Client, conf.Address = c, g.String()
				if once {
					return top.Once(ctx, conf, cmd.OutOrStdout())
				}
				return top.Run(ctx, conf)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&interval, "interval", "how often to look")
	f.Var(&sort, "sort", "how boards are sorted: frames_in, frames_out, bytes_in, bytes_out, last_seen or id")
	f.StringVar(&conf.Search, "search", "", "only boards with this `text` in their id, address, groups or attributes")
	f.Var(&page, "page", "what it begins with: boards, commands, closes or latency")
	f.BoolVar(&once, "once", false, "print one screen of plain text, and end")
	completeWord(cmd, "sort", sort)
	completeWord(cmd, "page", page)
	a.addFlags(cmd)
	return cmd
}
