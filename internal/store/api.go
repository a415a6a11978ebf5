package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Subjects of the engine's requests.
const (
	apiInfo   = "$JS.API.STREAM.INFO."
	apiPurge  = "$JS.API.STREAM.PURGE."
	apiGet    = "$JS.API.STREAM.MSG.GET."
	apiDirect = "$JS.API.DIRECT.GET."
)

// codeStreamNotFound is the engine's word for a stream that it does not have.
const codeStreamNotFound = 10059

func isNotFound(err error) bool {
	var api *jetstream.APIError
	return errors.As(err, &api) && api.ErrorCode == codeStreamNotFound
}

// request asks the engine something and gives up when the engine is gone.
func (e *engine) request(ctx context.Context, subject string, body []byte) (*nats.Msg, error) {
	ctx, cancel := e.bound(ctx)
	defer cancel()
	m, err := e.nc.RequestWithContext(ctx, subject, body)
	if err != nil && ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	return m, err
}

// bound returns a context that ends with ctx, when the engine is gone, and when an
// answer has been waited for too long.
func (e *engine) bound(ctx context.Context) (context.Context, func()) {
	up, _ := e.current()
	ctx, cancel := context.WithCancelCause(ctx)
	limited, cancelLimit := context.WithTimeout(ctx, requestTimeout)
	unhook := context.AfterFunc(up, func() { cancel(unavailable(context.Cause(up))) })
	return limited, func() { unhook(); cancelLimit(); cancel(nil) }
}

// ask is request with JSON both ways.
func (e *engine) ask(ctx context.Context, subject string, question, answer any) error {
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	m, err := e.request(ctx, subject, body)
	if err != nil {
		return err
	}
	return parseAnswer(m, answer)
}

func parseAnswer(m *nats.Msg, answer any) error {
	var failure struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &failure); err != nil {
		return fmt.Errorf("the engine answers %q: %w", m.Data, err)
	}
	if failure.Error != nil {
		return failure.Error
	}
	if answer == nil {
		return nil
	}
	return json.Unmarshal(m.Data, answer)
}

func (e *engine) streamInfo(ctx context.Context, log string) (*jetstream.StreamInfo, error) {
	info := new(jetstream.StreamInfo)
	return info, e.ask(ctx, apiInfo+streamName(log), struct{}{}, info)
}

type purgeRequest struct {
	Filter string `json:"filter"`
}

// purge deletes all messages of a subject.
func (e *engine) purge(ctx context.Context, log, subject string) error {
	return e.ask(ctx, apiPurge+streamName(log), purgeRequest{subject}, nil)
}

// last returns the latest message of a subject.
func (e *engine) last(ctx context.Context, log, subject string) (*nats.Msg, error) {
	m, err := e.request(ctx, apiDirect+streamName(log)+"."+subject, nil)
	if err != nil {
		return nil, err
	}
	return m, status(m)
}

// errTooMany is returned where the engine finds more than it returns in this way.
var errTooMany = errors.New("too many results")

// status returns what is wrong with the answer to a read, which is a message as it
// was stored, or nothing with a status.
func status(m *nats.Msg) error {
	switch code := m.Header.Get("Status"); {
	case code == "" || len(m.Data) > 0:
		return nil
	case code == "404":
		return ErrNotFound
	case code == "413":
		return errTooMany
	default:
		return fmt.Errorf("the engine answers %s %s", code, m.Header.Get("Description"))
	}
}
