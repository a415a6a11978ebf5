package longwire

import (
	"bytes"
	"context"
	"encoding/json"

	"github.com/longwire/longwire/frame"
)

// A Type is the type of a message, the number that the frame carries. The types
// 0xFF00 to 0xFFFF are longwire's own; all others belong to the application.
type Type = frame.Type

// A Message is what one frame brought. It is valid until the handler that it was
// given to returns; Clone makes one that stays.
type Message struct {
	// Type is the frame's type.
	Type Type
	// Data is the frame's data, as it is. It is lent: the bytes belong to the
	// connection, must not be changed, and are overwritten when the handler has
	// returned.
	Data []byte

	conn  *Conn
	parts parts
	raw   Raw
}

// Conn returns the connection that the message came from.
func (m *Message) Conn() *Conn { return m.conn }

// Key returns the call_back_key of a question, and "" for a message that is none.
func (m *Message) Key() string { return m.parts.key.text(m.Data) }

// DataType returns the data_type of an envelope, and "" for other data.
func (m *Message) DataType() string { return m.parts.dataType.text(m.Data) }

// Payload returns what the message says: the data field of an envelope, as JSON,
// nil when it has none, or the whole data when it is no envelope. It is lent like
// Data.
func (m *Message) Payload() []byte {
	if m.parts == (parts{}) {
		return m.Data
	}
	return m.parts.data.in(m.Data)
}

// Decode decodes the payload as JSON into v. The error is an [*Error] with status
// "400", so a handler may return it as it is.
func (m *Message) Decode(v any) error {
	if err := json.Unmarshal(m.Payload(), v); err != nil {
		return Errorf(StatusBadRequest, "data of type %v: %v", m.Type, err)
	}
	return nil
}

// Raw returns b as an answer that is sent as it is, as the conversion Raw(b) does, and
// allocates nothing. It is valid until the handler returns, and b must be so too.
func (m *Message) Raw(b []byte) *Raw {
	m.raw = b
	return &m.raw
}

// Clone returns a copy of the message that the caller may keep.
func (m *Message) Clone() *Message {
	c := *m
	c.Data = bytes.Clone(m.Data)
	return &c
}

// A Handler handles the messages of connections.
//
// What Handle returns is the answer: a question is always answered, any other
// message when there is something to say, a value or an error. A value travels
// as the data of an envelope with status "200"; an [Envelope] and [Raw] say more
// precisely what is sent, and [NoAnswer] that nothing is; an [*Error] is an answer with its status, any other
// error one with status "500".
//
// The messages of one connection are handled one after the other, in the order
// of their arrival; those of different connections at the same time. Handle may
// block, and may Ask the connection that the message came from. ctx ends when the
// connection is over. A panic is answered with status "500" and logged, and ends
// nothing else.
type Handler interface {
	Handle(ctx context.Context, m *Message) (answer any, err error)
}

// NoAnswer is what a handler returns to have nothing sent, not even to a question: the
// answer will come later, by Push of an [Envelope] with the question's key and a status,
// or never.
const NoAnswer noAnswer = 0

type noAnswer int

// HandlerFunc is a function as a [Handler].
type HandlerFunc func(ctx context.Context, m *Message) (any, error)

// Handle calls f.
func (f HandlerFunc) Handle(ctx context.Context, m *Message) (any, error) { return f(ctx, m) }

// Typed makes a function of decoded values a handler: the payload is decoded as
// JSON into In, with status "400" as the answer when that fails, and Out is the
// answer's data.
func Typed[In, Out any](f func(ctx context.Context, in In) (Out, error)) HandlerFunc {
	return func(ctx context.Context, m *Message) (any, error) {
		var in In
		if err := m.Decode(&in); err != nil {
			return nil, err
		}
		return f(ctx, in)
	}
}
