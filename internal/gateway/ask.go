package gateway

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/longwire/longwire"
)

var (
	// ErrUnknown means that no device with the id has ever been connected.
	ErrUnknown = errors.New("no such device")
	// ErrAway means that the device is not connected, or not any more.
	ErrAway = errors.New("the device is not connected")
	// ErrNoAnswer means that the device has not answered in time.
	ErrNoAnswer = errors.New("the device has not answered in time")
	// ErrNoRoom means that the device has left so much unread that there was no room in time.
	ErrNoRoom = errors.New("the device does not read fast enough")
	// ErrBusy means that too many questions wait for the device's answers.
	ErrBusy = errors.New("too many questions wait for answers of the device")
)

// Match says how a device's answer is found.
type Match string

const (
	MatchKey  Match = "key"  // it repeats the question's call_back_key
	MatchType Match = "type" // it is the next message of the question's type
)

// A Question is what is asked or told.
type Question struct {
	Type  longwire.Type
	Data  json.RawMessage // travels in an envelope
	Raw   []byte          // travels as it is, in place of Data, where it is not nil
	Match Match           // "" means MatchKey, and MatchType for Raw
}

// An Answer is what a device has answered: an envelope, or bytes that are none.
type Answer struct {
	DataType string          `json:"data_type"`
	Key      string          `json:"call_back_key"`
	Status   string          `json:"status"`
	Message  string          `json:"message"`
	Data     json.RawMessage `json:"data"`
	Raw      []byte          `json:"raw,omitempty" doc:"the data of the frame in base64, where it is no envelope; the other fields are empty then"`
}

// Ask asks a device, and waits for its answer until ctx ends.
func (g *Gateway) Ask(ctx context.Context, id string, q Question) (*Answer, error) {
	s, err := g.session(id)
	if err != nil {
		return nil, err
	}
	began := time.Now()
	answer, err := g.ask(ctx, s, q)
	err = g.explain(err, ErrNoAnswer)
	if g.Asked != nil {
		g.Asked(err, time.Since(began))
	}
	return answer, err
}

func (g *Gateway) ask(ctx context.Context, s *session, q Question) (*Answer, error) {
	v, sent := q.encode(rand.Text())
	var raw longwire.Raw
	var err error
	takeBack := s.asking(q.Type, sent)
	if q.Match == MatchType || q.Raw != nil && q.Match == "" {
		err = s.conn.AskByType(ctx, q.Type, v, &raw)
	} else {
		err = s.conn.Ask(ctx, q.Type, v, &raw)
	}
	if _, refused := errors.AsType[*longwire.RemoteError](err); err != nil && !refused {
		// Where time or the connection has ended the question may have gone out before.
		if _, over := errors.AsType[*longwire.CloseError](err); !over && ctx.Err() == nil {
			takeBack()
		}
		return nil, err
	}
	s.in(q.Type, raw, time.Now())
	return readAnswer(raw), nil
}

// asking counts a question before it is sent, so that it is seen while the device thinks about
// it. The function that it returns takes that back.
func (s *session) asking(t longwire.Type, data []byte) (takeBack func()) {
	d := s.device.Load()
	s.count(len(data))
	r, n := s.port.g.record(d, Out, t, data, time.Now())
	return func() {
		d.framesOut.Add(-1)
		d.bytesOut.Add(-int64(len(data) + s.port.overhead))
		r.forget(n)
	}
}

// encode returns what is given to the library, and what the frame will carry.
func (q *Question) encode(key string) (v any, sent []byte) {
	if q.Raw != nil {
		return longwire.Raw(q.Raw), q.Raw
	}
	data := q.Data
	if data == nil {
		data = json.RawMessage("null")
	}
	return longwire.Envelope{CallBackKey: key, Data: data},
		fmt.Appendf(nil, `{"data_type":"","call_back_key":"%s","data":%s}`, key, data)
}

// readAnswer takes an answer for an envelope where it is one.
func readAnswer(raw []byte) *Answer {
	var e struct {
		DataType *string         `json:"data_type"`
		Key      *string         `json:"call_back_key"`
		Status   *string         `json:"status"`
		Message  *string         `json:"message"`
		Data     json.RawMessage `json:"data"`
	}
	if json.Unmarshal(raw, &e) != nil || e.Status == nil {
		if raw == nil {
			raw = []byte{}
		}
		return &Answer{Raw: raw}
	}
	text := func(s *string) string {
		if s == nil {
			return ""
		}
		return *s
	}
	return &Answer{DataType: text(e.DataType), Key: text(e.Key), Status: *e.Status, Message: text(e.Message), Data: e.Data}
}

