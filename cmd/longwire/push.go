package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/gateway"
)

// push is the command "longwire push" with its flags.
type push struct {
	api
	content
	timeout duration
	to      client.Target
	asJSON  bool
}

func newPush() *cobra.Command {
	p := &push{timeout: duration(10 * time.Second)}
	cmd := &cobra.Command{
		Use:   "push [ID] TYPE DATA",
		Short: "Tell a device something, or many devices",
		Long: `Push has a gateway tell a device something that needs no answer. The exit status is
0 when that is on its way. What the device makes of it nobody knows.

With --all, --group or --id it goes to all devices of these that are connected, and
counts are printed: queued are those that it is on its way to, full those that have
left so much unread that there was no room, misfit those whose listener has no frame
that it fits in, and away those of --id that are not connected. The exit status is 0
when there are none of the last three.

` + aboutData + `

` + aboutAPI,
		Example: `  longwire push meter-7 32 '{"display":"hello"}'
  longwire push --all 32 '"maintenance at noon"'
  longwire push --group line-1 --id meter-7 rom_reset null`,
		Args: func(cmd *cobra.Command, args []string) error {
			if p.isBroadcast() {
				return arguments("TYPE", "DATA")(cmd, args)
			}
			return arguments("ID", "TYPE", "DATA")(cmd, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if p.isBroadcast() {
				return completeData(1)(cmd, args, begun)
			}
			return completeData(2)(cmd, args, begun)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if p.isBroadcast() {
				return p.broadcast(cmd.Context(), args[0], args[1])
			}
			return p.push(cmd.Context(), args[0], args[1], args[2])
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&p.to.All, "all", false, "tell every device that is connected")
	f.StringArrayVar(&p.to.Groups, "group", nil, "tell the devices of this `group`; may be given again")
	f.StringArrayVar(&p.to.IDs, "id", nil, "tell the device with this `id`; may be given again")
	f.Var(&p.timeout, "timeout", "how long to wait for room, where a single device reads slowly")
	p.content.addFlags(cmd)
	f.BoolVar(&p.asJSON, "json", false, "print the counts as JSON")
	p.api.addFlags(cmd)
	return cmd
}

func (p *push) isBroadcast() bool { return p.to.All || len(p.to.Groups) > 0 || len(p.to.IDs) > 0 }

// push tells one device.
func (p *push) push(ctx context.Context, id, typ, data string) error {
	if p.timeout == 0 {
		return usagef("--timeout: must be more than 0")
	}
	if err := p.checkDevice(id); err != nil {
		return err
	}
	m, err := p.message(typ, data, p.cmd.InOrStdin())
	if err != nil {
		return err
	}
	return p.ask(ctx, func(ctx context.Context, c *client.Client) error {
		return c.Push(ctx, id, m, time.Duration(p.timeout))
	})
}

// broadcast tells many.
func (p *push) broadcast(ctx context.Context, typ, data string) error {
	if p.cmd.Flags().Changed("timeout") {
		return usagef("--timeout: nobody is waited for when many are told; leave it out")
	}
	for _, id := range p.to.IDs {
		if !config.IsID(id) {
			return usagef("--id: %.64q "+config.BadID, id)
		}
	}
	m, err := p.message(typ, data, p.cmd.InOrStdin())
	if err != nil {
		return err
	}
	return p.ask(ctx, func(ctx context.Context, c *client.Client) error {
		counts, body, err := c.Broadcast(ctx, p.to, m)
		if err != nil {
			return err
		}
		return p.show(counts, body)
	})
}

// show prints counts. It is an error when somebody was not told.
func (p *push) show(counts gateway.BroadcastCounts, body []byte) (err error) {
	if p.asJSON {
		err = p.printJSON(body)
	} else {
		err = p.print(fmt.Appendf(nil, "queued %d, full %d, misfit %d, away %d\n", counts.Queued, counts.Full, counts.Misfit, counts.Away))
	}
	if err != nil {
		return err
	}
	var missed []string
	if counts.Away > 0 {
		missed = append(missed, number(counts.Away, "device")+" not connected")
	}
	if counts.Full > 0 {
		missed = append(missed, number(counts.Full, "device")+" without room for it")
	}
	if counts.Misfit > 0 {
		missed = append(missed, number(counts.Misfit, "device")+" without a frame that it fits in")
	}
	if len(missed) > 0 {
		return fmt.Errorf("not all have been told: %s", strings.Join(missed, ", "))
	}
	return nil
}
