package store

import (
	"errors"
	"fmt"
	"time"
)

// unavailable wraps the cause of a failure, unless it already says what it is.
func unavailable(cause error) error {
	if errors.Is(cause, ErrUnavailable) || errors.Is(cause, ErrClosed) {
		return cause
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, cause)
}

// fail is called by who found that the embedded engine can no longer write. The
// engine holds on to that error until it is started again, so that is what happens,
// once the directory takes writes; until then what was written before can be read.
func (s *Store) fail(e *engine, cause error) {
	cause = unavailable(cause)
	e.fail(cause)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.engine != e || s.failure != nil || s.closed {
		return
	}
	s.failure = cause
	s.announce()
	s.log.Error("the store takes no records until its disk does again; those that were being written are in doubt", "dir", s.conf.Dir, "err", cause)
	s.wg.Go(func() { s.recoverFrom(e) })
}

const recoverEvery = 200 * time.Millisecond

func (s *Store) recoverFrom(e *engine) {
	began := time.Now()
	var last string
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-time.After(recoverEvery):
		}
		err := s.writable()
		if err == nil && e != nil {
			s.mu.Lock()
			s.engine = nil
			s.announce()
			s.mu.Unlock()
			s.stopEngine(e)
			e = nil
		}
		if err == nil {
			e, err = s.start(s.ctx)
		}
		if err != nil {
			// The same words five times a second would hide all others.
			if text := err.Error(); text != last {
				s.log.Warn("the store cannot start its engine again yet", "err", err)
				last = text
			}
			continue
		}
		s.mu.Lock()
		s.engine, s.failure = e, nil
		s.announce()
		s.mu.Unlock()
		s.log.Info("the store takes records again", "after", time.Since(began).Round(time.Millisecond))
		s.tellRecovered()
		return
	}
}

func (s *Store) tellRecovered() {
	select {
	case s.recovered <- struct{}{}:
	default:
	}
}
