package top

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"time"

	tea "charm.land/bubbletea/v2"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
)

// stats is the part of the API's that is shown.
type stats struct {
	StartedAt time.Time `json:"started_at"`
	Interval  string    `json:"interval"`
	Devices   struct{ Known, Online int }
	Memory    struct{ Used, Limit int64 }
	Listeners []struct {
		FramesIn  int64 `json:"frames_in"`
		FramesOut int64 `json:"frames_out"`
	}
	Commands *struct {
		Waiting int
		Ended   map[string]int64
	}
	Store *struct {
		Error string
		Bytes int64
	}
	Samples []sample
}

// A sample is what happened in one interval.
type sample struct {
	At         time.Time
	FramesIn   int64 `json:"frames_in"`
	FramesOut  int64 `json:"frames_out"`
	Asks       int64
	AsksFailed int64            `json:"asks_failed"`
	AskP50     float64          `json:"ask_p50"`
	AskP99     float64          `json:"ask_p99"`
	Closed     map[string]int64 `json:"closed"`
}

const maxSamples = 360 // as many as a gateway has

// A look is what the gateway has said at one moment.
type look struct {
	at       time.Time
	stats    stats
	boards   []gateway.Device // from offset on
	offset   int
	total    int
	commands []queue.Command
	err      error
	window   window // that was asked for
}

// A window is what is asked for.
type window struct {
	page          int
	sort, search  string
	offset, limit int
}

// rankable is how many boards are asked for all together, so that they can be ordered by what they do
// now. It is the most that one response may have.
const rankable = 1000

// load looks at the gateway, and at its samples that are newer than a time.
func load(ctx context.Context, c *client.Client, w window, since time.Time) (l look) {
	l.window, l.offset = w, w.offset
	body, err := c.Stats(ctx, since)
	l.at = time.Now()
	if err == nil {
		err = json.Unmarshal(body, &l.stats)
	}
	if err == nil && w.page == boardsPage {
		sort := w.sort
		if sort != "id" {
			sort = "-" + sort // the busiest first
		}
		body, total, pageErr := c.DevicePage(ctx, client.Filter{Search: w.search, Sort: sort}, w.offset, w.limit)
		if l.total, err = total, pageErr; err == nil {
			err = json.Unmarshal(body, &l.boards)
		}
	}
	if err == nil && w.page == commandsPage && l.stats.Commands != nil {
		for body, pageErr := range c.AllCommands(ctx, "queued,sent,failed,dead,expired") {
			var one queue.Command
			if err = pageErr; err == nil {
				err = json.Unmarshal(body, &one)
			}
			if err != nil || len(l.commands) == 500 {
				break
			}
			l.commands = append(l.commands, one)
		}
	}
	l.err = err
	return l
}

// isFatal reports whether asking again would end in the same way.
func isFatal(err error) bool {
	p, ok := errors.AsType[*client.Problem](err)
	return ok && (p.Status == http.StatusUnauthorized || p.Status == http.StatusForbidden)
}

// why tells what is wrong: where the gateway has said it in a sentence, that.
func why(err error) string {
	if p, ok := errors.AsType[*client.Problem](err); ok && p.Detail != "" {
		return p.Detail
	}
	return err.Error()
}

// A closed is the end of a connection.
type closed struct{ gateway.Event }

// followCloses tells of connections that end, until ctx does.
func followCloses(ctx context.Context, c *client.Client, send func(tea.Msg)) {
	s := client.Stream{EventFilter: client.EventFilter{Name: string(gateway.EventDisconnect)}, Since: time.Now().Add(-time.Hour)}
	for ctx.Err() == nil {
		for e, err := range c.Events(ctx, s) {
			var end closed
			if err == nil && e.Name == string(gateway.EventDisconnect) && json.Unmarshal(e.Data, &end.Event) == nil {
				send(end)
			}
		}
		s.Since = time.Time{} // it could not begin, or was refused
		select {
		case <-time.After(5 * time.Second):
		case <-ctx.Done():
		}
	}
}

// A traced is a frame of the board that is looked at, or without one whether it is looked at now.
type traced struct {
	id    string
	frame *gateway.Frame
	open  bool
	err   error
}

// followTrace tells of the frames of a board, until ctx ends.
func followTrace(ctx context.Context, c *client.Client, id string, send func(tea.Msg)) {
	began := func() { send(traced{id: id, open: true}) }
	lost := func(error, bool) { send(traced{id: id}) }
	for e, err := range c.Trace(ctx, id, began, lost) {
		if ctx.Err() != nil {
			return
		}
		t := traced{id: id, open: true, err: err}
		if err == nil && (e.Name != "frame" || json.Unmarshal(e.Data, &t.frame) != nil) {
			continue
		}
		send(t)
	}
}
