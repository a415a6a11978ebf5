package queue

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// dead returns a command that has died.
func (w *world) dead(r Request) *Command {
	w.t.Helper()
	w.boards.answer = func(*Command) (Answer, error) { return Answer{Status: "503"}, nil }
	w.arrive(r.Device)
	r.Attempts = 1
	c := w.put(r)
	time.Sleep(time.Second)
	w.wantState(c, Dead, 1)
	w.boards.answer = fine
	return c
}

// A dead command that is retried is the same one, waits behind the others, and has as much time
// and as many attempts as before.
func TestRetry(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.dead(Request{Device: "a", TTL: time.Hour})
		w.boards.set("a", false)
		other := w.put(Request{Device: "a"})
		time.Sleep(2 * time.Hour)
		got, err := w.Retry(t.Context(), "a", c.ID)
		if err != nil || got.ID != c.ID || got.State != Queued || got.Attempts != 0 || got.SentAt != nil || got.Error != "" ||
			time.Until(got.ExpiresAt).Round(time.Second) != time.Hour || !got.CreatedAt.After(other.CreatedAt) {
			t.Fatalf("%+v, %v", got, err)
		}
		if again, err := w.Retry(t.Context(), "a", c.ID); !errors.Is(err, ErrWaits) || again.State != Queued {
			t.Errorf("a second time: %v", err)
		}
		if n := w.Counts(); n.Waiting != 2 {
			t.Errorf("%+v", n)
		}
		w.Close() // and it outlives a restart
		w.open(Config{})
		w.arrive("a")
		time.Sleep(10 * time.Millisecond)
		if sent, want := w.boards.sent()[1:], []string{"a " + other.ID, "a " + c.ID}; !slices.Equal(sent, want) {
			t.Errorf("sent %q, want %q", sent, want)
		}
		w.wantState(c, Done, 1)
		if _, err := w.Retry(t.Context(), "a", c.ID); !errors.Is(err, ErrEnded) {
			t.Errorf("one that is done: %v", err)
		}
		if _, err := w.Retry(t.Context(), "a", "nobody"); !errors.Is(err, ErrNotFound) {
			t.Errorf("one that is not: %v", err)
		}
		told := w.heard()
		if i := slices.Index(told, c.ID+" dead"); i < 0 || !slices.Contains(told[i:], c.ID+" queued") || !slices.Contains(told[i:], c.ID+" done") {
			t.Errorf("told %q", told)
		}
	})
}

// Whatever has ended without being done can be retried, within the bounds of its board.
func TestRetryWhat(t *testing.T) {
	inWorld(t, Config{Max: 2}, func(w *world) {
		expired := w.put(Request{Device: "a", TTL: time.Minute})
		cancelled := w.put(Request{Device: "a"})
		w.Cancel(t.Context(), "a", cancelled.ID)
		time.Sleep(2 * time.Minute)
		w.wantState(expired, Expired, 0)
		for _, c := range []*Command{expired, cancelled} {
			if _, err := w.Retry(t.Context(), "a", c.ID); err != nil {
				t.Errorf("%s: %v", w.get(c).State, err)
			}
		}
		third := w.dead(Request{Device: "b"})
		w.boards.set("b", false)
		w.put(Request{Device: "b"})
		w.put(Request{Device: "b"})
		if _, err := w.Retry(t.Context(), "b", third.ID); !errors.Is(err, ErrMany) {
			t.Errorf("a third one: %v", err)
		}
		w.wantState(third, Dead, 1)
		time.Sleep(2 * time.Minute)
		w.wantState(expired, Expired, 0)
	})
}

