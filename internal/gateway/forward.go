package gateway

import (
	"context"
	"encoding/json"
	"mime"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/longwire/longwire"
)

// Forwarded is what the user's service receives of a message.
type Forwarded struct {
	ID       string          `json:"id"` // of the device
	Listener string          `json:"listener"`
	Type     longwire.Type   `json:"type"`
	TypeName string          `json:"type_name,omitempty"`
	Key      string          `json:"call_back_key,omitempty"`
	DataType string          `json:"data_type,omitempty"`
	Data     json.RawMessage `json:"data,omitempty"` // what the message says, where that is JSON
	Raw      []byte          `json:"raw,omitempty"`  // the data of the frame in base64, where it is not
	At       time.Time       `json:"at"`
}

// A forwarder has messages answered by the user's service.
type forwarder struct{ *service }

func newForwarder(f Forward) *forwarder {
	if f.URL == "" {
		return nil
	}
	orDefault(&f.InFlight, 64)
	return &forwarder{newService(f.Service, f.InFlight)}
}

// forward asks the service for the answer to a message. A response of JSON is the answer's data, one of
// bytes (application/octet-stream) the answer as it is, and its HTTP status the status.
func (g *Gateway) forward(ctx context.Context, f *forwarder, s *session, m *longwire.Message, name string) (any, error) {
	msg := &Forwarded{
		ID:       s.device.Load().id,
		Listener: s.port.name,
		Type:     m.Type,
		TypeName: name,
		Key:      m.Key(),
		DataType: m.DataType(),
		At:       time.Now().UTC(),
	}
	msg.Data, msg.Raw = say(m)
	r, body, err := f.post(ctx, msg)
	if err != nil {
		g.forwardFailed.Add(1)
		g.log.Warn("forward", "type", m.Type.String(), "device", msg.ID, "error", err)
		return nil, longwire.Errorf(longwire.StatusUnavailable, "the service that answers this cannot be reached")
	}
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	e := longwire.Envelope{Status: longwire.StatusOK}
	switch {
	case r.StatusCode >= 300 && r.StatusCode <= 399:
		g.forwardFailed.Add(1)
		g.log.Warn("forward", "type", m.Type.String(), "device", msg.ID, "error", "the service responds with a redirection", "status", r.StatusCode)
		return nil, longwire.Errorf(longwire.StatusUnavailable, "the service that answers this cannot be reached")
	case r.StatusCode >= 400:
		e.Status, e.Message = strconv.Itoa(r.StatusCode), http.StatusText(r.StatusCode)
	case kind == "application/octet-stream":
		return longwire.Raw(body), nil
	}
	switch {
	case len(body) == 0:
	case json.Valid(body) && (kind == "application/json" || strings.HasSuffix(kind, "+json")):
		e.Data = json.RawMessage(body)
	default:
		e.Data = strings.ToValidUTF8(string(body), "\uFFFD")
	}
	return e, nil
}

// say returns what a message says: as JSON, or the bytes of the frame.
func say(m *longwire.Message) (data json.RawMessage, raw []byte) {
	if payload := m.Payload(); json.Valid(payload) && !Deeper(payload, maxNested) {
		return json.RawMessage(payload), nil
	}
	return nil, m.Data
}

// maxNested is how many arrays and objects inside one another may be in what is shown as JSON. It stands inside
// others there, and package json reads no more than 10,000 in all: what is kept must be readable.
const maxNested = 1000

// Deeper reports whether data, which may be anything, has more than limit arrays and objects
// inside one another. It costs no memory, which package json does.
func Deeper(data []byte, limit int) bool {
	depth, quoted := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			if depth++; depth > limit {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
