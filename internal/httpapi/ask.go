package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
)

// A typeRef is a type of messages as people write it: a number, in decimal or with 0x in front
// hexadecimal, or a name of the configuration.
type typeRef string

// UnmarshalJSON takes a number as well as a text.
func (t *typeRef) UnmarshalJSON(b []byte) error {
	var text string
	if b[0] == '"' {
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
	} else {
		var n json.Number
		if err := json.Unmarshal(b, &n); err != nil || n == "" {
			return errors.New("the type must be a number or a name")
		}
		text = n.String()
	}
	*t = typeRef(text)
	return nil
}

// Schema tells huma that there are two ways to write it.
func (typeRef) Schema(huma.Registry) *huma.Schema {
	least := 0.0
	return &huma.Schema{OneOf: []*huma.Schema{
		{Type: huma.TypeInteger, Minimum: &least},
		{Type: huma.TypeString, Description: "a number, decimal or with 0x in front, or a name of the configuration"},
	}}
}

// readType returns the type that is meant.
func (s *Server) readType(name string) (longwire.Type, error) {
	if name == "" {
		return 0, newProblem(http.StatusBadRequest, "A type is needed: a number or a name of the configuration.")
	}
	t, err := s.g.TypeOf(name)
	switch {
	case err != nil:
		return 0, newProblem(http.StatusBadRequest, "The %v.", err)
	case 0xFF00 <= t && t <= 0xFFFF:
		return 0, newProblem(http.StatusBadRequest, "The types 0xff00 to 0xffff are longwire's own.")
	}
	return t, nil
}

// readQuestion returns what a device is to receive: any JSON, or bytes in base64.
func (s *Server) readQuestion(kind typeRef, data json.RawMessage, raw *string) (q gateway.Question, err error) {
	if q.Type, err = s.readType(string(kind)); err != nil {
		return q, err
	}
	if data != nil && raw != nil {
		return q, newProblem(http.StatusBadRequest, "There are data and raw; only one of them can travel.")
	}
	q.Data = data
	if raw != nil {
		if q.Raw, err = base64.StdEncoding.Strict().DecodeString(*raw); err != nil {
			return q, newProblem(http.StatusBadRequest, "What is in raw is not base64.")
		}
	}
	return q, nil
}

// readTimeout returns how long a device may take.
func (s *Server) readTimeout(text string) (time.Duration, error) {
	if text == "" {
		return min(defaultTimeout, s.conf.MaxWait), nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d <= 0 || d > s.conf.MaxWait {
		return 0, newProblem(http.StatusBadRequest, "The timeout must be a time such as 5s or 300ms, and at most %v.", s.conf.MaxWait)
	}
	return d, nil
}

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
	q, err := s.readQuestion(in.Body.Type, in.Body.Data, in.Body.Raw)
	if err != nil {
		return nil, err
	}
	switch q.Match = in.Body.Match; {
	case q.Match != "" && q.Match != gateway.MatchKey && q.Match != gateway.MatchType:
		return nil, newProblem(http.StatusBadRequest, "What match says must be key or type.")
	case q.Match == gateway.MatchKey && q.Raw != nil:
		return nil, newProblem(http.StatusBadRequest, "An answer to raw bytes cannot be matched by key: there is none in them.")
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

type envelope struct {
	DataType string          `json:"data_type"`
	Key      string          `json:"call_back_key"`
	Status   string          `json:"status" doc:"the device's own, with HTTP's meanings"`
	Message  string          `json:"message"`
	Data     json.RawMessage `json:"data"`
}

type bytesAnswer struct {
	Raw []byte `json:"raw" doc:"the data of the frame in base64, where it is no envelope"`
}

// MarshalJSON writes one of the two.
func (a answer) MarshalJSON() ([]byte, error) {
	if a.Raw != nil {
		return json.Marshal(bytesAnswer{a.Raw})
	}
	return json.Marshal(envelope{a.DataType, a.Key, a.Status, a.Message, a.Data})
}

// Schema tells huma that there are two.
func (answer) Schema(r huma.Registry) *huma.Schema {
	return &huma.Schema{OneOf: []*huma.Schema{
		r.Schema(reflect.TypeFor[envelope](), true, ""),
		r.Schema(reflect.TypeFor[bytesAnswer](), true, ""),
	}}
}

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

type broadcastOutput struct {
	Body struct {
		Queued int `json:"queued" doc:"devices that it is on its way to"`
		Full   int `json:"full" doc:"devices that have left too much unread, or whose listener has no frame that it fits in"`
		Away   int `json:"away" doc:"those of ids that are not connected"`
	} `nameHint:"BroadcastCounts"`
}

func (s *Server) broadcast(ctx context.Context, in *broadcastInput) (*broadcastOutput, error) {
	q, err := s.readQuestion(in.Body.Type, in.Body.Data, in.Body.Raw)
	if err != nil {
		return nil, err
	}
	to := gateway.Target{All: in.Body.To.All, IDs: in.Body.To.IDs, Groups: in.Body.To.Groups}
	if !to.All && len(to.IDs) == 0 && len(to.Groups) == 0 {
		return nil, newProblem(http.StatusBadRequest, "It must be said to whom: all, ids or groups.")
	}
	queued, full, away, err := s.g.Broadcast(to, q)
	if err != nil && queued == 0 {
		return nil, s.fail(ctx, err)
	}
	out := new(broadcastOutput)
	out.Body.Queued, out.Body.Full, out.Body.Away = queued, full, away
	return out, nil
}
