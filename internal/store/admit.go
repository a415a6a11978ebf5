package store

import (
	"errors"
	"fmt"
	"time"
)

// usedAge is how long the size of a log on a server elsewhere is believed, where
// others may write to it too.
const usedAge = time.Second

// admit refuses the items that there is no room for and returns the others.
func (l *Log) admit(e *engine, items []*item) []*item {
	var bytes int64
	for _, it := range items {
		bytes += it.bytes
	}
	// The engine writes a batch twice: aside, and when that is complete to its place.
	if err := l.store.roomFor(2 * bytes); err != nil {
		l.finishAll(items, err)
		return nil
	}
	if l.conf.MaxBytes == 0 || l.conf.DropOldest {
		return items
	}
	limit := l.conf.MaxBytes
	if l.conf.Latest {
		limit -= limit / 10
	}
	// What was replaced, deleted or has expired since the engine was asked is still
	// counted, so it is asked again only when that matters.
	if !l.known || l.used+bytes > limit || e.server == nil && time.Since(l.asked) > usedAge {
		if err := l.ask(e); err != nil {
			l.finishAll(items, unavailable(err))
			return nil
		}
	}
	admitted := items[:0]
	for _, it := range items {
		replaced, err := int64(0), error(nil)
		if l.used+it.bytes > limit {
			replaced, err = l.replaces(e, it)
		}
		if err != nil {
			l.finish(it, 0, err)
			continue
		}
		l.used += it.bytes - replaced
		admitted = append(admitted, it)
	}
	return admitted
}

// ask asks the engine how large the log is. Nothing of this log is being written
// then, so the answer is exact.
func (l *Log) ask(e *engine) error {
	up, _ := e.current()
	info, err := e.streamInfo(up, l.conf.Name)
	if err != nil {
		return err
	}
	l.used, l.known, l.asked = int64(info.State.Bytes), true, time.Now()
	return nil
}

// replaces returns how many bytes go when an item comes into a log that is nearly
// full, and ErrFull if it may not come.
func (l *Log) replaces(e *engine, it *item) (int64, error) {
	full := fmt.Errorf("%w: log %s has %d bytes of %d", ErrFull, l.conf.Name, l.used, l.conf.MaxBytes)
	if !l.conf.Latest {
		return 0, full
	}
	up, _ := e.current()
	var replaced int64
	for _, m := range it.messages {
		old, err := e.last(up, l.conf.Name, m.subject)
		if errors.Is(err, ErrNotFound) {
			return 0, full
		}
		if err != nil {
			return 0, unavailable(err)
		}
		replaced += int64(len(m.subject) + len(old.Data) + blockEmpty)
	}
	if l.used+it.bytes-replaced > l.conf.MaxBytes {
		return 0, full
	}
	return replaced, nil
}
