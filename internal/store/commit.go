package store

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"time"
)

// aloneUpTo is how many records by themselves are written one after another, with an
// fsync each. A batch takes the engine some fsyncs and files aside, which was as long
// as 16 to 20 single records when it was measured, and hardly longer for more.
const aloneUpTo = 16

// run is the committing goroutine: it writes what waits, all at once, and then what
// has come meanwhile.
func (l *Log) run() {
	for {
		items := l.take()
		if items == nil {
			return
		}
		l.commit(items)
		// Those who have just been told often have something more to append. Letting
		// them run first makes for one batch of it where there would be two.
		runtime.Gosched()
	}
}

func (l *Log) commit(items []*item) {
	e, err := l.store.accepting()
	if err == nil {
		err = e.err()
	}
	if err != nil {
		l.finishAll(items, fmt.Errorf("%w: %w", ErrRefused, err))
		return
	}
	if items = l.admit(e, items); len(items) == 0 {
		return
	}
	_, writes := e.current()
	ln := e.lanes[l.conf.Name]
	began := time.Now()
	n := 0
	for _, it := range items {
		n += len(it.messages)
	}
	if n == len(items) && n <= aloneUpTo {
		l.writeAlone(writes, ln, items)
	} else {
		l.writeBatch(writes, ln, items)
	}
	took := time.Since(began)
	l.mu.Lock()
	l.counts.committed(took)
	l.mu.Unlock()
}

func (l *Log) finishAll(items []*item, err error) {
	for _, it := range items {
		l.finish(it, 0, err)
	}
}

// writeAlone writes items of one record each, without waiting for one before the
// next is sent.
func (l *Log) writeAlone(writes context.Context, ln *lane, items []*item) {
	asked := make(map[int]*item, len(items))
	var failed error
	for _, it := range items {
		var n int
		if failed == nil {
			n, failed = ln.sendOne(it.messages[0])
		}
		if failed != nil {
			l.finish(it, 0, unavailable(failed))
			continue
		}
		asked[n] = it
	}
	for len(asked) > 0 {
		n, seq, err := l.answer(writes, ln)
		if n == 0 {
			for _, it := range asked {
				l.finish(it, 0, err)
			}
			return
		}
		if it := asked[n]; it != nil {
			delete(asked, n)
			l.finish(it, seq, l.meaning(err))
		}
	}
}

// writeBatch writes items as one batch. If the engine refuses it, which it does for
// any record of it, each item is tried by itself: nothing was written.
func (l *Log) writeBatch(writes context.Context, ln *lane, items []*item) {
	var messages []message
	for _, it := range items {
		messages = append(messages, it.messages...)
	}
	seq, err := l.send(writes, ln, messages)
	if refused := (*refusal)(nil); errors.As(err, &refused) && len(items) > 1 {
		for _, it := range items {
			seq, err := l.send(writes, ln, it.messages)
			l.finish(it, seq, l.meaning(err))
		}
		return
	}
	if err != nil {
		l.finishAll(items, l.meaning(err))
		return
	}
	seq -= uint64(len(messages))
	for _, it := range items {
		seq += uint64(len(it.messages))
		l.finish(it, seq, nil)
	}
}

// send writes messages of which all are to be stored or none.
func (l *Log) send(writes context.Context, ln *lane, messages []message) (uint64, error) {
	var want int
	var err error
	if len(messages) == 1 {
		want, err = ln.sendOne(messages[0])
	} else {
		want, err = ln.sendBatch(messages)
	}
	if err != nil {
		return 0, err
	}
	for {
		n, seq, err := l.answer(writes, ln)
		if n == 0 || n == want {
			return seq, err
		}
	}
}

// meaning turns an error of the engine into one of this package.
func (l *Log) meaning(err error) error {
	var refused *refusal
	switch {
	case err == nil || errors.Is(err, ErrUnavailable):
		return err
	case !errors.As(err, &refused):
		return unavailable(err)
	case refused.code == codeStoreFailed && strings.HasPrefix(refused.text, "maximum"), refused.code == codeNoStorage, refused.code == codeNoResources:
		return fmt.Errorf("%w: %w", ErrFull, err)
	}
	return fmt.Errorf("store: log %s: %w", l.conf.Name, err)
}

// What the engine says when it has stored nothing for want of room.
const (
	codeStoreFailed = 10077
	codeNoStorage   = 10047
	codeNoResources = 10023
)

// answer waits for the next answer of the engine. The number of the question is 0
// when there will be none.
func (l *Log) answer(writes context.Context, ln *lane) (n int, seq uint64, err error) {
	probe := time.NewTimer(probeEvery)
	defer probe.Stop()
	limit := time.Now().Add(ackTimeout)
	for {
		select {
		case m := <-ln.acks:
			n := ln.number(m)
			seq, err := parseAck(m)
			if errors.Is(err, errPart) {
				continue
			}
			if err != nil && ln.e.server != nil && !isRefusal(err) {
				l.store.fail(ln.e, err)
			}
			return n, seq, err
		case <-writes.Done():
			return 0, 0, unavailable(context.Cause(writes))
		case <-probe.C:
			if err := l.probe(writes, ln.e, limit); err != nil {
				return 0, 0, unavailable(err)
			}
			probe.Reset(probeEvery)
		}
	}
}

func isRefusal(err error) bool {
	var refused *refusal
	return errors.As(err, &refused)
}

// probe returns why an answer will not come. The embedded engine gives none to a
// write that has failed, but refuses all others from then on, even to delete what is
// not there. If it merely waits for a slow disk, so does the probe.
func (l *Log) probe(writes context.Context, e *engine, limit time.Time) error {
	if e.server == nil {
		if time.Now().After(limit) {
			return fmt.Errorf("no answer in %v", ackTimeout)
		}
		return nil
	}
	err := e.purge(writes, l.conf.Name, l.root+"$none")
	if err != nil && writes.Err() == nil && !errors.Is(err, context.DeadlineExceeded) {
		l.store.fail(e, err)
		return err
	}
	return nil
}
