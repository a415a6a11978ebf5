package client

import (
	"context"
	"encoding/json"
	"net/http"
	"time"

	"github.com/longwire/longwire/internal/gateway"
)

// A Message is what a device is asked or told.
type Message struct {
	Type string          // a number, or a name of the gateway's configuration
	Data json.RawMessage // travels in an envelope
	Raw  []byte          // travels as it is, in place of Data, where it is not nil
}

type messageBody struct {
	Type    string          `json:"type"`
	Data    json.RawMessage `json:"data,omitempty"`
	Raw     *[]byte         `json:"raw,omitempty"`
	Timeout string          `json:"timeout,omitempty"`
	Match   gateway.Match   `json:"match,omitempty"`
}

func (m *Message) body(timeout time.Duration) messageBody {
	b := messageBody{Type: m.Type, Data: m.Data, Timeout: timeout.String()}
	if m.Raw != nil {
		b.Data, b.Raw = nil, &m.Raw
	}
	if timeout == 0 {
		b.Timeout = ""
	}
	return b
}

// Ask asks a device and returns its answer, a [gateway.Answer] as JSON. The device may take so
// long; 0 leaves that to the gateway. Match says how the answer is found, "" by what was asked.
func (c *Client) Ask(ctx context.Context, id string, m Message, match gateway.Match, timeout time.Duration) (json.RawMessage, error) {
	body := m.body(timeout)
	body.Match = match
	return c.do(ctx, call{method: http.MethodPost, path: device(id) + "/ask", body: body, wait: timeout})
}

// Push tells a device something. There may have to be room for it first, for which it waits so
// long; 0 leaves that to the gateway.
func (c *Client) Push(ctx context.Context, id string, m Message, timeout time.Duration) error {
	_, err := c.do(ctx, call{method: http.MethodPost, path: device(id) + "/push", body: m.body(timeout), wait: timeout})
	return err
}

// A Target is to whom something is broadcast: the devices that are connected and in one of
// the groups or of the ids, or all of them.
type Target struct {
	All    bool     `json:"all,omitempty"`
	IDs    []string `json:"ids,omitempty"`
	Groups []string `json:"groups,omitempty"`
}

// Broadcast tells many devices something. It returns the counts, and them as the JSON that the
// gateway responded.
func (c *Client) Broadcast(ctx context.Context, to Target, m Message) (counts gateway.BroadcastCounts, body json.RawMessage, err error) {
	body, err = c.do(ctx, call{method: http.MethodPost, path: "/v1/broadcast", body: struct {
		To Target `json:"to"`
		messageBody
	}{to, m.body(0)}})
	if err == nil {
		err = decode(body, &counts)
	}
	return counts, body, err
}
