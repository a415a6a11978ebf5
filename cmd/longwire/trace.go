package main

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/show"
)

func newTrace() *cobra.Command {
	a, asJSON := new(api), false
	cmd := &cobra.Command{
		Use:   "trace ID",
		Short: "Show the frames of a device as they go",
		Long: `Trace prints a line for every frame that comes from a device (in) or is sent to it
(out), until it receives SIGINT or SIGTERM: the time, the type, how many bytes of data
the frame has, and what they say. It begins with those that the gateway remembers, and
goes on when the device connects again. As long as somebody looks, the gateway
remembers the first 4,096 bytes of the data of its frames, whatever devices.frames says.
Pings, the hello and the goaway of a connection are not shown, nor are answers that come
when nobody waits for them any more.

Long data is cut. With --json a frame is one line of JSON, {"event":"frame","id":…,…},
as the API describes it, with the data in base64. A line "lost" says how many frames may
be missing there, because the gateway remembers no more.

` + aboutAPI,
		Example: `  longwire trace meter-7
  longwire trace meter-7 --json`,
		Args:              arguments("ID"),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := a.checkDevice(args[0]); err != nil {
				return err
			}
			line := traceText
			if asJSON {
				line = traceJSON
			}
			return a.ask(cmd.Context(), func(ctx context.Context, c *client.Client) error {
				return a.follow(ctx, c.Trace(ctx, a.device, nil, a.lost()), line)
			})
		},
	}
	f := cmd.Flags()
	f.SortFlags = false
	f.BoolVar(&asJSON, "json", false, "print each frame as a line of JSON")
	a.addFlags(cmd)
	return cmd
}

// traceJSON returns an event of a trace as a line of JSON. A frame has its id among what the gateway
// tells of it.
func traceJSON(e *client.Event) ([]byte, error) {
	return eventJSON(&client.Event{Name: e.Name, Data: e.Data})
}

// traceText returns an event of a trace as a line for people.
func traceText(e *client.Event) ([]byte, error) {
	var f gateway.Frame
	if json.Unmarshal(e.Data, &f) != nil {
		return nil, &client.StrangeError{Status: 200}
	}
	if e.Name == "lost" {
		return lostText(e, "frames"), nil
	}
	line := fmt.Sprintf("%s  %-3s  %-16s  %10s  %s", f.At.Local().Format(clock), show.Printable(string(f.Direction)),
		show.Printable(cmp.Or(f.TypeName, f.Type.String())), number(f.Size, "byte"), saidRaw(f.Data))
	return []byte(strings.TrimRight(line, " ") + "\n"), nil
}
