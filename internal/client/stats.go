package client

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

// Stats returns what the gateway has counted, and its samples of the last hour that are newer than
// a time, as the JSON that the gateway responded. A zero time means all.
func (c *Client) Stats(ctx context.Context, since time.Time) (json.RawMessage, error) {
	query := url.Values{}
	if !since.IsZero() {
		query.Set("since", since.UTC().Format(time.RFC3339Nano))
	}
	return c.do(ctx, call{method: http.MethodGet, path: "/v1/stats", query: query})
}
