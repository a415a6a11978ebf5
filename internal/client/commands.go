package client

import (
	"context"
	"encoding/json"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/longwire/longwire/internal/gateway"
)

// A Command is what a device is to do when it is there. Zero fields leave it to the gateway.
type Command struct {
	Message
	Match    gateway.Match
	TTL      time.Duration // how long it may wait for the device
	Timeout  time.Duration // how long the device may take to answer before it is sent again
	Attempts int           // how often it is sent at most

	// Key, if not "", makes the request one that may be repeated.
	Key string
}

type commandBody struct {
	messageBody
	TTL      string `json:"ttl,omitempty"`
	Attempts int    `json:"attempts,omitempty"`
}

func (c *Command) body() commandBody {
	b := commandBody{messageBody: c.Message.body(c.Timeout), Attempts: c.Attempts}
	b.Match = c.Match
	if c.TTL != 0 {
		b.TTL = c.TTL.String()
	}
	return b
}

// waiting returns the query that has a response wait.
func waiting(wait time.Duration) url.Values {
	if wait == 0 {
		return nil
	}
	return url.Values{"wait": {wait.String()}}
}

// PutCommand has a command wait for a device, and returns it as JSON when it is on the gateway's
// disk, or when it has ended, for which it waits so long.
func (c *Client) PutCommand(ctx context.Context, id string, what Command, wait time.Duration) (json.RawMessage, error) {
	return c.do(ctx, call{method: http.MethodPost, path: device(id) + "/commands", query: waiting(wait), key: what.Key, body: what.body(), wait: wait})
}

// PlacedCommands counts what has become of a command for many devices.
type PlacedCommands struct {
	Commands []struct {
		Device string `json:"device"`
		ID     string `json:"id"`
		Error  *struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
		} `json:"error"`
	} `json:"commands"`
	Queued   int `json:"queued"`
	Repeated int `json:"repeated"`
	Refused  int `json:"refused"`
}

// PutCommands has a command wait for each device of a target, which may be away. It returns what has
// become of it, and that as the JSON that the gateway responded.
func (c *Client) PutCommands(ctx context.Context, to Target, what Command) (placed PlacedCommands, body json.RawMessage, err error) {
	body, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/commands", key: what.Key, body: struct {
		To Target `json:"to"`
		commandBody
	}{to, what.body()}})
	if err == nil {
		err = decode(body, &placed)
	}
	return placed, body, err
}

// Commands returns the commands of a device, each as JSON: those that have ended, and then those
// that wait. State, if not "", selects.
func (c *Client) Commands(ctx context.Context, id, state string) iter.Seq2[json.RawMessage, error] {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if state != "" {
		query.Set("state", state)
	}
	return c.pages(ctx, device(id)+"/commands", "commands", query)
}

// AllCommands returns the commands of all devices, each as JSON, the one that changed last first.
// State, if not "", selects; several have commas between.
func (c *Client) AllCommands(ctx context.Context, state string) iter.Seq2[json.RawMessage, error] {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if state != "" {
		query.Set("state", state)
	}
	return c.pages(ctx, "/v1/commands", "commands", query)
}

// RetryCommand has a command wait again that has ended without being done, and returns it as JSON.
func (c *Client) RetryCommand(ctx context.Context, id, command string) (json.RawMessage, error) {
	return c.do(ctx, call{method: http.MethodPost, path: commandPath(id, command) + "/retry"})
}

// Command returns a command as JSON, when it has ended or, as it is then, after so long.
func (c *Client) Command(ctx context.Context, id, command string, wait time.Duration) (json.RawMessage, error) {
	return c.do(ctx, call{method: http.MethodGet, path: commandPath(id, command), query: waiting(wait), wait: wait})
}

// CancelCommand calls a command back, and returns it as JSON.
func (c *Client) CancelCommand(ctx context.Context, id, command string) (json.RawMessage, error) {
	return c.do(ctx, call{method: http.MethodDelete, path: commandPath(id, command)})
}

func commandPath(id, command string) string {
	return device(id) + "/commands/" + url.PathEscape(command)
}

// Store returns what the gateway keeps, as JSON.
func (c *Client) Store(ctx context.Context) (json.RawMessage, error) {
	return c.do(ctx, call{method: http.MethodGet, path: "/v1/store"})
}

// A Keeping is what a gateway keeps, as it is shown.
type Keeping struct {
	Error     string `json:"error"`
	FreeBytes *int64 `json:"free_bytes"`
	Lost      struct {
		Records  uint64   `json:"records"`
		Bytes    uint64   `json:"bytes"`
		SetAside []string `json:"set_aside"`
	} `json:"lost"`
	Logs []struct {
		Name             string  `json:"name"`
		Records          uint64  `json:"records"`
		Bytes            uint64  `json:"bytes"`
		Keys             uint64  `json:"keys"`
		Commits          uint64  `json:"commits"`
		CommitSeconds    float64 `json:"commit_seconds"`
		MaxCommitSeconds float64 `json:"max_commit_seconds"`
		Refused          uint64  `json:"refused"`
		Failed           uint64  `json:"failed"`
		Damaged          uint64  `json:"damaged"`
	} `json:"logs"`
	Commands struct {
		Devices  int   `json:"devices"`
		Waiting  int   `json:"waiting"`
		Bytes    int64 `json:"bytes"`
		InFlight int   `json:"in_flight"`
		Ended    struct {
			Done      int64 `json:"done"`
			Failed    int64 `json:"failed"`
			Expired   int64 `json:"expired"`
			Dead      int64 `json:"dead"`
			Cancelled int64 `json:"cancelled"`
		} `json:"ended"`
	} `json:"commands"`
	Delivery *struct {
		Delivered int64 `json:"delivered"`
		Refused   int64 `json:"refused"`
		Failed    int64 `json:"failed"`
		Gone      int64 `json:"gone"`
		Ahead     int   `json:"ahead"`
	} `json:"delivery"`
	NotKept int64 `json:"not_kept"`
}
