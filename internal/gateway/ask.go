package gateway

import (
	"bytes"
	"cmp"
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
	"github.com/longwire/longwire/internal/queue"
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
	DataType string
	Key      string
	Status   string
	Message  string
	Data     json.RawMessage
	Raw      []byte // the data of the frame, where it is no envelope; the other fields are empty then
}

// An EnvelopeAnswer is an answer that is an envelope, as it is shown.
type EnvelopeAnswer struct {
	DataType string          `json:"data_type"`
	Key      string          `json:"call_back_key"`
	Status   string          `json:"status" doc:"the device's own, with HTTP's meanings"`
	Message  string          `json:"message"`
	Data     json.RawMessage `json:"data"`
}

// A RawAnswer is an answer that is none, as it is shown.
type RawAnswer struct {
	Raw []byte `json:"raw" doc:"the data of the frame in base64, where it is no envelope"`
}

// MarshalJSON writes one of the two.
func (a *Answer) MarshalJSON() ([]byte, error) {
	if a.Raw != nil {
		return queue.JSON(RawAnswer{a.Raw})
	}
	return queue.JSON(EnvelopeAnswer{a.DataType, a.Key, a.Status, a.Message, a.Data})
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
	took := time.Since(began)
	g.history.asked(err, took)
	if g.Asked != nil {
		g.Asked(err, took)
	}
	return answer, err
}

func (g *Gateway) ask(ctx context.Context, s *session, q Question) (*Answer, error) {
	asked, err := s.start(ctx, q, rand.Text())
	if err != nil {
		return nil, err
	}
	return s.answer(ctx, asked)
}

// start sends a question.
func (s *session) start(ctx context.Context, q Question, key string) (asked *longwire.Question, err error) {
	v, sent := q.encode(key)
	if q.Match == MatchType || q.Raw != nil && q.Match == "" {
		asked, err = s.conn.StartByType(ctx, q.Type, v)
	} else {
		asked, err = s.conn.Start(ctx, q.Type, v)
	}
	if err == nil {
		s.out(q.Type, sent)
	}
	return asked, err
}

// answer waits for the answer to a question.
func (s *session) answer(ctx context.Context, asked *longwire.Question) (*Answer, error) {
	var raw longwire.Raw
	err := asked.Answer(ctx, &raw)
	if _, refused := errors.AsType[*longwire.RemoteError](err); err != nil && !refused {
		return nil, err
	}
	s.in(asked.Type(), raw, time.Now())
	return readAnswer(raw), nil
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
	var b bytes.Buffer
	fmt.Fprintf(&b, `{"data_type":"","call_back_key":"%s","data":`, key)
	json.Compact(&b, data) // as the library does
	b.WriteByte('}')
	return longwire.Envelope{CallBackKey: key, Data: data}, b.Bytes()
}

// readAnswer takes an answer for an envelope where it is one.
func readAnswer(raw longwire.Raw) *Answer {
	if e, ok := raw.Answer(); ok {
		data, _ := e.Data.(json.RawMessage)
		return &Answer{DataType: e.DataType, Key: e.CallBackKey, Status: e.Status, Message: e.Message, Data: data}
	}
	if raw == nil {
		raw = longwire.Raw{}
	}
	return &Answer{Raw: raw}
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

// named returns the ids of a target as a set.
func (to *Target) named() map[string]bool {
	set := make(map[string]bool, len(to.IDs))
	for _, id := range to.IDs {
		set[id] = true
	}
	return set
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
		at := 0
		for _, why := range longwire.BroadcastEach(conns(here), q.Type, v) {
			_, closed := errors.AsType[*longwire.CloseError](why)
			switch {
			case why == nil:
				n.Queued++
				here[at].out(q.Type, sent)
			case closed, errors.Is(why, longwire.ErrDropped):
				n.Full++
			default:
				n.Misfit++
				err = why
			}
			at++
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
	devices, unknown := g.registry.findLocked(conf, to)
	named := to.named()
	for _, d := range devices {
		switch {
		case d.session != nil:
			sessions = append(sessions, d.session)
		case named[d.id]:
			away++
		}
	}
	return sessions, away + len(unknown)
}

// known returns the ids of the devices of a target that commands may wait for, and those of
// Target.IDs that they may not.
func (g *Gateway) known(to Target) (ids, unknown []string) {
	conf := g.settings.Load()
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	devices, unknown := g.registry.findLocked(conf, to)
	named := to.named()
	for _, d := range devices {
		// One that is known by its address does not come back under it.
		if !d.byAddress || d.session != nil || named[d.id] {
			ids = append(ids, d.id)
		}
	}
	if conf.Commands.Unknown {
		ids, unknown = append(ids, unknown...), nil
		slices.Sort(ids) // two requests with one key must come to them in the same order
	}
	return ids, unknown
}

// findLocked returns the devices of a target, each once and in the order of their ids, and those of
// Target.IDs that are not known.
func (r *registry) findLocked(conf *settings, to Target) (devices []*device, unknown []string) {
	found := make(map[string]bool)
	if to.All || len(to.Groups) > 0 {
		for _, d := range r.byID {
			if to.All || slices.ContainsFunc(to.Groups, func(group string) bool {
				return slices.Contains(d.groups, group) || slices.Contains(conf.groups[d.id], group)
			}) {
				devices, found[d.id] = append(devices, d), true
			}
		}
	}
	for _, id := range to.IDs {
		d := r.byID[id]
		switch {
		case found[id]:
		case d == nil:
			unknown = append(unknown, id)
		default:
			devices = append(devices, d)
		}
		found[id] = true
	}
	slices.SortFunc(devices, func(a, b *device) int { return strings.Compare(a.id, b.id) })
	return devices, unknown
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

// A NamedType is a type of messages that the configuration has a name for.
type NamedType struct {
	Type  longwire.Type `json:"type"`
	Name  string        `json:"name"`
	Store bool          `json:"store" doc:"its messages are kept"`
}

// NamedTypes returns the types that have a name, in the order of their numbers.
func (g *Gateway) NamedTypes() []NamedType {
	types := []NamedType{}
	for t, how := range g.settings.Load().byType {
		if how.name != "" {
			types = append(types, NamedType{Type: t, Name: how.name, Store: how.store})
		}
	}
	slices.SortFunc(types, func(a, b NamedType) int { return cmp.Compare(a.Type, b.Type) })
	return types
}
