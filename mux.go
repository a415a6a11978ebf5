package longwire

import (
	"context"
	"fmt"
)

// A Mux is a [Handler] that chooses another one by the message's type. The zero
// Mux answers everything with status "404". Register handlers before the Mux is
// in use.
type Mux struct {
	// Fallback handles the types that have no handler. Nil means that they are
	// answered with status "404".
	Fallback Handler

	byType map[Type]Handler
}

// Register makes h the handler of a type. It panics when h is nil, when the type
// has a handler already, and for longwire's own types, 0xFF00 to 0xFFFF, which
// never reach a handler.
func (m *Mux) Register(t Type, h Handler) {
	f, isFunc := h.(HandlerFunc)
	switch {
	case h == nil, isFunc && f == nil:
		panic(fmt.Sprintf("longwire: the handler of type %v is nil", t))
	case firstReserved <= t && t <= lastReserved:
		panic(fmt.Sprintf("longwire: type %v is reserved", t))
	case m.byType[t] != nil:
		panic(fmt.Sprintf("longwire: type %v has a handler already", t))
	}
	if m.byType == nil {
		m.byType = make(map[Type]Handler)
	}
	m.byType[t] = h
}

// HandleFunc registers a function as the handler of a type, as Register does.
func (m *Mux) HandleFunc(t Type, f func(ctx context.Context, m *Message) (any, error)) {
	m.Register(t, HandlerFunc(f))
}

// Handle hands the message to the handler of its type.
func (m *Mux) Handle(ctx context.Context, msg *Message) (any, error) {
	if h := m.byType[msg.Type]; h != nil {
		return h.Handle(ctx, msg)
	}
	if m.Fallback != nil {
		return m.Fallback.Handle(ctx, msg)
	}
	return nil, Errorf(StatusNotFound, "no handler for type %v", msg.Type)
}
