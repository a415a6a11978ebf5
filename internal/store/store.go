// Package store keeps records on disk, in logs.
//
// A record has a key and data, and gets a sequence number and a time when it is
// appended to its log. What [Log.Append] has returned nil for is on the disk, past
// the caches of the operating system. Records that arrive while others are being
// written are written together, so that one fsync serves many.
//
// Underneath is NATS JetStream: a server inside of this process that opens no
// port, or with [Config.URL] one elsewhere. This is the one package that knows it.
//
// # When it cannot write
//
// Append says which of two things has happened. [ErrFull] and [ErrTooLarge] mean
// that nothing was written, and nothing else was harmed. [ErrUnavailable], and a
// context that ends, mean that the records may or may not be there later: a write
// that failed is never silently repeated, because after a failed fsync nobody can
// say what is on the disk. The store then starts its engine anew from what the disk
// has as soon as the disk takes writes again, and says so on [Store.Recovered].
package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

var (
	// ErrFull is returned for records that have no room: the log is as large as it
	// may become, or the file system has too little left. Nothing was written.
	ErrFull = errors.New("store: full")

	// ErrUnavailable is returned when the engine has failed or is not to be reached.
	// What was to be written may or may not be there when it is back.
	ErrUnavailable = errors.New("store: unavailable")

	// ErrRefused is wrapped, together with ErrUnavailable, by the error for records of which
	// nothing was written because the engine had failed before.
	ErrRefused = errors.New("store: refused")

	// ErrLocked is returned by Open for a directory that another process has open.
	ErrLocked = errors.New("store: in use by another process")

	// ErrNotFound is returned for a key that has no record.
	ErrNotFound = errors.New("store: not found")

	// ErrTooLarge is returned for more records, or larger ones, than can be written
	// at once.
	ErrTooLarge = errors.New("store: too large")

	// ErrClosed is returned by what is called after Close.
	ErrClosed = errors.New("store: closed")
)

// A Config says where a store is and what logs it has.
type Config struct {
	// Dir is where the embedded engine keeps its files. It is made if there is
	// none, and locked: a second Open of it fails with ErrLocked.
	Dir string

	// URL is that of a NATS server with JetStream, or several with commas between,
	// in place of the embedded engine. Then Dir and Reserve have no effect. How
	// safely that server keeps what it has acknowledged is for its configuration to
	// say: by default it writes to the disk only every two minutes (sync_interval).
	URL         string
	Credentials string // the file of its credentials, if it wants any
	Replicas    int    // how many servers keep each record. Zero means 1

	// Reserve is how many bytes of the file system are left free: with less, Append
	// is refused with ErrFull. Zero means 64 MiB; negative means none.
	Reserve int64

	Logs []LogConfig

	// Logger receives what an operator should know, also from the engine. Nil is
	// silent.
	Logger *slog.Logger
}

// A LogConfig says what a log keeps.
type LogConfig struct {
	Name string // letters from a to z

	// Latest says that a record replaces the earlier ones of its key. When the latest
	// is gone, by its TTL or with Delete, and the process is killed soon after, the one
	// before it may be there again: the engine writes down what it deletes, and not
	// what it replaces. Whom that would harm ends a key with a record without data, and a TTL
	// that is longer than the harm.
	Latest bool

	// MaxBytes is how many bytes its records may have, with their keys and some 30
	// to 100 bytes each of the engine's. Zero means no limit. In a log with Latest
	// and without DropOldest a tenth of it is kept back for records that replace
	// others, so that what is known can still be changed when nothing new fits.
	MaxBytes int64

	// MaxAge is how long a record is kept. Zero means for ever.
	MaxAge time.Duration

	// DropOldest says that at MaxBytes the oldest records make room. Otherwise
	// Append is refused with ErrFull.
	DropOldest bool
}

