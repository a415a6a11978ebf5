package httpapi

import (
	"context"
	"encoding/json"
	"reflect"

	"github.com/danielgtaylor/huma/v2"

	"github.com/longwire/longwire/internal/gateway"
)

type askInput struct {
	ID   string `path:"id" doc:"the id of the device"`
	Body struct {
		_       struct{}        `additionalProperties:"false"`
		Type    typeRef         `json:"type"`
		Data    json.RawMessage `json:"data,omitempty" doc:"any JSON, which travels in an envelope; null if there is no raw either"`
		Raw     *string         `json:"raw,omitempty" encoding:"base64" doc:"in place of data: bytes in base64, which travel as they are"`
		Timeout string          `json:"timeout,omitempty" doc:"how long to wait for the answer; 10s if it is not said" example:"5s"`
		Match   gateway.Match   `json:"match,omitempty" enum:"key,type" doc:"how the answer is found: it repeats the question's call_back_key, or it is the next message of the same type. If it is not said, key for data and type for raw"`
	} `nameHint:"Question"`
}

type askOutput struct{ Body answer }

func (s *Server) ask(ctx context.Context, in *askInput) (*askOutput, error) {
	q, err := s.readMatched(in.Body.Type, in.Body.Data, in.Body.Raw, in.Body.Match)
	if err != nil {
		return nil, err
	}
	timeout, err := s.readTimeout(in.Body.Timeout)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	a, err := s.g.Ask(ctx, in.ID, q)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &askOutput{answer{a}}, nil
}

// An answer is what a device has answered: its envelope, or bytes that are none.
type answer struct{ *gateway.Answer }

// Schema tells huma that there are two.
func (answer) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[gateway.EnvelopeAnswer](), true, ""),
		r.Schema(reflect.TypeFor[gateway.RawAnswer](), true, ""),
	}}
}
