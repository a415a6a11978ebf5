package queue

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// A memory is a Log in memory, which a test can have fail.
type memory struct {
	mu      sync.Mutex
	seq     uint64
	records map[string]store.Record
	gone    map[string]time.Time
	refuse  error            // what Append returns
	keeps   bool             // though it refuses it keeps, as a disk may
	full    bool             // Append takes no keys that are not there
	delay   time.Duration    // of Append
	getting func(key string) // called by Get, if not nil
	appends int
	largest int // bytes of one Append
}

func newMemory() *memory {
	return &memory{records: make(map[string]store.Record), gone: make(map[string]time.Time)}
}

func (m *memory) Append(ctx context.Context, records ...store.Record) (uint64, error) {
	if m.delay > 0 {
		select {
		case <-time.After(m.delay):
		case <-ctx.Done():
			m.mu.Lock()
			defer m.mu.Unlock()
			m.write(records)
			return 0, ctx.Err()
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.appends++
	if m.refuse != nil && !m.keeps {
		return 0, m.refuse
	}
	for _, r := range records {
		if len(r.Data) > 8<<20 {
			return 0, store.ErrTooLarge
		}
		if _, there := m.records[r.Key]; m.full && !there {
			return 0, store.ErrFull
		}
	}
	m.write(records)
	return m.seq, m.refuse
}

// write keeps records. Those whose writer does not wait any more are kept all the same.
func (m *memory) write(records []store.Record) {
	bytes := 0
	for _, r := range records {
		bytes += len(r.Data)
		m.seq++
		r.Seq, r.At = m.seq, time.Now()
		m.records[r.Key] = r
		delete(m.gone, r.Key)
		if r.TTL > 0 {
			m.gone[r.Key] = r.At.Add(r.TTL)
		}
	}
	m.largest = max(m.largest, bytes)
}

func (m *memory) Last(context.Context) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.seq, nil
}

func (m *memory) Get(_ context.Context, key string) (store.Record, error) {
	if m.getting != nil {
		m.getting(key)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.records[key]
	if gone, is := m.gone[key]; !ok || is && !time.Now().Before(gone) {
		return store.Record{}, store.ErrNotFound
	}
	return r, nil
}

func (m *memory) Read(_ context.Context, filter string, after uint64, limit int) (found []store.Record, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key, r := range m.records {
		if gone, is := m.gone[key]; r.Seq > after && matches(filter, key) && !(is && !time.Now().Before(gone)) {
			found = append(found, r)
		}
	}
	slices.SortFunc(found, func(a, b store.Record) int { return cmp.Compare(a.Seq, b.Seq) })
	return found[:min(len(found), limit)], nil
}

// live returns the keys of what is there.
func (m *memory) live() (keys []string) {
	records, _ := m.Read(context.Background(), "", 0, 1<<30)
	for _, r := range records {
		keys = append(keys, r.Key)
	}
	return keys
}

func matches(filter, key string) bool {
	if filter == "" {
		return true
	}
	f, k := strings.Split(filter, "/"), strings.Split(key, "/")
	return len(f) == len(k) && !slices.ContainsFunc(f, func(part string) bool {
		i := slices.Index(f, part)
		return part != "*" && part != k[i]
	})
}

func (m *memory) Delete(_ context.Context, keys ...string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range keys {
		delete(m.records, key)
	}
	return nil
}

func (m *memory) setRefuse(err error, keeps bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.refuse, m.keeps = err, keeps
}

func (m *memory) setFull(full bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.full = full
}

// boards answer commands as a test says.
type boards struct {
	mu     sync.Mutex
	here   map[string]bool
	got    []string // device and id of every command that was sent, in order
	answer func(c *Command) (Answer, error)
	delay  time.Duration
	refuse error // what Send returns
	most   int   // that were unanswered at a time
	now    int
	log    *memory
	t      *testing.T
}

func (b *boards) Connected(device string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.here[device]
}

func (b *boards) set(device string, here bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.here[device] = here
}

func (b *boards) Send(_ context.Context, c *Command) (func(context.Context) (Answer, error), error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.here[c.Device] {
		return nil, ErrAway
	}
	if b.refuse != nil {
		return nil, b.refuse
	}
	// No state ever lies: it is on disk that it is sent before it is.
	onDisk, err := b.log.Get(context.Background(), keyOf(c.Device, c.ID))
	if err != nil {
		b.t.Errorf("%s is sent and not on disk", c.ID)
	} else if was, _ := decodeCommand(onDisk.Data); was.State != Sent || was.Attempts != c.Attempts {
		b.t.Errorf("%s is sent and on disk %s, attempt %d of %d", c.ID, was.State, was.Attempts, c.Attempts)
	}
	b.got = append(b.got, c.Device+" "+c.ID)
	b.now++
	b.most = max(b.most, b.now)
	return func(ctx context.Context) (Answer, error) {
		defer func() {
			b.mu.Lock()
			b.now--
			b.mu.Unlock()
		}()
		select {
		case <-time.After(b.delay):
			return b.answer(c)
		case <-ctx.Done():
			return Answer{}, fmt.Errorf("no answer: %w", context.Cause(ctx))
		}
	}, nil
}

func (b *boards) sent() []string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.got)
}