// A Record is what a log keeps.
type Record struct {
	// Key is one or more parts with "/" between, each 1 to 128 of
	// [A-Za-z0-9_.:-], as in "q/board.7/01j9".
	Key  string
	Data []byte

	// TTL says on Append how long the record is kept, in whole seconds, rounded up.
	// Zero means as long as its log says. It is not set on a record that was read.
	TTL time.Duration

	Seq uint64    // its number in the log, when it was read
	At  time.Time // when it was written
}

// A Store is an open set of logs.
type Store struct {
	conf  Config
	log   *slog.Logger
	lock  *dirLock
	space *space
	logs  map[string]*Log

	ctx       context.Context // ends with Close
	stop      context.CancelFunc
	wg        sync.WaitGroup // the committing goroutines, and the one that recovers
	recovered chan struct{}

	mu      sync.Mutex
	engine  *engine       // nil while there is none
	failure error         // why nothing is accepted; nil when it is
	changed chan struct{} // closed when one of these has changed
	closed  bool
	lost    Lost // what was found lost when the engine was started
}

// Open opens a store and starts its engine.
func Open(ctx context.Context, c Config) (*Store, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	s := &Store{
		conf:      c,
		log:       c.Logger,
		logs:      map[string]*Log{},
		recovered: make(chan struct{}, 1),
		changed:   make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.conf.Reserve == 0 {
		s.conf.Reserve = 64 << 20
	}
	s.conf.Replicas = max(s.conf.Replicas, 1)
	if c.URL == "" {
		var err error
		if s.lock, err = lockDir(c.Dir); err != nil {
			return nil, err
		}
		s.space = &space{dir: c.Dir}
	}
	e, err := s.start(ctx)
	if err != nil {
		s.lock.release()
		return nil, err
	}
	s.engine = e
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, lc := range c.Logs {
		l := newLog(s, lc)
		s.logs[lc.Name] = l
		s.wg.Go(l.run)
	}
	return s, nil
}

func (c *Config) check() error {
	if c.Dir == "" && c.URL == "" {
		return errors.New("store: neither Dir nor URL is set")
	}
	seen := map[string]bool{}
	for _, l := range c.Logs {
		if !validName(l.Name) || seen[l.Name] {
			return fmt.Errorf("store: %q is no name for a log, or is there twice", l.Name)
		}
		if l.MaxBytes < 0 || l.MaxAge < 0 {
			return fmt.Errorf("store: the limits of log %q are negative", l.Name)
		}
		seen[l.Name] = true
	}
	return nil
}

func validName(name string) bool {
	for _, r := range name {
		if r < 'a' || r > 'z' {
			return false
		}
	}
	return name != ""
}

// Log returns the log of that name, which is one of [Config.Logs]; for any other it
// returns nil.
func (s *Store) Log(name string) *Log { return s.logs[name] }

// Close writes what was submitted, stops the engine and unlocks the directory.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	s.mu.Unlock()
	for _, l := range s.logs {
		l.close()
	}
	s.stop()
	s.wg.Wait()
	s.mu.Lock()
	e := s.engine
	s.engine, s.failure = nil, ErrClosed
	s.announce()
	s.mu.Unlock()
	if e != nil {
		s.stopEngine(e)
	}
	return s.lock.release()
}

// Recovered returns a channel that has an element whenever the store accepts
// records again after a failure.
func (s *Store) Recovered() <-chan struct{} { return s.recovered }

// Err returns why Append is refused at the moment, and nil when it is not.
func (s *Store) Err() error {
	e, err := s.accepting()
	if err != nil {
		return err
	}
	if err := e.err(); err != nil {
		return err
	}
	return s.roomFor(0)
}

// accepting returns the engine if it takes records.
func (s *Store) accepting() (*engine, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.failure != nil {
		return nil, s.failure
	}
	return s.engine, nil
}

// announce wakes those who wait for the engine. The lock must be held.
func (s *Store) announce() {
	close(s.changed)
	s.changed = make(chan struct{})
}
