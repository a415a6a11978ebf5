package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Headers of the engine: three that make messages one batch, and how long to keep
// one. The jetstream package knows no batches.
const (
	headerBatch  = "Nats-Batch-Id"
	headerNumber = "Nats-Batch-Sequence"
	headerCommit = "Nats-Batch-Commit"
	headerTTL    = "Nats-TTL"
)

// A lane is what the committing goroutine of a log has of an engine: it sends, and
// the answers come into its channel.
type lane struct {
	e     *engine
	inbox string
	acks  chan *nats.Msg
	next  int // the number of the next question
}

// laneDepth is more than there are ever answers: the one to each message of a batch,
// and those that are left of a batch before it that was refused.
const laneDepth = 4 * maxBatch

func newLane(e *engine) (*lane, error) {
	ln := &lane{e: e, inbox: nats.NewInbox() + ".", acks: make(chan *nats.Msg, laneDepth)}
	_, err := e.nc.ChanSubscribe(ln.inbox+"*", ln.acks)
	return ln, err
}

// reply returns a new subject for an answer, and its number.
func (ln *lane) reply() (string, int) {
	ln.next++
	return ln.inbox + strconv.Itoa(ln.next), ln.next
}

// sendOne publishes a message by itself and returns the number of the question.
func (ln *lane) sendOne(m message) (int, error) {
	reply, n := ln.reply()
	msg := &nats.Msg{Subject: m.subject, Reply: reply, Data: m.data}
	if m.ttl != "" {
		msg.Header = nats.Header{headerTTL: {m.ttl}}
	}
	return n, ln.e.nc.PublishMsg(msg)
}

// sendBatch publishes messages of which all are stored or none. Each asks for an
// answer, all under one number: if the engine refuses one of them it tells only that,
// and to the others that the batch is not whole.
func (ln *lane) sendBatch(messages []message) (int, error) {
	id := []string{strconv.FormatUint(rand.Uint64()>>24, 36)}
	reply, n := ln.reply()
	for i, m := range messages {
		msg := &nats.Msg{Subject: m.subject, Reply: reply, Data: m.data, Header: nats.Header{
			headerBatch:  id,
			headerNumber: {strconv.Itoa(i + 1)},
		}}
		if m.ttl != "" {
			msg.Header[headerTTL] = []string{m.ttl}
		}
		if i == len(messages)-1 {
			msg.Header[headerCommit] = []string{"1"}
		}
		if err := ln.e.nc.PublishMsg(msg); err != nil {
			return 0, err
		}
	}
	return n, nil
}

// A refusal is the engine's word that it has not stored a message, or none of a
// batch.
type refusal struct {
	code jetstream.ErrorCode
	text string
}

func (r *refusal) Error() string { return r.text }

// errPart is the engine's word that it has a message of a batch, which is not whole
// yet.
var errPart = errors.New("part of a batch")

// codeIncomplete means that the engine could not take a batch together, as when its
// disk does not take it.
const codeIncomplete = 10176

// parseAck returns the sequence number that an answer to a publish brings, or
// errPart.
func parseAck(m *nats.Msg) (uint64, error) {
	if len(m.Data) == 0 && len(m.Header) == 0 {
		return 0, errPart
	}
	var ack struct {
		Seq   uint64              `json:"seq"`
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &ack); err != nil {
		if m.Header.Get("Status") == "503" {
			return 0, nats.ErrNoResponders
		}
		return 0, fmt.Errorf("the engine answers %q: %w", m.Data, err)
	}
	switch {
	case ack.Error == nil:
		return ack.Seq, nil
	case ack.Error.ErrorCode == codeIncomplete:
		return 0, errors.New(ack.Error.Description)
	}
	return 0, &refusal{ack.Error.ErrorCode, ack.Error.Description}
}

// probeEvery is how long an answer may take before the engine is asked whether it
// can still write: to a write that fails it does not answer at all.
const probeEvery = 25 * time.Millisecond

// number returns which question a message answers.
func (ln *lane) number(m *nats.Msg) int {
	n, _ := strconv.Atoi(m.Subject[len(ln.inbox):])
	return n
}