// Of many that retry a command at once one does, and it is sent once.
func TestRetryAtOnce(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.dead(Request{Device: "a", Key: "k"})
		w.log.delay = time.Millisecond
		var all sync.WaitGroup
		var mu sync.Mutex
		done := 0
		for range 20 {
			all.Go(func() {
				_, err := w.Retry(t.Context(), "a", c.ID)
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					done++
				} else if !errors.Is(err, ErrWaits) && !errors.Is(err, ErrEnded) {
					t.Error(err)
				}
			})
		}
		all.Wait()
		time.Sleep(time.Second)
		if sent := w.boards.sent(); done != 1 || len(sent) != 2 {
			t.Errorf("%d retries, sent %q", done, sent)
		}
		w.wantState(c, Done, 1)
		if r := w.Put(t.Context(), Request{Device: "a", Type: 0x10, Attempts: 1, Key: "k"}); r[0].Err != nil || !r[0].Repeated {
			t.Errorf("its key: %+v", r[0])
		}
	})
}

// A retry that was refused leaves the command as it was, also where the log has it nevertheless.
func TestRetryThatFails(t *testing.T) {
	for name, test := range map[string]struct {
		err   error
		keeps bool
	}{
		"refused":   {store.ErrRefused, false},
		"full":      {store.ErrFull, false},
		"not known": {store.ErrUnavailable, true},
		"away":      {store.ErrUnavailable, false},
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				c := w.dead(Request{Device: "a"})
				w.log.setRefuse(test.err, test.keeps)
				if _, err := w.Retry(t.Context(), "a", c.ID); !errors.Is(err, test.err) {
					t.Errorf("%v", err)
				}
				time.Sleep(10 * time.Second)
				w.log.setRefuse(nil, false)
				time.Sleep(10 * time.Second)
				w.wantState(c, Dead, 1)
				if n := w.Counts(); n.Waiting != 0 || len(w.boards.sent()) != 1 {
					t.Errorf("%+v, sent %q", n, w.boards.sent())
				}
				if _, err := w.Retry(t.Context(), "a", c.ID); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Second)
				w.wantState(c, Done, 1)
			})
		})
	}
}

// The commands of all boards come with what changed last first, whole and once, however few of the
// records that were written are left.
func TestLatest(t *testing.T) {
	inWorld(t, Config{Rate: 1e6, Max: 10_000, MaxBytes: 1 << 30}, func(w *world) {
		var want []string
		w.boards.answer = func(c *Command) (Answer, error) {
			if c.Type == 0x11 {
				return Answer{Status: "404"}, nil
			}
			return fine(c)
		}
		w.arrive("busy")
		for range 3000 { // replaced twice each
			w.put(Request{Device: "busy", TTL: time.Minute})
		}
		time.Sleep(25 * time.Hour) // and not to be seen any more
		for i := range 25 {
			device := fmt.Sprint("board-", i%5)
			w.put(Request{Device: device, Attempts: 1})
			time.Sleep(time.Second)
		}
		w.arrive("board-1")
		time.Sleep(time.Second)
		refused := w.put(Request{Device: "board-1", Type: 0x11})
		time.Sleep(time.Second)
		want = append(want, refused.ID)
		var all []*Command
		for cursor := ""; ; {
			page, next, err := w.Latest(t.Context(), nil, cursor, 4)
			if err != nil || len(page) > 4 {
				t.Fatalf("%d, %v", len(page), err)
			}
			all = append(all, page...)
			if cursor = next; next == "" {
				break
			}
		}
		seen := make(map[string]bool)
		for i, c := range all {
			seen[c.ID] = true
			if i > 0 && c.UpdatedAt.After(all[i-1].UpdatedAt) {
				t.Errorf("%d changed after the one before it", i)
			}
		}
		if len(all) != 26 || len(seen) != 26 || all[0].ID != want[0] {
			t.Errorf("%d, %d different", len(all), len(seen))
		}
		for _, test := range []struct {
			states []State
			want   int
		}{{[]State{Queued}, 20}, {[]State{Done}, 5}, {[]State{Failed, Done}, 6}, {[]State{Expired}, 0}} {
			if page, next, err := w.Latest(t.Context(), test.states, "", 100); err != nil || len(page) != test.want || next != "" {
				t.Errorf("%v: %d, %q, %v", test.states, len(page), next, err)
			}
		}
		for _, cursor := range []string{"x", "0", "-1", "e5"} {
			if _, _, err := w.Latest(t.Context(), nil, cursor, 1); !errors.Is(err, ErrCursor) {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
		synctest.Wait()
	})
}
