package store

import (
	"context"
	"fmt"
	"strconv"
	"sync"
	"time"
)

const (
	// A batch has at most this many records: the engine takes no more in one.
	maxBatch = 1000
	// and is not made larger than this by adding to it.
	maxBatchBytes = 4 << 20

	maxRecords = 500 // of one Append

	// maxQueued is how many bytes wait in a log before Append waits for room.
	maxQueued = 16 << 20

	// recordCost is what is counted for a record beside its key and data: the
	// engine's framing, and its headers for the last of a batch with a TTL.
	recordCost = 144
)

// A Log is a sequence of records. Its methods may be called by many at once.
type Log struct {
	conf  LogConfig
	store *Store
	root  string // what its subjects begin with

	mu      sync.Mutex
	queue   []*item
	bytes   int64         // of the queue, with what is being written
	room    chan struct{} // closed when bytes has become less, and with it settled more
	work    chan struct{} // has an element when there is something in the queue
	last    uint64        // the latest sequence number that was given here
	arrived chan struct{} // closed when last has changed
	closed  bool
	counts  counts
	taken   uint64 // items that have come into the queue
	settled uint64 // of them, those of which is known what has become of them

	// Owned by the committing goroutine.
	used  int64 // bytes in the engine when it was last asked, and since then
	known bool  // it was asked
	asked time.Time
}

// An item is what one Append or Submit brings. Its records stay together.
type item struct {
	messages []message
	bytes    int64
	done     func(seq uint64, err error)
}

// A message is a record as the engine gets it.
type message struct {
	key     string
	subject string
	ttl     string
	data    []byte
}

func newLog(s *Store, c LogConfig) *Log {
	return &Log{
		conf:    c,
		store:   s,
		root:    subjectRoot + c.Name + ".",
		room:    make(chan struct{}),
		work:    make(chan struct{}, 1),
		arrived: make(chan struct{}),
	}
}

// Append writes records, all of them or none, and returns the sequence number of
// the last when they are on the disk. See the package's documentation for what its
// errors mean. It waits for room when much is being written already.
func (l *Log) Append(ctx context.Context, records ...Record) (uint64, error) {
	type result struct {
		seq uint64
		err error
	}
	c := make(chan result, 1)
	it, err := l.item(func(seq uint64, err error) { c <- result{seq, err} }, records)
	if err != nil {
		return 0, err
	}
	for {
		taken, room, err := l.enqueue(it)
		if err != nil {
			return 0, err
		}
		if taken {
			break
		}
		select {
		case <-room:
		case <-ctx.Done():
			return 0, fmt.Errorf("store: append: %w", context.Cause(ctx))
		}
	}
	select {
	case r := <-c:
		return r.seq, r.err
	case <-ctx.Done():
		return 0, fmt.Errorf("store: append: %w", context.Cause(ctx))
	}
}

// Submit is Append that does not wait. False means that so much waits already that
// the records were not taken. Otherwise done, which may be nil, is called with what
// Append would have returned, before Submit returns if that is known at once; it must
// not block, for the next records wait for it.
func (l *Log) Submit(done func(seq uint64, err error), records ...Record) bool {
	if done == nil {
		done = func(uint64, error) {}
	}
	it, err := l.item(done, records)
	if err != nil {
		done(0, err)
		return true
	}
	taken, _, err := l.enqueue(it)
	if err != nil {
		done(0, err)
		return true
	}
	return taken
}

// item checks records and makes them ready to be sent.
func (l *Log) item(done func(uint64, error), records []Record) (*item, error) {
	if len(records) == 0 {
		return nil, fmt.Errorf("store: no records to append")
	}
	if len(records) > maxRecords {
		return nil, fmt.Errorf("%w: %d records, and %d can be written at once", ErrTooLarge, len(records), maxRecords)
	}
	it := &item{done: done, messages: make([]message, len(records))}
	limit := l.store.maxData()
	for i, r := range records {
		if err := checkKey(r.Key); err != nil {
			return nil, err
		}
		if len(r.Data) > limit {
			return nil, fmt.Errorf("%w: a record of %d bytes, and one may have %d", ErrTooLarge, len(r.Data), limit)
		}
		m := message{key: r.Key, subject: l.subject(r.Key), data: encode(r.Key, r.Data)}
		switch {
		case r.TTL < 0 || r.TTL > 0 && r.TTL < time.Second:
			return nil, fmt.Errorf("store: a record's TTL is %v, and 1s is the least", r.TTL)
		case r.TTL > 0:
			m.ttl = strconv.FormatInt(int64((r.TTL+time.Second-1)/time.Second), 10)
		}
		it.messages[i] = m
		it.bytes += m.size()
	}
	if it.bytes > maxQueued {
		return nil, fmt.Errorf("%w: %d bytes, and %d can be written at once", ErrTooLarge, it.bytes, maxQueued)
	}
	return it, nil
}

// size is what a message takes in the engine's files, at the most.
func (m *message) size() int64 { return int64(len(m.subject) + len(m.data) + recordCost) }

// enqueue puts an item into the queue. When that has no room for it, room is closed
// as soon as there is more.
func (l *Log) enqueue(it *item) (taken bool, room <-chan struct{}, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return false, nil, ErrClosed
	}
	if l.bytes+it.bytes > maxQueued {
		return false, l.room, nil
	}
	l.bytes += it.bytes
	l.taken++
	l.queue = append(l.queue, it)
	select {
	case l.work <- struct{}{}:
	default:
	}
	return true, nil, nil
}

// take waits for items and returns what makes up one batch of them, and none when
// the log is closed and all are written.
func (l *Log) take() []*item {
	for range l.work {
		l.mu.Lock()
		n, messages, bytes := 0, 0, int64(0)
		for _, it := range l.queue {
			if n > 0 && (messages+len(it.messages) > maxBatch || bytes+it.bytes > maxBatchBytes) {
				break
			}
			n, messages, bytes = n+1, messages+len(it.messages), bytes+it.bytes
		}
		items := l.queue[:n:n]
		l.queue = l.queue[n:]
		switch {
		case len(l.queue) > 0 || l.closed && n > 0:
			select {
			case l.work <- struct{}{}: // to come here again
			default:
			}
		case n == 0 && l.closed:
			l.mu.Unlock()
			return nil
		default:
			l.queue = nil // lets go of the array
		}
		l.mu.Unlock()
		if n > 0 {
			return items
		}
	}
	return nil
}

// finish says what has become of an item.
func (l *Log) finish(it *item, seq uint64, err error) {
	l.mu.Lock()
	l.bytes -= it.bytes
	l.settled++
	close(l.room)
	l.room = make(chan struct{})
	if err == nil && seq > l.last {
		l.last = seq
		close(l.arrived)
		l.arrived = make(chan struct{})
	}
	l.counts.finished(it, err)
	l.mu.Unlock()
	it.done(seq, err)
}

// Settle returns when what was given to Append and Submit before is on the disk, or will not be.
func (l *Log) Settle(ctx context.Context) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for until := l.taken; l.settled < until; {
		room := l.room
		l.mu.Unlock()
		select {
		case <-room:
		case <-ctx.Done():
		}
		l.mu.Lock()
		if ctx.Err() != nil {
			return fmt.Errorf("store: settle: %w", context.Cause(ctx))
		}
	}
	return nil
}

// close lets the committing goroutine end when it has written what waits.
func (l *Log) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
	select {
	case l.work <- struct{}{}:
	default:
	}
}
