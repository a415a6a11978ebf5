package client

import (
	"context"
	"encoding/json"
	"errors"
	"iter"
	"net/http"
	"net/url"
	"strconv"
)

// A Filter selects devices. Zero fields let all pass.
type Filter struct {
	Online   *bool
	Group    string
	Listener string
	Prefix   string // of the id
}

const pageSize = 1000 // devices that are asked for at a time; the most that there may be

// Devices returns all devices that a filter selects, each a [gateway.Device] as JSON, in the
// order of their ids. It asks for as many at a time as one response may have.
func (c *Client) Devices(ctx context.Context, f Filter) iter.Seq2[json.RawMessage, error] {
	query := url.Values{"limit": {strconv.Itoa(pageSize)}}
	if f.Online != nil {
		query.Set("online", strconv.FormatBool(*f.Online))
	}
	for name, value := range map[string]string{"group": f.Group, "listener": f.Listener, "prefix": f.Prefix} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return func(yield func(json.RawMessage, error) bool) {
		for {
			var page struct {
				Devices []json.RawMessage `json:"devices"`
				Next    string            `json:"next"`
			}
			body, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/devices", query: query})
			if err == nil {
				err = decode(body, &page)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, d := range page.Devices {
				if !yield(d, nil) {
					return
				}
			}
			switch page.Next {
			case "":
				return
			case query.Get("cursor"):
				yield(nil, errors.New("the gateway gives the same page of devices again and again"))
				return
			}
			query.Set("cursor", page.Next)
		}
	}
}

// Device returns what is known of a device, a [gateway.Device] as JSON.
func (c *Client) Device(ctx context.Context, id string) (json.RawMessage, error) {
	return c.do(ctx, call{method: http.MethodGet, path: device(id)})
}

// Kick ends the connection of a device.
func (c *Client) Kick(ctx context.Context, id string) error {
	_, err := c.do(ctx, call{method: http.MethodDelete, path: device(id) + "/connection"})
	return err
}

// device returns the path of a device.
func device(id string) string { return "/v1/devices/" + url.PathEscape(id) }
