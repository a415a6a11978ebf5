package store

import (
	"context"
	"errors"
	"time"
)

// Stats say how a store fares. What is counted, is counted from when it was opened.
type Stats struct {
	Logs []LogStats // in the order of Config.Logs
	Free int64      // bytes left on the file system of Dir; -1 when that is not known
	Lost Lost
}

// LogStats are those of a log. What the engine has to be asked for is 0 when it does
// not answer.
type LogStats struct {
	Name        string
	Records     uint64
	Bytes       uint64
	First, Last uint64 // sequence numbers
	Keys        uint64

	Commits       uint64        // times that records were written together
	Committed     uint64        // records that were
	CommitTime    time.Duration // of all commits, fsync included
	MaxCommitTime time.Duration
	Refused       uint64 // records refused with ErrFull
	Failed        uint64 // records that are in doubt
	Queued        int64  // bytes that wait to be written
	Damaged       uint64 // records that were read and passed over
}

// Lost says what a store had lost when it was opened. What was damaged before is not
// told again.
type Lost struct {
	Damage   []Damage // of logs with damaged records
	SetAside []string // directories of logs that the engine did not recognise
	Warnings []string // of the engine when it read its files
}

// Records returns how many records are lost, at the most.
func (l *Lost) Records() (n uint64) {
	for _, d := range l.Damage {
		n += d.Records
	}
	return n
}

// A Damage says what a log has lost.
type Damage struct {
	Log     string
	Records uint64 // at the most
	Bytes   int64
	Blocks  int    // files that were damaged
	Kept    string // the directory with these files as they were

	last uint64 // number in the blocks that were read
	open gap    // where a block ends, until the next is read
}

// noteLost adds to what was lost.
func (s *Store) noteLost(add func(*Lost)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	add(&s.lost)
}

// counts are what a log counts itself.
type counts struct {
	Commits       uint64
	Committed     uint64
	CommitTime    time.Duration
	MaxCommitTime time.Duration
	Refused       uint64
	Failed        uint64
	Damaged       uint64
}

func (c *counts) finished(it *item, err error) {
	n := uint64(len(it.messages))
	switch {
	case err == nil:
		c.Committed += n
	case errors.Is(err, ErrFull):
		c.Refused += n
	default:
		c.Failed += n
	}
}

func (c *counts) committed(took time.Duration) {
	c.Commits++
	c.CommitTime += took
	c.MaxCommitTime = max(c.MaxCommitTime, took)
}

// statsTimeout is how long the engine may take to say how large a log is.
const statsTimeout = time.Second

// Stats returns how the store fares.
func (s *Store) Stats() Stats {
	s.mu.Lock()
	stats := Stats{Free: -1, Lost: s.lost}
	s.mu.Unlock()
	if s.space != nil {
		if free, err := freeBytes(s.conf.Dir); err == nil {
			stats.Free = free
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), statsTimeout)
	defer cancel()
	for _, lc := range s.conf.Logs {
		stats.Logs = append(stats.Logs, s.logs[lc.Name].stats(ctx))
	}
	return stats
}

func (l *Log) stats(ctx context.Context) LogStats {
	l.mu.Lock()
	c := l.counts
	st := LogStats{
		Name:          l.conf.Name,
		Commits:       c.Commits,
		Committed:     c.Committed,
		CommitTime:    c.CommitTime,
		MaxCommitTime: c.MaxCommitTime,
		Refused:       c.Refused,
		Failed:        c.Failed,
		Damaged:       c.Damaged,
		Queued:        l.bytes,
	}
	l.mu.Unlock()
	l.store.withEngine(ctx, func(e *engine) error {
		info, err := e.streamInfo(ctx, l.conf.Name)
		if err == nil {
			st.Records, st.Bytes = info.State.Msgs, info.State.Bytes
			st.First, st.Last = info.State.FirstSeq, info.State.LastSeq
			st.Keys = info.State.NumSubjects
		}
		return err
	})
	return st
}

// maxData is how large a record's data may be: what the engine takes in a message,
// less its headers and ours.
func (s *Store) maxData() int {
	e, _ := s.accepting()
	if e == nil || e.server != nil {
		return maxPayload - maxHeaders
	}
	return int(e.nc.MaxPayload()) - maxHeaders
}

const maxHeaders = recordHead + 1<<10
