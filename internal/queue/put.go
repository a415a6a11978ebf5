package queue

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// A log takes so many commands at once, and so many bytes of them.
const (
	chunk      = 256
	chunkBytes = 4 << 20
)

// Put keeps commands, and returns when they are on disk, or are not, each by itself: results are
// in the order of requests. It waits for the disk and not for boards.
func (q *Queue) Put(ctx context.Context, requests ...Request) []Result {
	results := make([]Result, 0, len(requests))
	for len(requests) > 0 {
		n := atOnce(requests)
		results = append(results, q.put(ctx, requests[:n])...)
		requests = requests[n:]
	}
	return results
}

// atOnce returns how many of the requests are written at once.
func atOnce(requests []Request) int {
	bytes := 0
	for i := range requests {
		bytes += len(requests[i].Data) + 4*len(requests[i].Raw)/3
		if i == chunk || i > 0 && bytes > chunkBytes {
			return i
		}
	}
	return len(requests)
}

// A placed is a command that has a place in the line of its board, and is not on disk yet.
type placed struct {
	l  *line
	it *item
	c  *Command
	at int // in results
}

func (q *Queue) put(ctx context.Context, requests []Request) []Result {
	results := make([]Result, len(requests))
	var all []placed
	var records []store.Record
	for i := range requests {
		r := &requests[i]
		results[i].Device = r.Device
		p, err := q.place(ctx, r, &results[i])
		if err != nil {
			results[i].Err = err
		}
		if p != nil {
			p.at = i
			all = append(all, *p)
			records = append(records, store.Record{Key: keyOf(r.Device, p.c.ID), Data: p.c.encode()})
		}
	}
	if len(all) == 0 {
		return results
	}
	// Whoever asks may go away, and the queue close; what has begun has one end all the same.
	ctx = context.WithoutCancel(ctx)
	_, err := q.conf.Log.Append(ctx, records...)
	if errors.Is(err, store.ErrFull) && q.trim() {
		_, err = q.conf.Log.Append(ctx, records...)
	}
	for _, p := range all {
		if results[p.at].Err = err; err == nil {
			results[p.at].Command = p.c
			q.tell(p.c) // before it can be sent
		}
	}
	q.written(all, err)
	for _, p := range all {
		q.look(p.l.device)
	}
	return results
}

