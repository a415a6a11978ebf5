package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/show"
)

// devices is the command "longwire devices" with its flags.
type devices struct {
	api
	filter  client.Filter
	sort    column
	limit   count
	online  bool
	offline bool
	asJSON  bool
}

func newDevices() *cobra.Command {
	d := &devices{sort: column{word{"", []string{"id", "online", "since", "last_seen", "remote_addr", "listener", "epoch", "frames_in", "frames_out", "bytes_in", "bytes_out"}}}}
	cmd := &cobra.Command{
		Use:   "devices [ID]",
		Short: "Show the devices that a gateway knows",
		Long: `Devices shows the devices that have been connected to a gateway and that it still
knows: for how long each is online or away, where and how it connected, how many
messages came from it (IN) and went to it (OUT), and why its last connection ended.
With ID it shows one device, with all that is known of it.

With --json each device is one line of JSON, as the API describes it.

` + aboutAPI,
		Example: `  longwire devices --online
  longwire devices meter-7
  longwire devices --search hall --sort -bytes_in --limit 10
  longwire devices --group line-1 --json`,
		Args:              noneOr(arguments("ID")),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE:              func(cmd *cobra.Command, args []string) error { return d.run(cmd.Context(), args) },
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&d.online, "online", false, "only those that are connected")
	f.BoolVar(&d.offline, "offline", false, "only those that are not")
	f.StringVar(&d.filter.Group, "group", "", "only those in this `group`")
	f.StringVar(&d.filter.Listener, "listener", "", "only those whose present or last connection came in at this `listener`")
	f.StringVar(&d.filter.Prefix, "prefix", "", "only those whose id begins with this `text`")
	f.StringVar(&d.filter.Search, "search", "", "only those with this `text` in their id, address, groups or the values of their attributes")
	f.Var(&d.sort, "sort", "order by this field of --json, from the largest to the smallest with - before it; by id if it is not said")
	f.Var(&d.limit, "limit", "how many at most; 0 means all")
	f.BoolVar(&d.asJSON, "json", false, "print each device as a line of JSON")
	completeWord(cmd, "sort", d.sort.word)
	d.addFlags(cmd)
	return cmd
}

func (d *devices) run(ctx context.Context, args []string) error {
	if d.online && d.offline {
		return usagef("--online and --offline leave no device; choose one of them")
	}
	if d.online || d.offline {
		d.filter.Online = &d.online
	}
	d.filter.Sort, d.filter.Limit = d.sort.chosen, int(d.limit)
	if len(args) == 0 {
		return d.ask(ctx, d.list)
	}
	if d.filter != (client.Filter{}) {
		return usagef("the flags that choose among devices are for lists; leave them out, or ID")
	}
	if err := d.checkDevice(args[0]); err != nil {
		return err
	}
	return d.ask(ctx, d.show)
}

// list shows all devices.
func (d *devices) list(ctx context.Context, c *client.Client) error {
	if d.asJSON {
		return d.listJSON(ctx, c)
	}
	t := table{{"ID", "STATE", "LISTENER", "ADDRESS", "IDENTITY", "IN", "OUT", "LAST CLOSE"}}
	for body, err := range c.Devices(ctx, d.filter) {
		if err != nil {
			return err
		}
		v, err := readDevice(body)
		if err != nil {
			return err
		}
		t = append(t, []string{
			show.Printable(v.ID), stateOf(&v, time.Now()), show.Printable(v.Listener), show.Printable(v.RemoteAddr), show.Printable(string(v.Identity)),
			strconv.FormatInt(v.FramesIn, 10), strconv.FormatInt(v.FramesOut, 10), lastClose(&v),
		})
	}
	if len(t) == 1 {
		_, err := fmt.Fprintln(d.cmd.ErrOrStderr(), "no devices")
		return err
	}
	return d.print(t.text())
}

func (d *devices) listJSON(ctx context.Context, c *client.Client) error {
	out := bufio.NewWriter(d.cmd.OutOrStdout())
	for body, err := range c.Devices(ctx, d.filter) {
		if err != nil {
			out.Flush()
			return err
		}
		line, err := appendJSONLine(out.AvailableBuffer(), body)
		if err != nil {
			return err
		}
		out.Write(line)
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("cannot print the result: %w", innermost(err))
	}
	return nil
}

// show shows one device.
func (d *devices) show(ctx context.Context, c *client.Client) error {
	body, err := c.Device(ctx, d.device)
	if err != nil {
		return err
	}
	if d.asJSON {
		return d.printJSON(body)
	}
	v, err := readDevice(body)
	if err != nil {
		return err
	}
	return d.print(describe(&v, time.Now()))
}

func readDevice(body json.RawMessage) (v gateway.Device, err error) {
	if json.Unmarshal(body, &v) != nil {
		return v, &client.StrangeError{Status: 200}
	}
	return v, nil
}

// stateOf says whether a device is there, and since when that is so.
func stateOf(v *gateway.Device, now time.Time) string {
	switch {
	case v.Online && v.Since != nil:
		return "online " + age(*v.Since, now)
	case v.Online:
		return "online"
	}
	return "away " + age(v.LastSeen, now)
}

func lastClose(v *gateway.Device) string {
	if v.LastClose == nil {
		return "-"
	}
	return show.Printable(v.LastClose.Reason)
}

// describe tells all that is known of a device.
func describe(v *gateway.Device, now time.Time) []byte {
	state := stateOf(v, now)
	if v.Since != nil {
		state += ", since " + localTime(*v.Since)
	}
	last := lastClose(v)
	if v.LastClose != nil {
		last += ", " + age(v.LastClose.At, now) + " ago"
	}
	var groups []string
	for _, g := range v.Groups {
		groups = append(groups, show.Printable(g))
	}
	t := table{
		{"id", show.Printable(v.ID)},
		{"state", state},
		{"last seen", age(v.LastSeen, now) + " ago"},
		{"listener", show.Printable(v.Listener)},
		{"address", show.Printable(v.RemoteAddr)},
		{"identity", show.Printable(string(v.Identity))},
		{"epoch", strconv.FormatUint(v.Epoch, 10)},
		{"messages", fmt.Sprintf("%d in, %d out", v.FramesIn, v.FramesOut)},
		{"bytes", fmt.Sprintf("%d in, %d out", v.BytesIn, v.BytesOut)},
		{"last close", last},
		{"groups", cmp.Or(strings.Join(groups, ", "), "-")},
	}
	for _, name := range slices.Sorted(maps.Keys(v.Attributes)) {
		t = append(t, []string{"attribute", show.Printable(name) + " = " + show.Printable(v.Attributes[name])})
	}
	return t.text()
}

// localTime writes a time as people here do, to the second.
func localTime(t time.Time) string { return t.Local().Format("2006-01-02 15:04:05") }