// Push tells a device something. It returns when the message is on its way, which may
// need room for it, until ctx ends.
func (g *Gateway) Push(ctx context.Context, id string, q Question) error {
	s, err := g.session(id)
	if err != nil {
		return err
	}
	v, sent := q.encode("")
	if err := s.conn.Push(ctx, q.Type, v); err != nil {
		return g.explain(err, ErrNoRoom)
	}
	s.out(q.Type, sent)
	return nil
}

// explain makes an error of the library one of the gateway, where there is one for it.
func (g *Gateway) explain(err, late error) error {
	_, closed := errors.AsType[*longwire.CloseError](err)
	switch {
	case err == nil:
		return nil
	case closed:
		return ErrAway
	case errors.Is(err, longwire.ErrTooManyQuestions):
		return ErrBusy
	case errors.Is(err, longwire.ErrDropped):
		return ErrNoRoom
	case errors.Is(err, context.DeadlineExceeded):
		return late
	}
	return err
}

// A Target is to whom something is broadcast: the devices that are connected and in
// one of the groups or of the ids, or all of them.
type Target struct {
	All    bool
	IDs    []string
	Groups []string
}

// BroadcastCounts says what has become of a broadcast, in devices.
type BroadcastCounts struct {
	Queued int `json:"queued" doc:"devices that it is on its way to"`
	Full   int `json:"full" doc:"devices that have left so much unread that there was no room for it"`
	Misfit int `json:"misfit" doc:"devices whose listener has no frame that it fits in: it is too large, or its type is"`
	Away   int `json:"away" doc:"those of ids that are not connected"`
}

// Broadcast tells many devices something. It never waits. The error tells why it fits in no
// frame of any of them.
func (g *Gateway) Broadcast(to Target, q Question) (n BroadcastCounts, err error) {
	sessions, away := g.targets(to)
	n.Away = away
	v, sent := q.encode("")
	conns := func(s []*session) iter.Seq[*longwire.Conn] {
		return func(yield func(*longwire.Conn) bool) {
			for _, s := range s {
				if !yield(s.conn) {
					return
				}
			}
		}
	}
	// By listener, as the frame may be another there.
	for _, p := range g.ports {
		var here []*session
		for _, s := range sessions {
			if s.port == p {
				here = append(here, s)
			}
		}
		queued, misfit := longwire.Broadcast(conns(here), q.Type, v)
		if misfit != nil {
			n.Misfit += len(here)
			err = misfit
			continue
		}
		n.Queued += queued
		n.Full += len(here) - queued
		for _, s := range here {
			s.out(q.Type, sent)
		}
	}
	if n.Queued+n.Full > 0 {
		err = nil
	}
	return n, err
}

// targets returns the connections of a target, each once.
func (g *Gateway) targets(to Target) (sessions []*session, away int) {
	conf := g.settings.Load()
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	inGroup := func(d *device) bool {
		return slices.ContainsFunc(to.Groups, func(group string) bool {
			return slices.Contains(d.groups, group) || slices.Contains(conf.groups[d.id], group)
		})
	}
	if to.All || len(to.Groups) > 0 {
		for _, d := range g.registry.byID {
			if d.session != nil && (to.All || inGroup(d)) {
				sessions = append(sessions, d.session)
			}
		}
	}
	seen := make(map[string]bool)
	for _, id := range to.IDs {
		d := g.registry.byID[id]
		switch {
		case seen[id]:
		case d == nil || d.session == nil:
			away++
		case to.All || inGroup(d): // is there already
		default:
			sessions = append(sessions, d.session)
		}
		seen[id] = true
	}
	return sessions, away
}

// TypeOf returns the type that is called so in the configuration, or has that number,
// decimal or with 0x in front hexadecimal.
func (g *Gateway) TypeOf(name string) (longwire.Type, error) {
	if t, named := g.settings.Load().byName[name]; named && name != "" {
		return t, nil
	}
	digits, base := name, 10
	if len(name) > 2 && strings.EqualFold(name[:2], "0x") {
		digits, base = name[2:], 16
	}
	n, err := strconv.ParseUint(digits, base, 32)
	if err != nil {
		return 0, fmt.Errorf("type %.64q is neither a number nor a name of the configuration", name)
	}
	return longwire.Type(n), nil
}

// TypeName returns what the configuration calls a type, "" if nothing.
func (g *Gateway) TypeName(t longwire.Type) string { return g.settings.Load().of(t).name }