// place gives a command its place in the line of its board. Without an error and without a
// place, the result has the command that was there already.
func (q *Queue) place(ctx context.Context, r *Request, result *Result) (*placed, error) {
	c := q.command(r)
	for {
		q.mu.Lock()
		if q.closed {
			q.mu.Unlock()
			return nil, ErrClosed
		}
		if r.Key != "" && q.doubtful[keyOf(r.Device, c.ID)] {
			q.mu.Unlock()
			return nil, fmt.Errorf("%w: whether the command is there already is not known yet", store.ErrUnavailable)
		}
		if r.Key != "" && q.trimming { // it might be taken for what ended under the key
			q.mu.Unlock()
			return nil, store.ErrFull
		}
		l := q.lines[r.Device]
		var there *item
		if l != nil && r.Key != "" {
			there = l.find(c.ID)
		}
		if there == nil {
			p, refused := q.placeLocked(c)
			q.mu.Unlock()
			if r.Key == "" {
				return p, refused
			}
			old, err := q.Get(ctx, r.Device, c.ID) // which needs no place
			if errors.Is(err, ErrNotFound) {
				return p, refused
			}
			if p != nil {
				q.written([]placed{*p}, errRepeated)
			}
			if err != nil {
				return nil, err
			}
			return nil, result.repeat(old, c)
		}
		settled := there.settled
		q.mu.Unlock()
		if settled == nil {
			old, err := q.Get(ctx, r.Device, c.ID)
			if err != nil {
				return nil, err
			}
			return nil, result.repeat(old, c)
		}
		select { // another request with the key is writing it
		case <-settled:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

var errRepeated = errors.New("the command is there already")

// repeat takes an earlier command for the result, if it is what is asked for.
func (r *Result) repeat(old, c *Command) error {
	if old.Digest != c.Digest {
		return ErrKeyTaken
	}
	r.Command, r.Repeated = old, true
	return nil
}

// command makes a request a command.
func (q *Queue) command(r *Request) *Command {
	c := &Command{
		Device: r.Device, Type: r.Type, Data: r.Data, Raw: r.Raw, Match: r.Match, State: Queued,
		Timeout: or(r.Timeout, q.conf.Timeout).String(), MaxAttempts: or(r.Attempts, q.conf.Attempts),
	}
	c.ExpiresAt = time.Now().Add(or(r.TTL, q.conf.TTL)).UTC()
	if r.Key == "" {
		c.ID = newID()
		return c
	}
	digest := sha256.New()
	json.NewEncoder(digest).Encode(r)
	c.ID, c.Digest = keyedID(r.Device, r.Key), encoding.EncodeToString(digest.Sum(nil)[:15])
	return c
}

func (q *Queue) placeLocked(c *Command) (*placed, error) {
	now := time.Now()
	q.last = max(q.last+1, now.UnixNano())
	c.CreatedAt = time.Unix(0, q.last).UTC()
	c.UpdatedAt = c.CreatedAt
	size := c.size()
	if int64(size) > q.conf.MaxBytes {
		return nil, ErrTooLarge
	}
	l := q.lineLocked(c.Device)
	if len(l.items) >= q.conf.Max || l.bytes+int64(size) > q.conf.MaxBytes {
		q.settleLocked(l)
		return nil, ErrMany
	}
	it := &item{id: c.ID, order: c.order(), expires: c.ExpiresAt.UnixNano(), size: size, phase: writing, alone: c.Match == "type"}
	if c.Digest != "" {
		it.settled = make(chan struct{})
	}
	l.items = append(l.items, it)
	l.bytes += int64(size)
	q.counts.Waiting++
	q.counts.Bytes += int64(size)
	return &placed{l: l, it: it, c: c}, nil
}

// written is told what the disk has made of commands.
func (q *Queue) written(all []placed, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, p := range all {
		if err != nil {
			if inDoubt(err) {
				q.doubtful[keyOf(p.l.device, p.c.ID)] = true
				if !q.clearing && !q.closed {
					q.clearing = true
					q.tasks.Go(q.clear)
				}
			}
			q.removeLocked(p.l, p.it)
		} else {
			q.counts.Put++
			p.it.phase = waiting
			p.l.expiry = earliest(p.l.expiry, p.it.expires)
			if p.it.settled != nil {
				close(p.it.settled)
				p.it.settled = nil
			}
		}
		q.settleLocked(p.l)
	}
}

// inDoubt reports whether what the log has refused may be on the disk all the same.
func inDoubt(err error) bool {
	return errors.Is(err, store.ErrUnavailable) && !errors.Is(err, store.ErrRefused)
}

// trim makes room: of commands that have ended, first those that did so first, no more than that
// is kept. It reports whether there were any.
func (q *Queue) trim() bool {
	q.mu.Lock()
	from := q.trimmed
	if q.trimming || time.Since(q.untrimmable) < trimEvery {
		q.mu.Unlock()
		return false
	}
	q.trimming = true
	q.mu.Unlock()
	var marks []store.Record
	for len(marks) < chunk {
		records, err := q.conf.Log.Read(q.ctx, "", from, 1000)
		if err != nil || len(records) == 0 {
			break
		}
		for _, r := range records {
			if len(marks) == chunk {
				break
			}
			from = r.Seq
			if len(r.Data) > recordHead && r.Data[0] == recordEnded && !q.waits(r.Key) {
				expires := time.Unix(0, int64(binary.BigEndian.Uint64(r.Data[9:])))
				marks = append(marks, store.Record{Key: r.Key, Data: r.Data[:recordHead], TTL: max(time.Until(expires), 0) + graveTime})
			}
		}
	}
	made := false
	if len(marks) > 0 {
		_, err := q.conf.Log.Append(q.ctx, marks...)
		made = err == nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.trimming = false
	if q.trimmed = from; !made {
		q.trimmed, q.untrimmable = 0, time.Now() // from the beginning, the next time
	}
	return made
}

// waits reports whether a command waits under the key.
func (q *Queue) waits(key string) bool {
	device, id := splitKey(key)
	q.mu.Lock()
	defer q.mu.Unlock()
	l := q.lines[device]
	return l != nil && l.find(id) != nil
}

// trimEvery is how long trim rests when it has found nothing: it has read the whole log then.
const trimEvery = 10 * time.Second

// encoding makes ids of small letters and digits.
var encoding = base32.NewEncoding("0123456789abcdefghjkmnpqrstvwxyz").WithPadding(base32.NoPadding)

// IDSize is the most bytes that an id of a command has.
const IDSize = 25

// newID returns an id that no other command has. Later ones are larger, to within a
// millisecond.
func newID() string {
	var b [15]byte
	binary.BigEndian.PutUint64(b[:], uint64(time.Now().UnixMilli())<<16)
	rand.Read(b[6:])
	return encoding.EncodeToString(b[:])
}

// keyedID returns the id that all requests for a board with the same key have.
func keyedID(device, key string) string {
	sum := sha256.Sum256([]byte(device + "/" + key)) // no id of a device has a slash
	return "k" + encoding.EncodeToString(sum[:15])
}

func or[T int | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}
