package client

import (
	"io"
	"net/http"
)

// SetTransport has something else make the requests.
func (c *Client) SetTransport(t http.RoundTripper) { c.http.Transport = t }

// MaxEvent bounds the bytes of one event.
const MaxEvent = maxEvent

// An EventReader reads server-sent events.
type EventReader struct{ *eventReader }

func NewEventReader(r io.Reader) EventReader { return EventReader{newEventReader(r)} }

func (r EventReader) Next() (Event, error) { return r.next() }
func (r EventReader) LastID() string       { return r.lastID }