// atATime returns how many commands were unanswered at a time, at most.
func (b *boards) atATime() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.most
}

func fine(*Command) (Answer, error) {
	return Answer{Status: "200", JSON: json.RawMessage(`{"status":"200"}`)}, nil
}

// setRefuse has Send fail, with nil no more.
func (b *boards) setRefuse(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.refuse = err
}

// A world is a queue with what it stands on.
type world struct {
	*Queue
	t      *testing.T
	log    *memory
	boards *boards
	mu     sync.Mutex
	told   []string // ids and states, in order
}

// heard returns what the queue has told, in order.
func (w *world) heard() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.told)
}

// inWorld runs a test in fake time.
func inWorld(t *testing.T, conf Config, test func(w *world)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, log: newMemory()}
		w.boards = &boards{here: make(map[string]bool), answer: fine, log: w.log, t: t, delay: time.Millisecond}
		w.open(conf)
		defer func() { w.Close() }()
		test(w)
	})
}

// open opens the queue, again if there was one.
func (w *world) open(conf Config) {
	w.t.Helper()
	conf.Log, conf.Sender = w.log, w.boards
	conf.Changed = func(c *Command) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.told = append(w.told, fmt.Sprint(c.ID, " ", c.State))
	}
	q, err := Open(w.t.Context(), conf)
	if err != nil {
		w.t.Fatal(err)
	}
	w.Queue = q
	q.Start()
}

func (w *world) arrive(device string) {
	w.boards.set(device, true)
	w.Connected(device)
}

// put puts one command.
func (w *world) put(r Request) *Command {
	w.t.Helper()
	if r.Type == 0 {
		r.Type = 0x10
	}
	results := w.Put(w.t.Context(), r)
	if results[0].Err != nil {
		w.t.Fatal(results[0].Err)
	}
	return results[0].Command
}

func (w *world) get(c *Command) *Command {
	w.t.Helper()
	now, err := w.Get(w.t.Context(), c.Device, c.ID)
	if err != nil {
		w.t.Fatal(err)
	}
	return now
}

// wantState looks at a command when nothing is going on any more: at the moment at which the
// test goes on, another attempt may have begun.
func (w *world) wantState(c *Command, want State, attempts int) *Command {
	w.t.Helper()
	synctest.Wait()
	got := w.get(c)
	if got.State != want || got.Attempts != attempts {
		w.t.Errorf("the command is %s after %d attempts (%s), want %s after %d", got.State, got.Attempts, got.Error, want, attempts)
	}
	return got
}

// newRandom returns random numbers below n, the same for the same seed.
func newRandom(seed uint64) func(n int) int {
	var mu sync.Mutex
	r := rand.New(rand.NewPCG(seed, 0))
	return func(n int) int {
		mu.Lock()
		defer mu.Unlock()
		return r.IntN(n)
	}
}
