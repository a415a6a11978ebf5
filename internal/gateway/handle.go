package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/store"
)

// handle deals with a message of a device: it is counted, remembered and answered as its
// type demands.
func (p *port) handle(ctx context.Context, m *longwire.Message) (any, error) {
	g, s, now := p.g, sessionOf(m.Conn()), time.Now()
	how := g.settings.Load().of(m.Type)
	s.in(m.Type, m.Data, now)
	g.logMessage(ctx, s, m)
	err := g.noteMessage(s, m, how)
	var answer any = longwire.Envelope{}
	switch asked := m.Key() != ""; {
	case err != nil: // it is not kept, which the board must know
	case how.forward != nil:
		if answer, err = g.forward(ctx, how.forward, s, m, how.name); how.ack == AckNever || how.ack == AckAsked && !asked {
			answer, err = longwire.NoAnswer, nil
		}
	case how.ack == AckNever, how.ack == AckAsked && !asked:
		answer = longwire.NoAnswer
	}
	s.answered(m, answer, err)
	return answer, err
}

// plainAnswer is the answer to a message without a key.
const plainAnswer = `{"data_type":"","call_back_key":"","status":"200","message":"ok","data":null}`

// answered counts what is sent in answer to a message.
func (s *session) answered(m *longwire.Message, answer any, err error) {
	if answer == longwire.NoAnswer {
		return
	}
	if raw, is := answer.(longwire.Raw); is {
		s.out(m.Type, raw)
		return
	}
	e, _ := answer.(longwire.Envelope)
	if e == (longwire.Envelope{}) && err == nil && !s.port.g.isRecorded(s.device.Load()) { // as a rule
		s.count(len(plainAnswer) + len(m.DataType()) + len(m.Key()))
		return
	}
	if problem, is := errors.AsType[*longwire.Error](err); is {
		e = longwire.Envelope{Status: problem.Status, Message: problem.Message}
	}
	if e.Status == "" || e.Status == longwire.StatusOK && e.Message == "" {
		e.Status, e.Message = longwire.StatusOK, "ok"
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.Encode(struct { // in the order in which the library writes it
		DataType string `json:"data_type"`
		Key      string `json:"call_back_key"`
		Status   string `json:"status"`
		Message  string `json:"message"`
		Data     any    `json:"data"`
	}{m.DataType(), m.Key(), e.Status, e.Message, e.Data})
	s.out(m.Type, bytes.TrimSpace(b.Bytes()))
}

// noteMessage makes the message an event. Where its type is stored, it returns when the
// message is on disk; the error is what the board is told when it cannot be.
func (g *Gateway) noteMessage(s *session, m *longwire.Message, how *treatment) error {
	t := m.Type
	e := Event{
		Name:     EventMessage,
		Device:   s.device.Load().id,
		Listener: s.port.name,
		Epoch:    s.epoch,
		Type:     &t,
		TypeName: how.name,
		Key:      m.Key(),
		Size:     len(m.Data),
	}
	if how.store || len(m.Data) <= maxEventData {
		e.Data, e.Raw = say(m)
		e.Data, e.Raw = bytes.Clone(e.Data), bytes.Clone(e.Raw)
	}
	if !how.store {
		g.events.add(e)
		return nil
	}
	kept := make(chan error, 1)
	g.events.addKept(e, func(err error) { kept <- err })
	err := <-kept
	if err == nil {
		return nil
	}
	if errors.Is(err, store.ErrTooLarge) { // and not in a moment either
		return longwire.Errorf(longwire.StatusTooLarge, "the message is too large to be kept")
	}
	g.storeTrouble.Do(func() { g.log.Error("messages cannot be kept", "error", err) })
	return longwire.Errorf(longwire.StatusUnavailable, "the message cannot be kept at the moment")
}

func (g *Gateway) logMessage(ctx context.Context, s *session, m *longwire.Message) {
	if !g.log.Enabled(ctx, slog.LevelInfo) {
		return
	}
	attrs := []slog.Attr{
		slog.String("conn", m.Conn().ID()),
		slog.String("type", m.Type.String()),
		slog.Int("size", len(m.Data)),
	}
	if key := m.Key(); key != "" {
		attrs = append(attrs, excerpt("key", []byte(key)))
	}
	attrs = append(attrs, excerpt("data", m.Data))
	g.log.LogAttrs(ctx, slog.LevelInfo, "message", attrs...)
}
