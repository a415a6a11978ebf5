package store

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// spaceAge is how long a look at the file system is believed.
const spaceAge = 5 * time.Millisecond

// A space knows how much room there is on the file system of a directory.
type space struct {
	dir string

	mu   sync.Mutex
	at   time.Time // of the last look
	free int64
	err  error
}

// take returns how much will be left free when n more bytes have been written. They
// count until the next look at the file system, which then counts them itself.
func (s *space) take(n int64) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.at) > spaceAge {
		s.free, s.err = freeBytes(s.dir)
		s.at = now
	}
	s.free -= n
	return s.free, s.err
}

// roomFor returns nil if n more bytes can be written without touching the reserve.
func (s *Store) roomFor(n int64) error {
	if s.space == nil || s.conf.Reserve < 0 {
		return nil
	}
	// An error of the question is no answer: let the engine find out.
	free, err := s.space.take(n)
	if err == nil && free < s.conf.Reserve {
		s.space.take(-n)
		return fmt.Errorf("%w: %s has %d bytes left, and %d are to stay free; make room there", ErrFull, s.conf.Dir, max(free+n, 0), s.conf.Reserve)
	}
	return nil
}

// startRoom is what must be free for the engine to be started, which takes some
// files. On a full disk it is better not begun: it could not finish what a crash has
// left half done.
const startRoom = 1 << 20

// writable returns nil when the directory takes a file, past the caches.
func (s *Store) writable() error {
	if free, err := freeBytes(s.conf.Dir); err == nil && free < startRoom {
		return fmt.Errorf("%w: %s has %d bytes left, and the engine takes %d to start; make room there", ErrFull, s.conf.Dir, free, startRoom)
	}
	path := filepath.Join(s.conf.Dir, "probe")
	defer os.Remove(path)
	return writeFile(path, make([]byte, 64<<10))
}
