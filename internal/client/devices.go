package client

import (
	"context"
	"encoding/json"
	"fmt"
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
	Search   string // in the id, the address, the groups and the values of attributes

	// Sort is the field of a device that they are ordered by, from the largest to the smallest with
	// - before it. "" means by id. Those that change their place while several pages are read may be
	// missing, or there twice.
	Sort string

	// Limit is how many there may be. Zero means all.
	Limit int
}

const pageSize = 1000 // devices that are asked for at a time; the most that there may be

// Devices returns the devices that a filter selects, each a [gateway.Device] as JSON, in the
// order of their ids or as the filter says. It asks for as many at a time as one response may have.
func (c *Client) Devices(ctx context.Context, f Filter) iter.Seq2[json.RawMessage, error] {
	query := f.query()
	query.Set("limit", strconv.Itoa(pageSize))
	if f.Limit > 0 {
		query.Set("limit", strconv.Itoa(min(f.Limit, pageSize)))
	}
	return func(yield func(json.RawMessage, error) bool) {
		n := 0
		for device, err := range c.pages(ctx, "/v1/devices", "devices", query) {
			if !yield(device, err) {
				return
			}
			if n++; n == f.Limit {
				return
			}
		}
	}
}

// pages returns all that a list has, whose items stand under a name. It asks for as much at a time
// as the query says. A list that says how many there are in all is continued by their number, and others
// with a cursor.
func (c *Client) pages(ctx context.Context, path, name string, query url.Values) iter.Seq2[json.RawMessage, error] {
	return func(yield func(json.RawMessage, error) bool) {
		offset := 0
		for {
			var items []json.RawMessage
			var next string
			var total int
			body, err := c.do(ctx, call{method: http.MethodGet, path: path, query: query})
			page := map[string]json.RawMessage{}
			if err == nil {
				err = decode(body, &page)
			}
			for field, v := range map[string]any{name: &items, "next": &next, "total": &total} {
				if err == nil && page[field] != nil {
					err = decode(page[field], v)
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, item := range items {
				if !yield(item, nil) {
					return
				}
			}
			offset += len(items)
			switch {
			case next == "" && len(items) > 0 && offset < total:
				query.Set("offset", strconv.Itoa(offset))
				continue
			case next == "":
				return
			case next == query.Get("cursor"):
				yield(nil, fmt.Errorf("the gateway gives the same page of %s again and again", name))
				return
			}
			query.Set("cursor", next)
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
