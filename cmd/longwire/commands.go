package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/show"
)

func newCommands() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "commands",
		Short: "Commands that wait for their boards",
		Long: `Commands is about what a gateway keeps for boards that are away: each waits on disk
until its board is there, and is sent until the board has answered it. Its state is
queued (nothing of it has been sent), sent (the board may have it), done (the board
has answered), failed (it has refused), expired (its time has passed), dead (all
attempts have failed) or cancelled.`,
		Args: onlyCommands,
		RunE: showHelp,
	}
	cmd.AddCommand(newCommandsList(), newCommandsShow(), newCommandsSend(), newCommandsCancel(), newCommandsRetry(), newCommandsWatch())
	return cmd
}

var states = []string{"queued", "sent", "done", "failed", "expired", "dead", "cancelled"}

// checkCommand takes two arguments for the ids of a device and of a command.
func (a *api) checkCommand(id, command string) error {
	if err := a.checkDevice(id); err != nil {
		return err
	}
	if !config.IsID(command) {
		return usagef("COMMAND %.64q is no id of a command", command)
	}
	a.command = command
	return nil
}

// checkWait looks at how long a gateway is to wait.
func (a *api) checkWait(wait duration) error {
	if wait == 0 && a.cmd.Flags().Changed("wait") {
		return usagef("--wait: must be more than 0")
	}
	return nil
}

func newCommandsList() *cobra.Command {
	a, state, asJSON := new(api), word{"", states}, false
	cmd := &cobra.Command{
		Use:   "list [ID]",
		Short: "Show commands",
		Long: `List shows the commands of a device: those that have ended and can still be looked
at, and then those that wait, in the order in which they will be sent. Without ID it
shows those of all devices, the one that changed last first. AGE is how long ago a
command was sent in, and ATTEMPTS how often it has been sent, and may be.

With --json each command is one line of JSON, as the API describes it.

` + aboutAPI,
		Example: `  longwire commands list meter-7
  longwire commands list meter-7 --state queued --json
  longwire commands list --state dead`,
		Args:              noneOr(arguments("ID")),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if err := a.checkDevice(args[0]); err != nil {
					return err
				}
			}
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return a.listCommands(ctx, c, state.chosen, asJSON)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&state, "state", "only those in this state: "+strings.Join(states[:len(states)-1], ", ")+" or "+states[len(states)-1])
	f.BoolVar(&asJSON, "json", false, "print each command as a line of JSON")
	completeWord(cmd, "state", state)
	a.addFlags(cmd)
	return cmd
}

func (a *api) listCommands(ctx context.Context, client *client.Client, state string, asJSON bool) error {
	head := []string{"ID", "STATE", "TYPE", "AGE", "ATTEMPTS", "ABOUT"}
	commands := client.Commands(ctx, a.device, state)
	if a.device == "" {
		head = append([]string{"DEVICE"}, head...)
		commands = client.AllCommands(ctx, state)
	}
	t := table{head}
	out := bufio.NewWriter(a.cmd.OutOrStdout())
	for body, err := range commands {
		if err != nil {
			out.Flush()
			return err
		}
		if asJSON {
			line, err := appendJSONLine(out.AvailableBuffer(), body)
			if err != nil {
				return err
			}
			out.Write(line)
			continue
		}
		c, err := readCommand(body)
		if err != nil {
			return err
		}
		row := []string{
			show.Printable(c.ID), show.Printable(string(c.State)), c.Type.String(), age(c.CreatedAt, time.Now()),
			fmt.Sprintf("%d/%d", c.Attempts, c.MaxAttempts), aboutCommand(&c),
		}
		if a.device == "" {
			row = append([]string{show.Printable(c.Device)}, row...)
		}
		t = append(t, row)
	}
	switch {
	case asJSON:
		if err := out.Flush(); err != nil {
			return fmt.Errorf("cannot print the result: %w", innermost(err))
		}
		return nil
	case len(t) == 1:
		_, err := fmt.Fprintln(a.cmd.ErrOrStderr(), "no commands")
		return err
	}
	return a.print(t.text())
}

func readCommand(body json.RawMessage) (c queue.Command, err error) {
	if json.Unmarshal(body, &c) != nil || c.ID == "" {
		return c, &client.StrangeError{Status: 200}
	}
	return c, nil
}

// aboutCommand returns why the last attempt has failed, or what the device has answered.
func aboutCommand(c *queue.Command) string {
	if c.Error != "" {
		return show.Printable(excerpt(c.Error, maxShown))
	}
	return compact(c.Answer)
}

// compact returns JSON for people, and nothing for null.
func compact(body json.RawMessage) string {
	if len(body) == 0 || string(body) == "null" {
		return ""
	}
	text, err := appendJSONLine(nil, json.RawMessage(strings.ToValidUTF8(string(body), "\uFFFD")))
	if err != nil {
		return ""
	}
	return excerpt(strings.TrimSuffix(string(text), "\n"), maxShown)
}

