package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/show"
)

// commandsSend is the command "longwire commands send" with its flags.
type commandsSend struct {
	api
	content
	ttl      duration
	timeout  duration
	attempts count
	match    word
	key      string
	wait     duration
	to       client.Target
	asJSON   bool
}

func newCommandsSend() *cobra.Command {
	s := &commandsSend{match: word{"", []string{"key", "type"}}}
	cmd := &cobra.Command{
		Use:   "send [ID] TYPE [DATA]",
		Short: "Have a command wait for a device, or for each of many",
		Long: `Send has a gateway keep a command for a device, which may be away, and prints the id
of the command when it is on the gateway's disk. With --wait it waits for the end of
the command as well, and prints the data of the device's answer, as "longwire ask"
does. The exit status is 0 when the command is kept, and with --wait when it is done.

With --all, --group or --id it is for all devices of these that are known, also those
that are away, and counts are printed: queued are new commands, repeated those that
were there already, and refused the devices that there is none for. The exit status
is 0 when there are none of the last.

With --key the same command may be sent again, when nobody knows whether the first
one arrived: there will be one.

` + aboutData + `
Without DATA it is null, or with --raw no bytes at all.

` + aboutAPI,
		Example: `  longwire commands send meter-7 16 '{"valve":"open"}' --ttl 1h
  longwire commands send meter-7 rom_reset --wait 30s
  longwire commands send --group line-1 16 '{"valve":"shut"}' --key shift-7`,
		Args: func(cmd *cobra.Command, args []string) error {
			names := []string{"ID", "TYPE", "DATA"}
			if s.isMany() {
				names = names[1:]
			}
			return arguments(names[:min(max(len(args), len(names)-1), len(names))]...)(cmd, args)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
			if s.isMany() {
				return completeData(1)(cmd, args, begun)
			}
			return completeData(2)(cmd, args, begun)
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			if s.isMany() {
				return s.many(cmd.Context(), args)
			}
			return s.one(cmd.Context(), args[0], args[1:])
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&s.wait, "wait", "how long to wait for the end of the command")
	f.Var(&s.ttl, "ttl", "how long it may wait for the device; what the gateway's configuration says if it is not given")
	f.Var(&s.timeout, "timeout", "how long the device may take to answer before it is sent again; likewise")
	f.Var(&s.attempts, "attempts", "how often it is sent at most; likewise")
	f.Var(&s.match, "match", "what the answer is: what repeats the key, or the next message of the type; key or type")
	f.StringVar(&s.key, "key", "", "`text` that makes it the same command as an earlier one with the same text")
	f.BoolVar(&s.to.All, "all", false, "for every device that is known")
	f.StringArrayVar(&s.to.Groups, "group", nil, "for the devices of this `group`; may be given again")
	f.StringArrayVar(&s.to.IDs, "id", nil, "for the device with this `id`; may be given again")
	s.content.addFlags(cmd)
	f.BoolVar(&s.asJSON, "json", false, "print the whole command, or for many what has become of each")
	completeWord(cmd, "match", s.match)
	s.api.addFlags(cmd)
	return cmd
}

func (s *commandsSend) isMany() bool { return s.to.All || len(s.to.Groups) > 0 || len(s.to.IDs) > 0 }

// command makes the arguments into a command.
func (s *commandsSend) command(args []string) (c client.Command, err error) {
	for name, zero := range map[string]bool{"ttl": s.ttl == 0, "timeout": s.timeout == 0, "attempts": s.attempts == 0} {
		if zero && s.cmd.Flags().Changed(name) {
			return c, usagef("--%s: must be more than 0", name)
		}
	}
	if s.cmd.Flags().Changed("key") && !isKey(s.key) {
		return c, usagef("--key: %.64q is no key; write 1 to 255 printable characters of ASCII, without a space at either end", s.key)
	}
	c = client.Command{
		Match: gateway.Match(s.match.chosen), TTL: time.Duration(s.ttl), Timeout: time.Duration(s.timeout),
		Attempts: int(s.attempts), Key: s.key,
	}
	data := "null"
	if s.raw || s.hex {
		data = ""
	}
	if len(args) > 1 {
		data = args[1]
	}
	c.Message, err = s.message(args[0], data, s.cmd.InOrStdin())
	return c, err
}

// isKey reports whether text can be an Idempotency-Key, and arrives as it is.
func isKey(text string) bool {
	return text != "" && len(text) <= 255 && text == strings.TrimSpace(text) &&
		!strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' })
}

// one has a command wait for one device.
func (s *commandsSend) one(ctx context.Context, id string, args []string) error {
	if err := cmp.Or(s.checkDevice(id), s.checkWait(s.wait)); err != nil {
		return err
	}
	what, err := s.command(args)
	if err != nil {
		return err
	}
	return s.ask(ctx, func(ctx context.Context, c *client.Client) error {
		body, err := c.PutCommand(ctx, id, what, time.Duration(s.wait))
		if err != nil {
			return err
		}
		return s.show(body)
	})
}

// show prints a command that is on disk or, where it was waited for, what its device has answered.
// One that has ended in another way than was wanted is an error too.
func (s *commandsSend) show(body json.RawMessage) error {
	c, err := readCommand(body)
	if err != nil {
		return err
	}
	switch {
	case s.asJSON:
		err = s.printJSON(body)
	case s.wait == 0:
		return s.print([]byte(show.Printable(c.ID) + "\n"))
	case len(c.Answer) > 0 && string(c.Answer) != "null":
		err = s.showAnswer(c.Answer)
	}
	switch {
	case err != nil || s.wait == 0 || c.State == queue.Done:
		return err
	case !c.State.Ended():
		return fmt.Errorf(`%s has not carried it out yet: it is %s; "longwire commands show %s %s" tells more later`,
			s.device, show.Printable(string(c.State)), s.device, show.Printable(c.ID))
	case c.Error != "":
		return fmt.Errorf("the command for %s is %s: %s", s.device, show.Printable(string(c.State)), show.Printable(excerpt(c.Error, maxShown)))
	}
	return fmt.Errorf("the command for %s is %s", s.device, show.Printable(string(c.State)))
}

// showAnswer prints the data of an answer, as ask does.
func (s *commandsSend) showAnswer(body json.RawMessage) error {
	var answer gateway.Answer
	if json.Unmarshal(body, &answer) != nil {
		return &client.StrangeError{Status: 200}
	}
	data := answer.Data
	if answer.Raw != nil {
		var err error
		if data, err = rawJSON(answer.Raw); err != nil {
			return err
		}
	}
	return s.printJSON(data)
}

// many has a command wait for each of many devices.
func (s *commandsSend) many(ctx context.Context, args []string) error {
	if s.cmd.Flags().Changed("wait") {
		return usagef("--wait: nobody is waited for when a command is for many; leave it out")
	}
	for _, id := range s.to.IDs {
		if !config.IsID(id) {
			return usagef("--id: %.64q "+config.BadID, id)
		}
	}
	what, err := s.command(args)
	if err != nil {
		return err
	}
	return s.ask(ctx, func(ctx context.Context, c *client.Client) error {
		placed, body, err := c.PutCommands(ctx, s.to, what)
		if err != nil {
			return err
		}
		if s.asJSON {
			err = s.printJSON(body)
		} else {
			err = s.print(fmt.Appendf(nil, "queued %d, repeated %d, refused %d\n", placed.Queued, placed.Repeated, placed.Refused))
		}
		if err != nil || placed.Refused == 0 {
			return err
		}
		return refusedCommands(&placed)
	})
}

// mostNamed is how many devices an error names.
const mostNamed = 3

// refusedCommands says for which devices there is no command, and why for the first.
func refusedCommands(placed *client.PlacedCommands) error {
	var devices []string
	why := ""
	for _, c := range placed.Commands {
		if c.Error != nil {
			devices = append(devices, show.Printable(c.Device))
			why = cmp.Or(why, asClause(c.Error.Detail))
		}
	}
	if len(devices) > mostNamed {
		devices = append(devices[:mostNamed], fmt.Sprintf("%d more", len(devices)-mostNamed))
	}
	return fmt.Errorf("not all have a command: %s: %s", strings.Join(devices, ", "), why)
}
