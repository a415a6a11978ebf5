// Package queue keeps commands for boards, on disk, until the boards have answered them.
//
// A [Command] is on disk before Put returns it. Those of one board are sent in the order in
// which they were put, so many at a time as the window allows, and again until the board
// answers, always with the same id. What has become of them is on disk before anybody is told.
//
// Nothing is done, and nothing held, for boards that no command waits for.
package queue

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/longwire/longwire/internal/store"
)

// A Log keeps records on disk. [store.Log] is one.
type Log interface {
	Append(ctx context.Context, records ...store.Record) (uint64, error)
	Get(ctx context.Context, key string) (store.Record, error)
	Read(ctx context.Context, filter string, after uint64, limit int) ([]store.Record, error)
	Delete(ctx context.Context, keys ...string) error
	Last(ctx context.Context) (uint64, error)
}

// A Sender brings commands to boards.
type Sender interface {
	// Connected reports whether a board is there. The queue must also be told when it comes:
	// see [Queue.Connected].
	Connected(device string) bool

	// Send sends a command. Wait waits for the answer, and must be called. An error means
	// that the board has got nothing: ErrAway, ErrUnfit, or anything else that may pass.
	Send(ctx context.Context, c *Command) (wait func(context.Context) (Answer, error), err error)
}

// An Answer is what a board has answered.
type Answer struct {
	Bytes  bool // it is no envelope, and has no status
	Status string
	JSON   json.RawMessage // all of it, as it is shown
}

// DefaultTimeout is how long a board may take to answer, by default.
const DefaultTimeout = 10 * time.Second

// A Config says how commands are kept and sent. Zero fields mean the stated defaults.
type Config struct {
	Log    Log
	Sender Sender
	Logger *slog.Logger // nil means silent

	Max      int   // commands that may wait for one board; zero means 1,000
	MaxBytes int64 // bytes of them, with 512 for each beside its data; zero means 1 MiB

	TTL      time.Duration // for requests that do not say; zero means 24 h
	Timeout  time.Duration // for requests that do not say; zero means DefaultTimeout
	Attempts int           // for requests that do not say; zero means 5
	Keep     time.Duration // how long commands that have ended are kept; zero means 24 h

	Window   int // commands that one board may have unanswered; zero means 1
	InFlight int // and all boards together; zero means 4,096
	Rate     int // commands sent per second, to all boards together; zero means 500

	// Changed, if not nil, is told of every new state, when it is on disk. It is called
	// from any goroutine and must not wait. It may keep the Command and must not change it.
	Changed func(*Command)
}

// A Queue holds the commands of all boards. All methods may be called from any goroutine.
type Queue struct {
	conf  Config
	pace  *rate.Limiter
	slots chan struct{}      // of turns at a time
	ctx   context.Context    // ends when nothing more may be done
	stop  context.CancelFunc // ends ctx
	tasks sync.WaitGroup
	wake  chan struct{} // holds one: the scheduler shall look

	mu          sync.Mutex
	closed      bool // nothing more is put
	paused      bool // nothing more is sent
	lines       map[string]*line
	ready       []*line // whose turn it is, in order
	alarms      alarms
	inFlight    int
	last        int64 // order of the latest command
	counts      Counts
	doubtful    map[string]bool // keys of records that may be on disk though their request has failed
	clearing    bool            // clear is at work
	trimming    bool
	trimmed     uint64    // trim has looked up to here
	untrimmable time.Time // when it last found nothing
	warned      time.Time
}

// Counts is what a queue has counted.
type Counts struct {
	Boards   int             // that commands wait for
	Waiting  int             // commands that have not ended
	Bytes    int64           // of them
	InFlight int             // of them, that boards have not answered yet
	Put      int64           // commands accepted
	Ended    map[State]int64 // by state
	Attempts int64           // commands sent
}

// turns is how many boards are sent commands at the same moment.
const turns = 64

// Open reads the commands that have not ended, and begins to send them. The [Sender] is not
// called before Start.
func Open(ctx context.Context, conf Config) (*Queue, error) {
	orDefault(&conf.Max, 1000)
	orDefault(&conf.MaxBytes, 1<<20)
	orDefault(&conf.TTL, 24*time.Hour)
	orDefault(&conf.Timeout, DefaultTimeout)
	orDefault(&conf.Attempts, 5)
	orDefault(&conf.Keep, 24*time.Hour)
	orDefault(&conf.Window, 1)
	orDefault(&conf.InFlight, 4096)
	orDefault(&conf.Rate, 500)
	if conf.Logger == nil {
		conf.Logger = slog.New(slog.DiscardHandler)
	}
	q := &Queue{
		conf:     conf,
		pace:     rate.NewLimiter(rate.Limit(conf.Rate), max(conf.Rate/100, conf.Window)),
		slots:    make(chan struct{}, turns),
		wake:     make(chan struct{}, 1),
		lines:    make(map[string]*line),
		doubtful: make(map[string]bool),
	}
	q.counts.Ended = make(map[State]int64)
	q.ctx, q.stop = context.WithCancel(context.Background())
	if err := q.load(ctx); err != nil {
		q.stop()
		return nil, err
	}
	return q, nil
}

