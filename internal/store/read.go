package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	readBytes = 1 << 20 // of data, about, that Read returns
	readLimit = 10_000  // records, at the most

	// waitForEngine is how long a read waits for an engine that is being started.
	waitForEngine = 2 * time.Second

	// remoteEvery is how often Wait looks whether others have written to a log on a
	// server elsewhere.
	remoteEvery = 250 * time.Millisecond
)

// withEngine calls a function that only reads, and calls it again if meanwhile the
// engine was started anew.
func (s *Store) withEngine(ctx context.Context, f func(*engine) error) error {
	for {
		s.mu.Lock()
		e, failure, changed := s.engine, s.failure, s.changed
		s.mu.Unlock()
		if errors.Is(failure, ErrClosed) {
			return ErrClosed
		}
		if e == nil {
			select {
			case <-changed:
				continue
			case <-time.After(waitForEngine):
				return failure
			case <-ctx.Done():
				return fmt.Errorf("store: %w", context.Cause(ctx))
			}
		}
		up, _ := e.current()
		err := f(e)
		switch {
		case err == nil || errors.Is(err, ErrNotFound):
			return err
		case ctx.Err() != nil:
			return fmt.Errorf("store: %w", context.Cause(ctx))
		case e.server != nil && up.Err() != nil:
			continue
		case s.ctx.Err() != nil:
			return ErrClosed
		}
		return unavailable(err)
	}
}

// Get returns the latest record of a key. It sees every record that Append has
// returned for.
func (l *Log) Get(ctx context.Context, key string) (Record, error) {
	if err := checkKey(key); err != nil {
		return Record{}, err
	}
	var r Record
	err := l.store.withEngine(ctx, func(e *engine) (err error) {
		if l.store.conf.Replicas > 1 {
			r, err = l.getFromLeader(ctx, e, key)
			return err
		}
		m, err := e.last(ctx, l.conf.Name, l.subject(key))
		if err != nil {
			return err
		}
		r, err = l.record(m)
		return err
	})
	return r, err
}

// getFromLeader asks the one of several servers that has all that was acknowledged.
func (l *Log) getFromLeader(ctx context.Context, e *engine, key string) (Record, error) {
	var answer struct {
		Message struct {
			Seq    uint64    `json:"seq"`
			Data   []byte    `json:"data"`
			Header []byte    `json:"hdrs"`
			Time   time.Time `json:"time"`
		} `json:"message"`
	}
	question := map[string]string{"last_by_subj": l.subject(key)}
	err := e.ask(ctx, apiGet+streamName(l.conf.Name), question, &answer)
	if api := (*jetstream.APIError)(nil); errors.As(err, &api) && api.Code == 404 {
		return Record{}, ErrNotFound
	}
	if err != nil {
		return Record{}, err
	}
	m := answer.Message
	header, _ := nats.DecodeHeadersMsg(m.Header)
	return l.check(key, m.Seq, m.Time, header, m.Data)
}

// record makes a record of a message as the engine returns it.
func (l *Log) record(m *nats.Msg) (Record, error) {
	seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return Record{}, fmt.Errorf("a message without a number: %w", err)
	}
	at, err := time.Parse(time.RFC3339Nano, m.Header.Get(jetstream.TimeStampHeaer))
	if err != nil {
		return Record{}, fmt.Errorf("a message without a time: %w", err)
	}
	return l.check(l.key(m.Header.Get(jetstream.SubjectHeader)), seq, at, m.Header, m.Data)
}

// check returns a record, and ErrNotFound in place of one that is damaged or whose
// time is over: the engine takes up to some seconds to see that.
func (l *Log) check(key string, seq uint64, at time.Time, header nats.Header, data []byte) (Record, error) {
	if ttl := header.Get(headerTTL); ttl != "" {
		if seconds, err := strconv.Atoi(ttl); err == nil && time.Since(at) > time.Duration(seconds)*time.Second {
			return Record{}, ErrNotFound
		}
	}
	data, err := decode(key, data)
	if err != nil {
		l.damaged(key, seq)
		return Record{}, fmt.Errorf("%w: %w", ErrNotFound, err)
	}
	return Record{Key: key, Data: data, Seq: seq, At: at}, nil
}

// damaged counts a record that was passed over, and says so the first time.
func (l *Log) damaged(key string, seq uint64) {
	l.mu.Lock()
	l.counts.Damaged++
	first := l.counts.Damaged == 1
	l.mu.Unlock()
	if first {
		l.store.log.Error("a record is damaged on the disk and was passed over, as will be others", "log", l.conf.Name, "key", key, "seq", seq)
	}
}

