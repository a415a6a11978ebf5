package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
)

// WrongResponse says how a response differs from what the description of the API says of it.
func (s *Server) WrongResponse(method, pattern string, status int, kind string, body []byte) error {
	doc := s.api.OpenAPI()
	item := doc.Paths[pattern]
	if item == nil {
		return fmt.Errorf("%s is not described", pattern)
	}
	op := map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "DELETE": item.Delete}[method]
	if op == nil {
		return fmt.Errorf("%s %s is not described", method, pattern)
	}
	response := op.Responses[strconv.Itoa(status)]
	if response == nil && (status == 401 || status == 403 || status == 429 || status == 500) {
		response = op.Responses["default"]
	}
	if response == nil {
		return fmt.Errorf("%s %s: status %d is not described", method, pattern, status)
	}
	if len(response.Content) == 0 && len(body) == 0 {
		return nil
	}
	media := response.Content[kind]
	if media == nil {
		return fmt.Errorf("%s %s: %d with %q is not described", method, pattern, status, kind)
	}
	if kind == "text/event-stream" {
		return nil
	}
	// What huma takes for base64 is never empty.
	body = bytes.ReplaceAll(body, []byte(`"raw":""`), []byte(`"raw":"AA=="`))
	var v any
	if err := json.NewDecoder(bytes.NewReader(body)).Decode(&v); err != nil {
		return err
	}
	var found huma.ValidateResult
	huma.Validate(doc.Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, v, &found)
	if len(found.Errors) > 0 {
		return fmt.Errorf("%s %s: %d: %v in %s", method, pattern, status, found.Errors, body)
	}
	return nil
}

// Routes returns the patterns of everything that is described.
func (s *Server) Routes() (patterns []string) {
	for path, item := range s.api.OpenAPI().Paths {
		for method, op := range map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "DELETE": item.Delete} {
			if op != nil {
				patterns = append(patterns, method+" "+path)
			}
		}
	}
	return patterns
}

// Decode reads a body as those of questions are read.
func Decode(data []byte) error {
	var in askInput
	return decode(data, &in.Body)
}

// Printable is what all output passes through.
var Printable = printable
