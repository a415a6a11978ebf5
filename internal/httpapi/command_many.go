package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
)

type manyInput struct {
	Key  string `header:"Idempotency-Key" maxLength:"255" doc:"as of a request for one device, for each by itself"`
	Body newCommands
}

// newCommands are what many devices are to do. The fields behind To are those of newCommand.
type newCommands struct {
	_        struct{}        `additionalProperties:"false"`
	To       commandTargets  `json:"to"`
	Type     typeRef         `json:"type"`
	Data     json.RawMessage `json:"data,omitempty" doc:"any JSON, which travels in an envelope; null if there is no raw either"`
	Raw      *string         `json:"raw,omitempty" encoding:"base64" doc:"in place of data: bytes in base64, which travel as they are"`
	Match    gateway.Match   `json:"match,omitempty" enum:"key,type" doc:"how the answers are found"`
	TTL      string          `json:"ttl,omitempty" doc:"how long each may wait for its device" example:"24h"`
	Timeout  string          `json:"timeout,omitempty" doc:"how long a device may take to answer before the command is sent again" example:"10s"`
	Attempts *int            `json:"attempts,omitempty" minimum:"1" maximum:"1000" doc:"how often each is sent at most"`
}

// Resolve has the key checked.
func (*manyInput) Resolve(c huma.Context) []error { return checkKey(c) }

// commandTargets are whom a command is for.
type commandTargets struct {
	_      struct{} `additionalProperties:"false"`
	All    bool     `json:"all,omitempty" doc:"for every device that is known, but those that are away and were known by their address alone"`
	IDs    []string `json:"ids,omitempty" doc:"for these"`
	Groups []string `json:"groups,omitempty" doc:"for those in one of these groups"`
}

// A placed is what has become of a request for one device.
type placed struct {
	Device   string   `json:"device"`
	ID       string   `json:"id,omitempty" doc:"of the command"`
	Repeated bool     `json:"repeated,omitempty" doc:"the command was there already, of an earlier request with the same Idempotency-Key"`
	Error    *refused `json:"error,omitempty" doc:"why there is no command"`
}

type refused struct {
	Status int    `json:"status" doc:"that a request for this device alone would have met with"`
	Detail string `json:"detail"`
}

type manyOutput struct {
	Status int
	Body   struct {
		Commands []placed `json:"commands" doc:"one for each device"`
		Queued   int      `json:"queued" doc:"commands that are new"`
		Repeated int      `json:"repeated" doc:"commands that were there already"`
		Refused  int      `json:"refused" doc:"devices that there is no command for"`
	} `nameHint:"PlacedCommands"`
}

func (s *Server) putCommands(ctx context.Context, in *manyInput) (*manyOutput, error) {
	b := &in.Body
	r, err := s.readCommand(&newCommand{Type: b.Type, Data: b.Data, Raw: b.Raw, Match: b.Match, TTL: b.TTL, Timeout: b.Timeout, Attempts: b.Attempts}, in.Key)
	if err != nil {
		return nil, err
	}
	to := gateway.Target{All: b.To.All, IDs: b.To.IDs, Groups: b.To.Groups}
	if !to.All && len(to.IDs) == 0 && len(to.Groups) == 0 {
		return nil, newProblem(http.StatusBadRequest, "It must be said for whom: all, ids or groups.")
	}
	for _, id := range to.IDs {
		if !gateway.ValidID(id) {
			return nil, newProblem(http.StatusBadRequest, "%.64q in ids can be no id of a device.", id)
		}
	}
	results, err := s.g.Command(ctx, to, r)
	if err != nil {
		return nil, s.fail(ctx, err)
	}
	return s.placed(ctx, results)
}

// placed tells what has become of each, unless it is the gateway itself that has taken none.
func (s *Server) placed(ctx context.Context, results []queue.Result) (*manyOutput, error) {
	out := &manyOutput{Status: http.StatusOK}
	out.Body.Commands = make([]placed, len(results))
	var ours error
	for i, r := range results {
		p := placed{Device: r.Device, Repeated: r.Repeated}
		switch {
		case r.Err != nil:
			var why *problem
			if err := s.fail(ctx, r.Err); !errors.As(err, &why) {
				why = internal
			}
			if p.Error = (&refused{why.Status, why.Detail}); why.Status >= 500 {
				ours = why
			}
			out.Body.Refused++
		case r.Repeated:
			p.ID = r.Command.ID
			out.Body.Repeated++
		default:
			p.ID = r.Command.ID
			out.Body.Queued++
			out.Status = http.StatusAccepted
		}
		out.Body.Commands[i] = p
	}
	if ours != nil && out.Body.Queued+out.Body.Repeated == 0 {
		return nil, ours
	}
	return out, nil
}