// Read returns records behind the sequence number after whose key matches the
// filter, in their order: at most limit of them, if that is over 0, and about 1 MiB
// of data, but at least one if there is one. In a filter "*" stands for any part of a
// key, and ">" at the end for one or more; "" matches all.
//
// With several replicas what was appended a moment ago may not be there yet, but
// none is ever passed over.
func (l *Log) Read(ctx context.Context, filter string, after uint64, limit int) ([]Record, error) {
	subject, err := l.filterSubject(filter)
	if err != nil {
		return nil, err
	}
	if limit <= 0 || limit > readLimit {
		limit = readLimit
	}
	var records []Record
	err = l.store.withEngine(ctx, func(e *engine) error {
		from, more := after+1, true
		for records = nil; len(records) == 0 && more; {
			var err error
			if records, from, more, err = l.readFrom(ctx, e, subject, from, limit); err != nil {
				return err
			}
		}
		return nil
	})
	return records, err
}

// A getRequest asks for several messages, each of which is an answer of its own,
// with one behind them that has no data.
type getRequest struct {
	Seq      uint64   `json:"seq"`
	Subject  string   `json:"next_by_subj,omitempty"` // of all messages, or
	LatestOf []string `json:"multi_last,omitempty"`   // of the latest of each subject
	Batch    int      `json:"batch"`
	MaxBytes int      `json:"max_bytes"`
}

// readFrom reads once. It returns where to go on, and whether there is more.
//
// To find the next of a few subjects among many takes the engine milliseconds, but to
// find the latest of each does not, and a log that has no others can be asked that
// way. It is refused where it would be over a thousand, which takes long to find out.
func (l *Log) readFrom(ctx context.Context, e *engine, subject string, from uint64, limit int) (records []Record, next uint64, more bool, err error) {
	question := getRequest{Seq: from, Batch: limit, MaxBytes: readBytes}
	if l.conf.Latest && narrow(subject) {
		question.LatestOf = []string{subject}
		records, next, more, err = l.askFor(ctx, e, question)
		if !errors.Is(err, errTooMany) {
			return records, next, more, err
		}
	}
	question.LatestOf, question.Subject = nil, subject
	return l.askFor(ctx, e, question)
}

// narrow reports whether a subject has only one wildcard, and that at the end behind
// two parts of a key or more.
func narrow(subject string) bool {
	wild := strings.IndexAny(subject, "*>")
	return wild == len(subject)-1 && strings.Count(subject, ".") >= strings.Count(subjectRoot, ".")+3
}

func (l *Log) askFor(ctx context.Context, e *engine, question getRequest) (records []Record, next uint64, more bool, err error) {
	next = question.Seq
	ctx, cancel := e.bound(ctx)
	defer cancel()
	inbox := nats.NewInbox()
	sub, err := e.nc.SubscribeSync(inbox)
	if err != nil {
		return nil, next, false, err
	}
	defer sub.Unsubscribe()
	body, err := json.Marshal(question)
	if err != nil {
		return nil, next, false, err
	}
	if err := e.nc.PublishRequest(apiDirect+streamName(l.conf.Name), inbox, body); err != nil {
		return nil, next, false, err
	}
	for {
		m, err := sub.NextMsgWithContext(ctx)
		if err != nil {
			if ctx.Err() != nil {
				err = context.Cause(ctx)
			}
			return nil, next, false, err
		}
		if m.Header.Get("Status") == "204" { // the end
			pending, _ := strconv.Atoi(m.Header.Get("Nats-Num-Pending"))
			return records, next, pending > 0, nil
		}
		switch err := status(m); {
		case errors.Is(err, ErrNotFound):
			return records, next, false, nil
		case err != nil:
			return nil, next, false, err
		}
		r, err := l.record(m)
		if err == nil {
			records = append(records, r)
		} else if !errors.Is(err, ErrNotFound) {
			return nil, next, false, err
		}
		if seq, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64); err == nil {
			next = seq + 1
		}
	}
}

// Last returns the sequence number of the latest record that was appended, whether
// or not it is still there. Who reads with a filter, and finds nothing behind a
// number, can go on from what Last has returned before.
func (l *Log) Last(ctx context.Context) (uint64, error) {
	var last uint64
	err := l.store.withEngine(ctx, func(e *engine) error {
		info, err := e.streamInfo(ctx, l.conf.Name)
		if err == nil {
			last = info.State.LastSeq
		}
		return err
	})
	return last, err
}

// Wait returns when there is a record behind a sequence number.
func (l *Log) Wait(ctx context.Context, after uint64) error {
	for {
		l.mu.Lock()
		arrived := l.arrived
		l.mu.Unlock()
		if records, err := l.Read(ctx, "", after, 1); err != nil || len(records) > 0 {
			return err
		}
		var look <-chan time.Time
		if l.store.conf.URL != "" {
			look = time.After(remoteEvery)
		}
		select {
		case <-arrived:
		case <-look:
		case <-l.store.ctx.Done():
			return ErrClosed
		case <-ctx.Done():
			return fmt.Errorf("store: wait: %w", context.Cause(ctx))
		}
	}
}