func newCommandsShow() *cobra.Command {
	a, wait, asJSON := new(api), duration(0), false
	cmd := &cobra.Command{
		Use:   "show ID COMMAND",
		Short: "Show what has become of a command",
		Long: `Show shows a command of a device, and what has become of it. With --wait it waits
for the end of the command, for so long at most.

` + aboutAPI,
		Example:           "  longwire commands show meter-7 06g28y1pc3m5m3hqk2h4j9tw --wait 30s",
		Args:              arguments("ID", "COMMAND"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := cmp.Or(a.checkCommand(args[0], args[1]), a.checkWait(wait)); err != nil {
				return err
			}
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				body, err := c.Command(ctx, a.device, a.command, time.Duration(wait))
				if err != nil {
					return err
				}
				return a.showCommand(body, asJSON)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.Var(&wait, "wait", "how long to wait for the end of the command")
	f.BoolVar(&asJSON, "json", false, "print the command as a line of JSON")
	a.addFlags(cmd)
	return cmd
}

func (a *api) showCommand(body json.RawMessage, asJSON bool) error {
	if asJSON {
		return a.printJSON(body)
	}
	c, err := readCommand(body)
	if err != nil {
		return err
	}
	now := time.Now()
	said := compact(c.Data)
	if c.Raw != nil {
		said = "hex " + excerpt(fmt.Sprintf("%x", c.Raw), maxShown)
	}
	sent := "never"
	if c.SentAt != nil {
		sent = localTime(*c.SentAt)
	}
	return a.print(table{
		{"id", show.Printable(c.ID)},
		{"device", show.Printable(c.Device)},
		{"state", show.Printable(string(c.State)) + ", since " + age(c.UpdatedAt, now)},
		{"type", c.Type.String()},
		{"data", cmp.Or(said, "-")},
		{"match", show.Printable(c.Match)},
		{"created", localTime(c.CreatedAt)},
		{"expires", localTime(c.ExpiresAt)},
		{"sent", sent},
		{"attempts", fmt.Sprintf("%d of %d, each %s", c.Attempts, c.MaxAttempts, show.Printable(c.Timeout))},
		{"error", cmp.Or(show.Printable(excerpt(c.Error, maxShown)), "-")},
		{"answer", cmp.Or(compact(c.Answer), "-")},
	}.text())
}

func newCommandsCancel() *cobra.Command {
	return newCommandsChange((*client.Client).CancelCommand, "cancel", "Call a command back",
		`Cancel calls a command back that is not with its device at the moment. One that was
sent before, without an answer, may have been carried out all the same.`)
}

func newCommandsRetry() *cobra.Command {
	return newCommandsChange((*client.Client).RetryCommand, "retry", "Have a command wait again that was not done",
		`Retry has a command wait again that is failed, expired, dead or cancelled: the same one,
behind the others that wait for its device, with all its attempts and as much time as
it had. The device sees the same call_back_key.`)
}

// newCommandsChange returns a command that has a gateway change one that it keeps.
func newCommandsChange(change func(c *client.Client, ctx context.Context, device, id string) (json.RawMessage, error), verb, short, long string) *cobra.Command {
	a := new(api)
	cmd := &cobra.Command{
		Use:               verb + " ID COMMAND",
		Short:             short,
		Long:              long + "\n\n" + aboutAPI,
		Example:           "  longwire commands " + verb + " meter-7 06g28y1pc3m5m3hqk2h4j9tw",
		Args:              arguments("ID", "COMMAND"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkCommand(args[0], args[1]); err != nil {
				return err
			}
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				_, err := change(c, ctx, a.device, a.command)
				return err
			})
		},
	}
	cmd.Flags().SortFlags = false
	a.addFlags(cmd)
	return cmd
}

func newCommandsWatch() *cobra.Command {
	e := &events{stream: client.Stream{EventFilter: client.EventFilter{Name: "command"}}}
	cmd := &cobra.Command{
		Use:   "watch [ID]",
		Short: "Follow what becomes of commands",
		Long: `Watch prints a line whenever a command comes into another state, or one of a device
with ID, until it receives SIGINT or SIGTERM. It is "longwire events --name command".

` + aboutAPI,
		Example: `  longwire commands watch
  longwire commands watch meter-7 --json`,
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return nil
			}
			return arguments("ID")(cmd, args)
		},
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				if e.stream.Device = args[0]; args[0] == "" {
					return usagef("ID is empty; leave it out for all devices")
				}
			}
			return e.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&e.stream.From, "from", "", "begin behind the event with this `id`; 0 for all that the gateway has kept")
	f.BoolVar(&e.asJSON, "json", false, "print each event as a line of JSON")
	e.addFlags(cmd)
	return cmd
}
