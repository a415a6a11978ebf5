package client

import (
	"context"
	"encoding/json"
	"net/http"
)

// Drain has the gateway let its devices go in good order, and stop. It does not wait for
// that.
func (c *Client) Drain(ctx context.Context) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: "/v1/drain"})
	return err
}

// Reloaded says what has become of the settings that had changed.
type Reloaded struct {
	Applied []string `json:"applied"` // are in force now
	Restart []string `json:"restart"` // will be after a restart
}

// Reload has the gateway read its configuration again. It returns what has changed, and that as the
// JSON that the gateway responded.
func (c *Client) Reload(ctx context.Context) (done Reloaded, body json.RawMessage, err error) {
	body, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/reload"})
	if err == nil {
		err = decode(body, &done)
	}
	return done, body, err
}
