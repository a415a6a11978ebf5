package httpapi

import (
	"context"

	"github.com/longwire/longwire/internal/gateway"
)

type typesOutput struct {
	Body struct {
		Types []gateway.NamedType `json:"types" doc:"in the order of their numbers"`
	} `nameHint:"TypeList"`
}

func (s *Server) listTypes(context.Context, *struct{}) (*typesOutput, error) {
	out := new(typesOutput)
	out.Body.Types = s.g.NamedTypes()
	return out, nil
}