// load reads what has not ended. What is held of a command is small; the rest stays on disk.
func (q *Queue) load(ctx context.Context) error {
	for after := uint64(0); ; {
		// All of it: the engine counts what a filter leaves for every part anew.
		records, err := q.conf.Log.Read(ctx, "", after, 10_000)
		if err != nil {
			return fmt.Errorf("queue: read commands: %w", err)
		}
		if len(records) == 0 {
			break
		}
		for _, r := range records {
			after = r.Seq
			device, id := splitKey(r.Key)
			it, err := decodeItem(id, r.Data)
			if err != nil {
				q.conf.Logger.Error("command lost", "device", device, "command", id, "error", err)
			}
			if it == nil {
				continue
			}
			l := q.lineLocked(device)
			l.items = append(l.items, it)
			l.bytes += int64(it.size)
			q.counts.Waiting++
			q.counts.Bytes += int64(it.size)
			q.last = max(q.last, it.order)
		}
	}
	for _, l := range q.lines {
		slices.SortFunc(l.items, func(a, b *item) int { return int(min(max(a.order-b.order, -1), 1)) })
		for _, it := range l.items {
			l.expiry = earliest(l.expiry, it.expires)
		}
		q.settleLocked(l)
	}
	return nil
}

// Start begins to send.
func (q *Queue) Start() {
	q.tasks.Go(q.run)
	q.mu.Lock()
	devices := make([]string, 0, len(q.lines))
	for device := range q.lines {
		devices = append(devices, device)
	}
	q.mu.Unlock()
	for _, device := range devices {
		q.look(device)
	}
}

// Pause has nothing more be sent. What boards have may still be answered.
func (q *Queue) Pause() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.paused = true
}

// Close ends the queue, and returns when nothing is done any more. Commands that boards have not
// answered are sent again by the next queue.
func (q *Queue) Close() {
	q.mu.Lock()
	q.closed, q.paused = true, true
	q.mu.Unlock()
	q.stop()
	q.tasks.Wait()
}

// Counts returns what the queue has counted.
func (q *Queue) Counts() Counts {
	q.mu.Lock()
	defer q.mu.Unlock()
	c := q.counts
	c.Boards, c.InFlight = len(q.lines), q.inFlight
	c.Ended = maps.Clone(q.counts.Ended)
	return c
}

// Connected is told that a board is there, each time that it comes. It does not wait, and does
// nothing where no command waits for the board.
func (q *Queue) Connected(device string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if l := q.lines[device]; l != nil {
		l.arrivals++
		l.here = true
		q.settleLocked(l)
	}
}

// look asks whether a board is there that has just become one that commands wait for.
func (q *Queue) look(device string) {
	if q.conf.Sender.Connected(device) {
		q.Connected(device)
	}
}

// clear takes out what may be on disk although its request has failed. It tries again until the log
// does that; requests with the key of such a command are refused meanwhile.
func (q *Queue) clear() {
	for {
		select {
		case <-time.After(time.Second):
		case <-q.ctx.Done():
			return
		}
		q.mu.Lock()
		keys := slices.Collect(maps.Keys(q.doubtful))
		q.mu.Unlock()
		for _, key := range keys {
			if err := q.conf.Log.Delete(q.ctx, key); err != nil {
				break
			}
			q.mu.Lock()
			delete(q.doubtful, key)
			q.mu.Unlock()
		}
		q.mu.Lock()
		q.clearing = len(q.doubtful) > 0
		again := q.clearing
		q.mu.Unlock()
		if !again {
			return
		}
	}
}

// keyOf returns the key of a command's record in the log.
func keyOf(device, id string) string { return "c/" + device + "/" + id }

func splitKey(key string) (device, id string) {
	device, id, _ = strings.Cut(strings.TrimPrefix(key, "c/"), "/")
	return strings.Clone(device), strings.Clone(id)
}

func orDefault[T int | int64 | time.Duration](v *T, def T) {
	if *v == 0 {
		*v = def
	}
}
