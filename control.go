package longwire

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/longwire/longwire/frame"
)

// The types 0xFF00 to 0xFFFF are longwire's own; they never reach a handler. Those
// without a meaning yet are ignored, so that later versions may give them one.
//
//	client                                  server
//	hello {"id":"meter-7","token":"…"}  ->
//	                                    <-  hello, an envelope: status "200", or "401" and the end
//	ping, empty                         ->
//	                                    <-  ping, "1795334400000": its time in Unix milliseconds
//	                                    <-  goaway {"after_ms":5000,"jitter_ms":5000}
//
// Ping and goaway may go in either direction, but a server sends them only to a
// peer that has sent a frame of these types itself.
const (
	TypeHello  Type = 0xFF00 // who a client is; JSON, see Hello
	TypePing   Type = 0xFF01 // empty: answer me; not empty: the answer
	TypeGoaway Type = 0xFF02 // come back after after_ms ± jitter_ms; JSON

	firstReserved Type = 0xFF00
	lastReserved  Type = 0xFFFF
)

// Hello is the data of a hello frame: who a client is. Server.Admit receives it as
// a message of TypeHello and decodes it with Message.Decode; whether it is true is
// for Admit to find out.
type Hello struct {
	ID         string            `json:"id"`
	Token      string            `json:"token,omitempty"`
	Groups     []string          `json:"groups,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// goaway is the data of a goaway frame.
type goaway struct {
	AfterMS  int64 `json:"after_ms"`
	JitterMS int64 `json:"jitter_ms"`
}

// control is a set of control frames to send. Several that mean the same are one.
type control uint8

const (
	ping control = 1 << iota
	pong
	away
)

// sendControl sends a control frame ahead of everything that is queued.
func (c *Conn) sendControl(what control) {
	c.mu.Lock()
	var b *buffer
	if c.phase != over {
		c.control |= what
		b = c.claimLocked()
	}
	c.mu.Unlock()
	if b != nil {
		c.link.kick(b)
	}
}

// appendControlLocked appends the control frames that are due.
func (c *Conn) appendControlLocked(b []byte) []byte {
	frames := int64(0)
	add := func(what control, t Type, data string) {
		if c.control&what != 0 {
			b, _ = c.end.codec.Append(b, t, []byte(data)) // small, and the type fits when there are control frames
			frames++
		}
	}
	add(pong, TypePing, strconv.FormatInt(time.Now().UnixMilli(), 10))
	add(ping, TypePing, "")
	add(away, TypeGoaway, comeBack)
	c.control = 0
	c.end.stats.framesOut.Add(frames)
	return b
}

// comeBack is what a server that shuts down tells its peers: back within ten
// seconds, but not all at once.
const comeBack = `{"after_ms":5000,"jitter_ms":5000}`

// controlArrived deals with a frame of a reserved type. It reports whether the
// messages behind it are handled as those before it, which is so for a ping.
func (c *Conn) controlArrived(f frame.Frame) (same bool) {
	m := Message{Type: f.Type, Data: f.Data, conn: c}
	m.parts.scan(f.Data)
	c.mu.Lock()
	if f.Type <= TypeGoaway {
		c.knows = true
	}
	answered := c.asks.answeredBy(&m)
	if status := m.parts.status.text(m.Data); answered && c.parting == nil && !statusOK(status) {
		c.parting = &CloseError{Reason: ReasonNotAdmitted} // whoever closes first
	}
	c.mu.Unlock()
	if answered {
		return false
	}
	m.parts = parts{} // a hello is no envelope
	switch f.Type {
	case TypeHello:
		c.helloArrived(&m)
	case TypePing:
		if len(f.Data) == 0 {
			c.sendControl(pong)
		}
	case TypeGoaway:
		g := new(goaway)
		if json.Unmarshal(f.Data, g) != nil {
			g = &goaway{AfterMS: 1000, JitterMS: 1000}
		}
		c.mu.Lock()
		c.rareLocked().goaway = g
		c.mu.Unlock()
		c.closeWhenIdle(ReasonGoaway)
	}
	return f.Type == TypePing
}

// A greeter is a handler of messages that has another one for hellos.
type greeter struct {
	Handler
	hello func(ctx context.Context, m *Message) error
}

func (g greeter) Handle(ctx context.Context, m *Message) (any, error) {
	if m.Type == TypeHello && m.conn.end.control {
		return Envelope{}, g.hello(ctx, m)
	}
	return g.Handler.Handle(ctx, m)
}

// helloArrived gives a hello to Admit, or to Server.Hello. A server without Admit lets everybody in,
// so there it is answered here; saying it again changes nothing. A client has
// nothing to answer it with.
func (c *Conn) helloArrived(m *Message) {
	c.mu.Lock()
	var b *buffer
	work := false
	if c.phase == stranger {
		c.rare.adm.take(m)
	} else if c.end.hello {
		work, b = c.enqueueLocked(m)
	} else if !c.end.dials {
		e := &Envelope{}
		if c.hello {
			e = &Envelope{Status: StatusConflict, Message: "hello has been said"}
		}
		if data, err := m.appendAnswer(nil, e); err == nil && c.end.fits(m.Type, len(data)) == nil {
			c.putLocked(m.Type, data)
			b = c.claimLocked()
		}
	}
	c.hello = true
	c.mu.Unlock()
	if work {
		c.work()
	}
	if b != nil {
		c.link.kick(b)
	}
}

// isReserved reports whether a type is longwire's own.
func (e *endpoint) isReserved(t Type) bool {
	return e.control && firstReserved <= t && t <= lastReserved
}

// application refuses the types that are not the application's to send.
func (e *endpoint) application(t Type) error {
	if e.isReserved(t) {
		return fmt.Errorf("longwire: type %v is reserved", t)
	}
	return nil
}
