package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
)

// events is the command "longwire events" with its flags.
type events struct {
	api
	stream client.Stream
	asJSON bool
}

func newEvents() *cobra.Command {
	e := &events{}
	cmd := &cobra.Command{
		Use:   "events",
		Short: "Follow what happens at a gateway",
		Long: `Events prints a line for everything that happens at a gateway, until it receives
SIGINT or SIGTERM: a device connects (connect), its connection is over (disconnect),
a message comes from it (message), a command for it comes into another state
(command). When the connection to the gateway is lost, events says so on stderr,
connects again, and goes on behind the last event. A line "lost" says how many events
may be missing there, because the gateway remembers no more.

A line has time, name and device, and then what is special about the event. Long data
is cut. With --json it is one line of JSON, {"id":…,"event":"…","device":"…",…}, with
all that the gateway tells; --from continues behind such an id.

` + aboutAPI,
		Example: `  longwire events
  longwire events --device meter-7 --name message --json
  longwire events --from 0`,
		Args:              arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return e.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&e.stream.Device, "device", "", "only events of the device with this `id`")
	f.StringVar(&e.stream.Type, "type", "", "only messages of this `type`, a number or a name of the configuration")
	f.StringVar(&e.stream.Name, "name", "", "only events with this `name`: message, connect, disconnect or command")
	f.StringVar(&e.stream.From, "from", "", "begin behind the event with this `id`; 0 for all that the gateway remembers")
	f.BoolVar(&e.asJSON, "json", false, "print each event as a line of JSON")
	if err := cmd.RegisterFlagCompletionFunc("name", cobra.FixedCompletions([]string{"message", "connect", "disconnect", "command"}, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is not defined
	}
	e.addFlags(cmd)
	return cmd
}

func (e *events) run(ctx context.Context) error {
	if id := e.stream.Device; id != "" {
		if err := e.checkDevice(id); err != nil {
			return err
		}
	}
	if _, err := strconv.ParseUint(e.stream.From, 10, 64); e.stream.From != "" && err != nil {
		return usagef("--from: %.64q is no id of an event, which is a number", e.stream.From)
	}
	return e.ask(ctx, e.follow)
}

// follow prints events until ctx ends, which is no error.
func (e *events) follow(ctx context.Context, c *client.Client) error {
	e.stream.Lost = func(why error, resumed bool) {
		gap := ""
		if !resumed {
			gap = ", and what happens meanwhile will be missing"
		}
		fmt.Fprintf(e.cmd.ErrOrStderr(), "%s: the connection to the gateway is lost: %s; trying again%s\n",
			e.cmd.CommandPath(), printable(innermost(why).Error()), gap)
	}
	for event, err := range c.Events(ctx, e.stream) {
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return err
		}
		line := eventText(&event)
		if e.asJSON {
			if line, err = eventJSON(&event); err != nil {
				return err
			}
		}
		if _, err := e.cmd.OutOrStdout().Write(line); errors.Is(err, syscall.EPIPE) {
			return nil // nobody reads on
		} else if err != nil {
			return fmt.Errorf("cannot print an event: %w", innermost(err))
		}
	}
	return nil
}

// eventJSON returns an event as a line of JSON: what the gateway tells of it, with its id and
// name in front.
func eventJSON(e *client.Event) ([]byte, error) {
	head := struct {
		ID    json.Number `json:"id,omitempty"`
		Event string      `json:"event"`
	}{json.Number(e.ID), e.Name}
	if _, err := strconv.ParseUint(e.ID, 10, 64); err != nil {
		head.ID = ""
	}
	begin, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	body, err := appendJSONLine(nil, json.RawMessage(strings.ToValidUTF8(string(e.Data), "\uFFFD")))
	switch {
	case err != nil || body[0] != '{':
		return nil, &client.StrangeError{Status: 200}
	case body[1] == '}':
		return append(appendPrintable(nil, begin), '\n'), nil
	}
	line := appendPrintable(nil, begin[:len(begin)-1])
	return append(append(line, ','), body[1:]...), nil
}

// maxShown is how many bytes of a message a line for people shows.
const maxShown = 200

// eventText returns an event as a line for people.
func eventText(e *client.Event) []byte {
	var v gateway.Event
	if json.Unmarshal(e.Data, &v) != nil {
		return fmt.Appendf(nil, "%s %s\n", printable(e.Name), printable(excerpt(string(e.Data), maxShown)))
	}
	if e.Name == "lost" {
		var lost struct{ Count uint64 }
		json.Unmarshal(e.Data, &lost) // is an object, as it was one above
		return fmt.Appendf(nil, "%-23s  %-10s  up to %d events are missing\n", "", e.Name, lost.Count)
	}
	var about []string
	switch gateway.EventName(e.Name) {
	case gateway.EventConnect, gateway.EventDisconnect:
		about = []string{printable(v.Listener), printable(v.RemoteAddr), printable(v.Reason)}
	case gateway.EventCommand:
		about = append(about, commandSaid(v.Command))
	default:
		if v.Type != nil {
			about = append(about, printable(cmp.Or(v.TypeName, v.Type.String())))
		}
		about = append(about, said(&v))
	}
	line := fmt.Sprintf("%s  %-10s  %-16s  %s", v.At.Local().Format("2006-01-02 15:04:05.000"),
		printable(e.Name), printable(v.Device), strings.Join(about, " "))
	return []byte(strings.TrimRight(line, " ") + "\n")
}

// commandSaid returns what an event says of a command, for people.
func commandSaid(c *gateway.CommandEvent) string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%-9s  %s  %s", printable(string(c.State)), printable(c.ID), c.Type)
	if c.Attempts > 0 {
		text += ", " + number(c.Attempts, "attempt")
	}
	if c.Error != "" {
		return text + ": " + printable(excerpt(c.Error, maxShown))
	}
	if answer := compact(c.Answer); answer != "" {
		return text + ": " + answer
	}
	return text
}

// said returns what a message says, for people.
func said(v *gateway.Event) string {
	switch {
	case len(v.Data) > 0:
		text, err := appendJSONLine(nil, json.RawMessage(strings.ToValidUTF8(string(v.Data), "\uFFFD")))
		if err != nil {
			return ""
		}
		return excerpt(strings.TrimSuffix(string(text), "\n"), maxShown)
	case v.Raw != nil:
		if l := newLine(0, v.Raw); l.Text != nil {
			return printable(excerpt(*l.Text, maxShown))
		}
		return "hex " + excerpt(fmt.Sprintf("%x", v.Raw), maxShown)
	case v.Size > 0:
		return number(v.Size, "byte")
	}
	return ""
}
