package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"
)

// DevicePage returns a part of the devices that a filter selects, in its order: at most limit, without
// the first offset of them, as a list in JSON of which each is a [gateway.Device]. Total is how many there
// are in all.
func (c *Client) DevicePage(ctx context.Context, f Filter, offset, limit int) (devices json.RawMessage, total int, err error) {
	query := f.query()
	query.Set("limit", strconv.Itoa(limit))
	query.Set("offset", strconv.Itoa(offset))
	if f.Sort == "" {
		query.Set("sort", "id")
	}
	body, err := c.do(ctx, call{method: http.MethodGet, path: "/v1/devices", query: query})
	if err != nil {
		return nil, 0, err
	}
	var page struct {
		Devices json.RawMessage
		Total   int
	}
	err = decode(body, &page)
	return page.Devices, page.Total, err
}

func (f *Filter) query() url.Values {
	query := make(url.Values)
	if f.Online != nil {
		query.Set("online", strconv.FormatBool(*f.Online))
	}
	for name, value := range map[string]string{"group": f.Group, "listener": f.Listener, "prefix": f.Prefix, "search": f.Search, "sort": f.Sort} {
		if value != "" {
			query.Set(name, value)
		}
	}
	return query
}
