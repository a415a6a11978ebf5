package longwire

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"unicode/utf8"
)

// Ask sends a question and waits for the answer with the same call_back_key.
// The question is v as the data of an envelope, or an [Envelope] as it is, with a
// fresh key where it has none. (Raw has no place for a key; see AskByType.)
//
// An answer with a status from 200 to 299 is decoded into answer: its data as
// JSON, or all of it when answer is an *Envelope or a *Raw; nil discards it. Any
// other status is returned as a [*RemoteError]; an *Envelope and a *Raw are filled
// in then too. The error is that of ctx when the
// answer has not come by then, and a [*CloseError] when the connection ended. An
// answer that comes too late is counted and dropped; keys are never used twice.
//
// A handler may Ask the connection that its message came from; Server.Admit may not.
func (c *Conn) Ask(ctx context.Context, t Type, v, answer any) error {
	q, err := c.Start(ctx, t, v)
	if err != nil {
		return err
	}
	return q.Answer(ctx, answer)
}

// Start sends a question as Ask does, and returns when it is on its way, without waiting for the
// answer: that is for Answer, which must be called. An error means that nothing has
// been sent. Questions that one goroutine starts one after another arrive in that order.
func (c *Conn) Start(ctx context.Context, t Type, v any) (*Question, error) {
	if err := c.end.application(t); err != nil {
		return nil, err
	}
	e := Envelope{Data: v}
	switch v := v.(type) {
	case Raw:
		return nil, fmt.Errorf("longwire: ask %v: raw data has no key for the answer to repeat; use AskByType", t)
	case Envelope:
		e = v
	case *Envelope:
		e = *v
	}
	if e.CallBackKey == "" {
		e.CallBackKey = newKey()
	}
	if !utf8.ValidString(e.CallBackKey) {
		return nil, fmt.Errorf("longwire: ask %v: the call_back_key %.64q is not UTF-8", t, e.CallBackKey)
	}
	e.Status = ""
	data, err := e.appendTo(nil)
	if err != nil {
		return nil, fmt.Errorf("longwire: ask %v: %w", t, err)
	}
	q, err := c.expectKey(ctx, t, e.CallBackKey)
	if err != nil {
		return nil, fmt.Errorf("longwire: ask %v: %w", t, err)
	}
	return c.start(ctx, q, data)
}

// AskByType asks a peer that repeats no key: the next frame of type t is the
// answer, whatever it holds. One such question of a type is in flight at a time,
// others wait for their turn. v is sent as by Push. An answer without an envelope
// is decoded as a whole.
//
// A frame of that type that the peer sends for another reason is taken for the
// answer, and an answer that comes too late for a message: that cannot be told
// apart without a key.
func (c *Conn) AskByType(ctx context.Context, t Type, v, answer any) error {
	if err := c.end.application(t); err != nil {
		return err
	}
	return c.askByType(ctx, t, v, answer)
}

func (c *Conn) askByType(ctx context.Context, t Type, v, answer any) error {
	q, err := c.startByType(ctx, t, v)
	if err != nil {
		return err
	}
	return q.Answer(ctx, answer)
}

// StartByType is to AskByType what Start is to Ask: it waits for its turn and sends the question,
// and leaves the answer to Answer.
func (c *Conn) StartByType(ctx context.Context, t Type, v any) (*Question, error) {
	if err := c.end.application(t); err != nil {
		return nil, err
	}
	return c.startByType(ctx, t, v)
}

func (c *Conn) startByType(ctx context.Context, t Type, v any) (*Question, error) {
	data, err := c.end.encodePush(v)
	if err != nil {
		return nil, fmt.Errorf("longwire: ask %v: %w", t, err)
	}
	q, err := c.expectType(ctx, t)
	if err != nil {
		return nil, fmt.Errorf("longwire: ask %v: %w", t, err)
	}
	return c.start(ctx, q, data)
}

// start sends the data of a question.
func (c *Conn) start(ctx context.Context, q *Question, data []byte) (*Question, error) {
	c.link.resume() // a full inbox does not keep the answer out
	if err := c.send(ctx, q.typ, data); err != nil {
		c.forget(q)
		return nil, err
	}
	return q, nil
}

// Type returns the type that the question was sent with.
func (q *Question) Type() Type { return q.typ }

// Answer waits for the answer until ctx ends, and is to Start what the rest of Ask is. It must be
// called, once: until the answer has come or Answer has returned, the question counts as one
// that waits (see [Limits]).
func (q *Question) Answer(ctx context.Context, answer any) error {
	defer q.conn.forget(q)
	select {
	case <-q.gone:
	default:
		yield(ctx)
		select {
		case <-q.gone:
		case <-ctx.Done():
		}
	}
	select {
	case m, ok := <-q.answer:
		if !ok {
			return q.err
		}
		return m.decodeAnswer(answer)
	default:
		return fmt.Errorf("longwire: ask %v: no answer: %w", q.typ, context.Cause(ctx))
	}
}

// decodeAnswer makes an answer into the result of Ask.
func (m *Message) decodeAnswer(answer any) error {
	var refused error
	if status := m.parts.status.text(m.Data); m.parts.isAnswer() && !statusOK(status) {
		refused = &RemoteError{Status: status, Message: m.parts.message.text(m.Data), Data: m.parts.data.in(m.Data)}
	}
	switch answer := answer.(type) {
	case nil:
		return refused
	case *Raw:
		*answer = m.Data
		return refused
	case *Envelope:
		*answer = m.envelope()
		return refused
	}
	payload := m.Payload()
	if refused != nil || len(payload) == 0 {
		return refused
	}
	if err := json.Unmarshal(payload, answer); err != nil {
		return fmt.Errorf("longwire: ask %v: answer: %w", m.Type, err)
	}
	return nil
}

