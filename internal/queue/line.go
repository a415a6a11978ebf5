package queue

import (
	"container/heap"
	"slices"
	"time"
)

// A line is the commands of one board that have not ended. There is none for other boards.
type line struct {
	device   string
	items    []*item // in order
	bytes    int64
	busy     int    // items that are sending
	here     bool   // the board is there, as far as is known
	arrivals uint64 // how often it has come
	queued   bool   // it is in Queue.ready
	turning  bool   // it is being sent something
	expiry   int64  // not later than the first that expires; 0 where there is none
	alarm    int64  // Unix nanoseconds: when the scheduler shall look at it
	index    int    // in Queue.alarms, -1 where it has no alarm
}

// An item is what is in memory of a command that has not ended.
type item struct {
	id      string
	order   int64 // CreatedAt in Unix nanoseconds; no two are the same
	expires int64
	retry   int64 // not to be sent before
	size    int   // bytes on disk
	phase   phase
	alone   bool          // its answer has no key: nothing else is with its board meanwhile
	settled chan struct{} // closed when phase writing is over; nil in others, and without a key
	ended   chan struct{} // closed when the command has; nil until somebody waits
}

type phase uint8

const (
	writing phase = iota // it is not on disk yet
	waiting              // it may be sent, cancelled, or expire
	sending              // somebody sees to its answer
	ending               // somebody sees to its end
	leaving              // somebody calls it back, which may fail
)

func (q *Queue) lineLocked(device string) *line {
	l := q.lines[device]
	if l == nil {
		l = &line{device: device, index: -1}
		q.lines[device] = l
	}
	return l
}

func (l *line) find(id string) *item {
	for _, it := range l.items {
		if it.id == id {
			return it
		}
	}
	return nil
}

// removeLocked takes a command out of its line.
func (q *Queue) removeLocked(l *line, it *item) {
	i := slices.Index(l.items, it)
	l.items = slices.Delete(l.items, i, i+1)
	l.bytes -= int64(it.size)
	q.counts.Waiting--
	q.counts.Bytes -= int64(it.size)
	if it.settled != nil {
		close(it.settled)
		it.settled = nil
	}
	if it.ended != nil {
		close(it.ended)
		it.ended = nil
	}
}

// settleLocked draws the conclusions of a change in a line: whose turn it is, when it is to be
// looked at, and whether it is needed.
func (q *Queue) settleLocked(l *line) {
	if len(l.items) == 0 && !l.queued && !l.turning {
		q.alarmLocked(l, 0)
		delete(q.lines, l.device)
		return
	}
	at := l.expiry
	if next := q.nextLocked(l, time.Now().UnixNano()); next != nil && l.here {
		if next.retry > 0 {
			at = earliest(at, next.retry)
		} else if !l.queued {
			l.queued = true
			q.ready = append(q.ready, l)
			q.wakeUp()
		}
	}
	q.alarmLocked(l, at)
}

// nextLocked returns the command of a line that is to be sent next, nil where there is none.
func (q *Queue) nextLocked(l *line, now int64) *item {
	if l.turning || l.busy >= q.conf.Window {
		return nil
	}
	for _, it := range l.items {
		switch {
		case it.phase == sending && it.alone, it.phase == writing, it.phase == leaving:
			return nil
		case it.phase == sending, it.phase == ending:
			continue
		case it.alone && l.busy > 0:
			return nil
		}
		if it.retry <= now {
			it.retry = 0
		}
		return it
	}
	return nil
}

// earliest returns the earlier of two times, of which 0 is none.
func earliest(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// alarmLocked has the scheduler look at a line at a time; 0 means not.
func (q *Queue) alarmLocked(l *line, at int64) {
	switch {
	case at == 0 && l.index >= 0:
		heap.Remove(&q.alarms, l.index)
	case at == 0:
	case l.index < 0:
		l.alarm = at
		heap.Push(&q.alarms, l)
	case at != l.alarm:
		l.alarm = at
		heap.Fix(&q.alarms, l.index)
	}
	if at != 0 && l.index == 0 {
		q.wakeUp()
	}
}

func (q *Queue) wakeUp() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}

// alarms are lines, the one that is to be looked at first in front.
type alarms []*line

func (a alarms) Len() int           { return len(a) }
func (a alarms) Less(i, j int) bool { return a[i].alarm < a[j].alarm }
func (a alarms) Swap(i, j int) {
	a[i], a[j] = a[j], a[i]
	a[i].index, a[j].index = i, j
}

func (a *alarms) Push(x any) {
	l := x.(*line)
	l.index = len(*a)
	*a = append(*a, l)
}

func (a *alarms) Pop() any {
	l := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = nil
	*a = (*a)[:len(*a)-1]
	l.index = -1
	return l
}
