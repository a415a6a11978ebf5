package httpapi

import (
	"context"
	"encoding/json"
	"net/http"

	"github.com/longwire/longwire/internal/gateway"
)

type pushInput struct {
	ID   string `path:"id" doc:"the id of the device"`
	Body struct {
		_       struct{}        `additionalProperties:"false"`
		Type    typeRef         `json:"type"`
		Data    json.RawMessage `json:"data,omitempty" doc:"any JSON, which travels in an envelope; null if there is no raw either"`
		Raw     *string         `json:"raw,omitempty" encoding:"base64" doc:"in place of data: bytes in base64, which travel as they are"`
		Timeout string          `json:"timeout,omitempty" doc:"how long to wait for room, where the device reads slowly; 10s if it is not said" example:"5s"`
	} `nameHint:"Push"`
}

// accepted is the body of a response that has nothing to say.
type accepted struct{}

type acceptedOutput struct{ Body accepted }

func (s *Server) push(ctx context.Context, in *pushInput) (*acceptedOutput, error) {
	q, err := s.readQuestion(in.Body.Type, in.Body.Data, in.Body.Raw)
	if err != nil {
		return nil, err
	}
	timeout, err := s.readTimeout(in.Body.Timeout)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.g.Push(ctx, in.ID, q); err != nil {
		return nil, s.fail(ctx, err)
	}
	return new(acceptedOutput), nil
}

type broadcastInput struct {
	Body struct {
		_    struct{}        `additionalProperties:"false"`
		To   target          `json:"to"`
		Type typeRef         `json:"type"`
		Data json.RawMessage `json:"data,omitempty" doc:"any JSON, which travels in an envelope; null if there is no raw either"`
		Raw  *string         `json:"raw,omitempty" encoding:"base64" doc:"in place of data: bytes in base64, which travel as they are"`
	} `nameHint:"Broadcast"`
}

type target struct {
	_      struct{} `additionalProperties:"false"`
	All    bool     `json:"all,omitempty" doc:"to every device that is connected"`
	IDs    []string `json:"ids,omitempty" doc:"to these"`
	Groups []string `json:"groups,omitempty" doc:"to those in one of these groups"`
}

type broadcastOutput struct{ Body gateway.BroadcastCounts }

func (s *Server) broadcast(ctx context.Context, in *broadcastInput) (*broadcastOutput, error) {
	q, err := s.readQuestion(in.Body.Type, in.Body.Data, in.Body.Raw)
	if err != nil {
		return nil, err
	}
	to := gateway.Target{All: in.Body.To.All, IDs: in.Body.To.IDs, Groups: in.Body.To.Groups}
	if !to.All && len(to.IDs) == 0 && len(to.Groups) == 0 {
		return nil, newProblem(http.StatusBadRequest, "It must be said to whom: all, ids or groups.")
	}
	counts, err := s.g.Broadcast(to, q)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return &broadcastOutput{counts}, nil
}