// envelope returns what the fields of an answer say.
func (m *Message) envelope() Envelope {
	return Envelope{
		DataType:    m.DataType(),
		CallBackKey: m.Key(),
		Status:      m.parts.status.text(m.Data),
		Message:     m.parts.message.text(m.Data),
		Data:        json.RawMessage(m.Payload()),
	}
}

// asks is the questions of one connection that have no answer yet. A nil *asks
// has none.
type asks struct {
	byKey  map[string]*Question
	byType map[Type]*Question
	turns  int // questions that wait until another one of their type has been answered
}

// A Question waits for one answer. Start makes one.
//
// Who removes it from asks, under Conn.mu, sends one message or closes the channel.
type Question struct {
	conn   *Conn
	key    string // "" when it is matched by type
	typ    Type
	answer chan *Message // holds one; closed when there will be none
	err    error         // why, when answer is closed
	gone   chan struct{} // closed when it is no longer in asks
}

// none reports whether no question is in flight.
func (a *asks) none() bool { return a == nil || len(a.byKey)+len(a.byType) == 0 }

// answeredBy gives the message to the question that it answers, if there is one.
func (a *asks) answeredBy(m *Message) bool {
	if a == nil {
		return false
	}
	var q *Question
	if m.parts.isAnswer() {
		if key := m.parts.key.in(m.Data); bytes.IndexByte(key, '\\') < 0 {
			q = a.byKey[string(key)]
		} else {
			q = a.byKey[m.parts.key.text(m.Data)]
		}
	}
	if q == nil {
		q = a.byType[m.Type]
	}
	if q == nil {
		return false
	}
	q.answer <- m.Clone()
	a.remove(q)
	return true
}

// fail ends all questions.
func (a *asks) fail(err error) {
	if a == nil {
		return
	}
	for _, q := range a.byKey {
		q.err = err
		close(q.answer)
		a.remove(q)
	}
	for _, q := range a.byType {
		q.err = err
		close(q.answer)
		a.remove(q)
	}
}

func (a *asks) remove(q *Question) {
	if q.key != "" {
		delete(a.byKey, q.key)
	} else {
		delete(a.byType, q.typ)
	}
	close(q.gone)
}

// expectKey registers a question before it is sent.
func (c *Conn) expectKey(ctx context.Context, t Type, key string) (*Question, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.askableLocked(ctx); err != nil {
		return nil, err
	}
	if c.asks.byKey[key] != nil {
		return nil, fmt.Errorf("a question with the key %.64q is waiting for its answer", key)
	}
	if c.asks.byKey == nil {
		c.asks.byKey = make(map[string]*Question)
	}
	q := &Question{conn: c, key: key, typ: t, answer: make(chan *Message, 1), gone: make(chan struct{})}
	c.asks.byKey[key] = q
	return q, nil
}

// expectType registers a question that the next frame of type t answers, when no
// other one does so.
func (c *Conn) expectType(ctx context.Context, t Type) (*Question, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		if err := c.askableLocked(ctx); err != nil {
			return nil, err
		}
		waiting := c.asks
		before := waiting.byType[t]
		if before == nil {
			break
		}
		waiting.turns++
		c.mu.Unlock()
		yield(ctx)
		var err error
		select {
		case <-before.gone:
		case <-ctx.Done():
			err = fmt.Errorf("another question of the type is in flight: %w", context.Cause(ctx))
		}
		c.mu.Lock()
		waiting.turns--
		if err != nil {
			c.trimAsksLocked()
			return nil, err
		}
	}
	if c.asks.byType == nil {
		c.asks.byType = make(map[Type]*Question)
	}
	q := &Question{conn: c, typ: t, answer: make(chan *Message, 1), gone: make(chan struct{})}
	c.asks.byType[t] = q
	return q, nil
}

// askableLocked makes room for a question, if an answer may still come. A connection that is about to
// end takes none but those of its handlers, for which it waits anyway.
func (c *Conn) askableLocked(ctx context.Context) error {
	switch {
	case c.phase == over:
		return c.err
	case c.phase == stranger:
		return errors.New("the peer is not admitted yet; Admit can Push and Receive")
	case c.ended != 0 || c.parting != nil && ctx.Value(handledBy{}) != c:
		return c.parting
	case c.asks != nil && len(c.asks.byKey)+len(c.asks.byType)+c.asks.turns >= c.end.Limits.Questions:
		return ErrTooManyQuestions
	}
	if c.asks == nil {
		c.asks = new(asks)
	}
	return nil
}

// forget ends the wait for an answer.
func (c *Conn) forget(q *Question) {
	c.mu.Lock()
	select {
	case <-q.gone:
	default:
		c.asks.remove(q)
	}
	c.trimAsksLocked()
	why, settled := c.parting, c.settledLocked()
	c.mu.Unlock()
	if settled {
		c.close(why, true)
	}
}

// trimAsksLocked lets go of asks when nobody asks any more.
func (c *Conn) trimAsksLocked() {
	if c.asks != nil && c.asks.none() && c.asks.turns == 0 {
		c.asks = nil
	}
}

// newKey returns a call_back_key that no question has had before, on this
// connection or another, in this process or another.
func newKey() string { return keyPrefix + strconv.FormatUint(keyCounter.Add(1), 36) }

var (
	keyPrefix  = rand.Text()[:10] + "-"
	keyCounter atomic.Uint64
)
