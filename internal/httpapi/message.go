package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
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

// readMatched is readQuestion for what is to be answered.
func (s *Server) readMatched(kind typeRef, data json.RawMessage, raw *string, match gateway.Match) (q gateway.Question, err error) {
	if q, err = s.readQuestion(kind, data, raw); err != nil {
		return q, err
	}
	switch q.Match = match; {
	case match == "" && raw != nil:
		q.Match = gateway.MatchType
	case match == "":
		q.Match = gateway.MatchKey
	case match != gateway.MatchKey && match != gateway.MatchType:
		return q, newProblem(http.StatusBadRequest, "What match says must be key or type.")
	case match == gateway.MatchKey && raw != nil:
		return q, newProblem(http.StatusBadRequest, "An answer to raw bytes cannot be matched by key: there is none in them.")
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
