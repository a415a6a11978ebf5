package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"syscall"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/show"
)

// events is the command "longwire events" with its flags.
type events struct {
	api
	stream client.Stream
	since  moment
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
  longwire events --name connect,disconnect --since 2h
  longwire events --from 0`,
		Args:              arguments(),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, _ []string) error { return e.run(cmd.Context()) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.StringVar(&e.stream.Device, "device", "", "only events of the device with this `id`")
	f.StringVar(&e.stream.Type, "type", "", "only messages of this `type`, a number or a name of the configuration")
	f.StringVar(&e.stream.Name, "name", "", "only events with this `name`: message, connect, disconnect or command; several with commas")
	f.StringVar(&e.stream.From, "from", "", "begin behind the event with this `id`; 0 for all that the gateway remembers")
	f.Var(&e.since, "since", "begin with what happened at this `time` or later: 2026-11-22T15:36:09Z, or 2h for two hours ago")
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
	if e.stream.From != "" && !e.since.IsZero() {
		return usagef("--from and --since both say where to begin; leave one of them out")
	}
	e.stream.Since = e.since.Time
	e.stream.Lost = e.lost()
	line := func(v *client.Event) ([]byte, error) { return eventText(v), nil }
	if e.asJSON {
		line = eventJSON
	}
	return e.ask(ctx, func(ctx context.Context, c *client.Client) error {
		return e.follow(ctx, c.Events(ctx, e.stream), line)
	})
}

// lost tells people that a stream has ended, and is asked for again.
func (a *api) lost() client.Lost {
	return func(why error, resumed bool) {
		gap := ""
		if !resumed {
			gap = ", and what happens meanwhile will be missing"
		}
		fmt.Fprintf(a.cmd.ErrOrStderr(), "%s: the connection to the gateway is lost: %s; trying again%s\n",
			a.cmd.CommandPath(), show.Printable(innermost(why).Error()), gap)
	}
}

// follow prints a line for each event until ctx ends, which is no error.
func (a *api) follow(ctx context.Context, events iter.Seq2[client.Event, error], line func(*client.Event) ([]byte, error)) error {
	for event, err := range events {
		if ctx.Err() != nil {
			return nil
		}
		var text []byte
		if err == nil {
			text, err = line(&event)
		}
		if err != nil {
			return err
		}
		if _, err := a.cmd.OutOrStdout().Write(text); errors.Is(err, syscall.EPIPE) {
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
		return fmt.Appendf(nil, "%s %s\n", show.Printable(e.Name), show.Printable(excerpt(string(e.Data), maxShown)))
	}
	if e.Name == "lost" {
		return lostText(e, "events")
	}
	var about []string
	switch gateway.EventName(e.Name) {
	case gateway.EventConnect, gateway.EventDisconnect:
		about = []string{show.Printable(v.Listener), show.Printable(v.RemoteAddr), show.Printable(v.Reason)}
	case gateway.EventCommand:
		about = append(about, commandSaid(v.Command))
	default:
		if v.Type != nil {
			about = append(about, show.Printable(cmp.Or(v.TypeName, v.Type.String())))
		}
		about = append(about, said(&v))
	}
	line := fmt.Sprintf("%s  %-10s  %-16s  %s", v.At.Local().Format(clock),
		show.Printable(e.Name), show.Printable(v.Device), strings.Join(about, " "))
	return []byte(strings.TrimRight(line, " ") + "\n")
}

// lostText tells how many of what a stream should have had are gone, as a line for people.
func lostText(e *client.Event, what string) []byte {
	var lost struct{ Count uint64 }
	json.Unmarshal(e.Data, &lost) // is an object, as the caller has seen
	return fmt.Appendf(nil, "%-23s  %-10s  up to %d %s are missing\n", "", e.Name, lost.Count, what)
}

// clock is how a line that is about a moment begins.
const clock = "2006-01-02 15:04:05.000"

// commandSaid returns what an event says of a command, for people.
func commandSaid(c *gateway.CommandEvent) string {
	if c == nil {
		return ""
	}
	text := fmt.Sprintf("%-9s  %s  %s", show.Printable(string(c.State)), show.Printable(c.ID), c.Type)
	if c.Attempts > 0 {
		text += ", " + number(c.Attempts, "attempt")
	}
	if c.Error != "" {
		return text + ": " + show.Printable(excerpt(c.Error, maxShown))
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
		return saidRaw(v.Raw)
	case v.Size > 0:
		return number(v.Size, "byte")
	}
	return ""
}

// saidRaw returns what the data of a message says, for people: as text where it begins as text.
func saidRaw(data []byte) string {
	head, more := data, ""
	if len(data) > maxShown {
		head, more = data[:maxShown], "…"
		for range utf8.UTFMax - 1 { // it may be cut in the middle of a character
			if !utf8.Valid(head) {
				head = head[:len(head)-1]
			}
		}
	}
	if utf8.Valid(head) {
		return show.Printable(string(head) + more)
	}
	return "hex " + excerpt(fmt.Sprintf("%x", data), maxShown)
}
