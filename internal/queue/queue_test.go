package queue

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/internal/store"
)

func TestCommandWaitsForItsBoard(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.put(Request{Device: "a", Data: json.RawMessage(`{"on":true}`), Match: "key"})
		if c.State != Queued || c.ExpiresAt.Sub(c.CreatedAt).Round(time.Second) != 24*time.Hour || c.MaxAttempts != 5 {
			t.Errorf("the command is %+v", c)
		}
		time.Sleep(time.Hour)
		w.wantState(c, Queued, 0)
		w.arrive("a")
		time.Sleep(10 * time.Millisecond)
		got := w.wantState(c, Done, 1)
		if string(got.Answer) != `{"status":"200"}` || string(got.Data) != `{"on":true}` || got.SentAt == nil || got.UpdatedAt.Sub(c.CreatedAt) < time.Hour {
			t.Errorf("it has become %+v", got)
		}
		if want := []string{c.ID + " queued", c.ID + " sent", c.ID + " done"}; !slices.Equal(w.heard(), want) {
			t.Errorf("told %q, want %q", w.heard(), want)
		}
		if n := w.Counts(); n.Boards != 0 || n.Waiting != 0 || n.Bytes != 0 || n.InFlight != 0 || n.Put != 1 || n.Ended[Done] != 1 {
			t.Errorf("counts %+v", n)
		}
		time.Sleep(24 * time.Hour)
		if _, err := w.Get(w.t.Context(), "a", c.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("a day later: %v, want not found", err)
		}
	})
}

func TestCommandsOfABoardGoInOrderOneAtATime(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.boards.delay = 20 * time.Millisecond
		var want []string
		for range 30 {
			want = append(want, "a "+w.put(Request{Device: "a"}).ID)
		}
		w.arrive("a")
		for range 30 {
			want = append(want, "a "+w.put(Request{Device: "a"}).ID)
		}
		time.Sleep(5 * time.Second)
		if got := w.boards.sent(); !slices.Equal(got, want) {
			t.Errorf("sent %d, not the %d that were put, or in another order", len(got), len(want))
		}
		if w.boards.atATime() != 1 {
			t.Errorf("%d were unanswered at a time, want 1", w.boards.atATime())
		}
	})
}

func TestWindow(t *testing.T) {
	inWorld(t, Config{Window: 4}, func(w *world) {
		w.boards.delay = 100 * time.Millisecond
		var want []string
		for range 20 {
			want = append(want, "a "+w.put(Request{Device: "a"}).ID)
		}
		w.arrive("a")
		time.Sleep(5 * time.Second)
		if got := w.boards.sent(); !slices.Equal(got, want) {
			t.Errorf("sent %q, want %q", got, want)
		}
		if w.boards.atATime() != 4 {
			t.Errorf("%d were unanswered at a time, want 4", w.boards.atATime())
		}
	})
}

// A window may be larger than what a log takes at once.
func TestLargeWindow(t *testing.T) {
	inWorld(t, Config{Window: 2000, Max: 3000, Rate: 100_000, MaxBytes: 64 << 20}, func(w *world) {
		w.boards.delay = time.Minute
		requests := make([]Request, 1500)
		for i := range requests {
			requests[i] = Request{Device: "a", Data: json.RawMessage(`"` + strings.Repeat("x", 10_000) + `"`)}
		}
		w.Put(w.t.Context(), requests...)
		w.arrive("a")
		time.Sleep(5 * time.Second)
		if n := w.boards.atATime(); n != 1500 || w.log.largest > 5<<20 {
			t.Errorf("%d of 1,500 are unanswered; %d bytes at once", n, w.log.largest)
		}
	})
}

// A board gets what was put, byte for byte.
func TestDataIsNotEscaped(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		const data = `"<b>&amp;</b>"`
		if got := w.get(w.put(Request{Device: "a", Data: json.RawMessage(data)})); string(got.Data) != data {
			t.Errorf("%s has become %s", data, got.Data)
		}
	})
}

// A command that is called back goes on at its place if that fails.
func TestCancelThatFailsKeepsTheOrder(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first, second := w.put(Request{Device: "a"}), w.put(Request{Device: "a"})
		w.log.delay = time.Second
		w.log.setRefuse(store.ErrFull, false)
		done := make(chan error)
		go func() {
			_, err := w.Cancel(w.t.Context(), "a", first.ID)
			done <- err
		}()
		synctest.Wait()
		w.arrive("a")
		time.Sleep(500 * time.Millisecond)
		w.log.setRefuse(store.ErrFull, false)
		if err := <-done; !errors.Is(err, store.ErrFull) {
			t.Errorf("cancel: %v", err)
		}
		w.log.setRefuse(nil, false)
		time.Sleep(time.Minute)
		if want := []string{"a " + first.ID, "a " + second.ID}; !slices.Equal(w.boards.sent(), want) {
			t.Errorf("sent %q, want %q", w.boards.sent(), want)
		}
	})
}

// What is shown as cancelled is not sent any more, also when the log did not say that it is on disk.
func TestCancelThatFailedAndHappened(t *testing.T) {
	for name, happens := range map[string]bool{"happened": true, "did not": false} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				c, next := w.put(Request{Device: "a"}), w.put(Request{Device: "a"})
				w.log.setRefuse(store.ErrUnavailable, happens)
				if _, err := w.Cancel(w.t.Context(), "a", c.ID); !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("cancel: %v, want %v", err, store.ErrUnavailable)
				}
				again, err := w.Cancel(w.t.Context(), "a", c.ID)
				if happens && (!errors.Is(err, ErrEnded) || again.State != Cancelled) || !happens && !errors.Is(err, store.ErrUnavailable) {
					t.Errorf("again: %+v, %v", again, err)
				}
				time.Sleep(time.Second)
				w.log.setRefuse(nil, false)
				w.arrive("a")
				time.Sleep(time.Minute)
				w.wantState(c, Cancelled, 0)
				w.wantState(next, Done, 1)
				if want := []string{"a " + next.ID}; !slices.Equal(w.boards.sent(), want) {
					t.Errorf("sent %q, want %q", w.boards.sent(), want)
				}
			})
		})
	}
}

// A board that fails one command for ever does not keep the next from it.
func TestPoisonousCommandIsDead(t *testing.T) {
	for name, answer := range map[string]func() (Answer, error){
		"status":    func() (Answer, error) { return Answer{Status: "500", JSON: json.RawMessage(`{}`)}, nil },
		"no answer": func() (Answer, error) { return Answer{}, context.DeadlineExceeded },
		"hangs up":  func() (Answer, error) { return Answer{}, errors.New("the connection is over") },
	} {
		t.Run(name, func(t *testing.T) {
			inWorld(t, Config{}, func(w *world) {
				poison := w.put(Request{Device: "a", Attempts: 3})
				next := w.put(Request{Device: "a"})
				w.boards.answer = func(c *Command) (Answer, error) {
					if c.ID == poison.ID {
						return answer()
					}
					return fine(c)
				}
				w.arrive("a")
				time.Sleep(time.Minute)
				dead := w.wantState(poison, Dead, 3)
				done := w.wantState(next, Done, 1)
				if took := done.UpdatedAt.Sub(dead.UpdatedAt); took > time.Second {
					t.Errorf("the next one was done %v after", took)
				}
				if dead.Error == "" || strings.Contains(dead.Error, "restarted") {
					t.Errorf("why: %q", dead.Error)
				}
				want := []string{"a " + poison.ID, "a " + poison.ID, "a " + poison.ID, "a " + next.ID}
				if got := w.boards.sent(); !slices.Equal(got, want) {
					t.Errorf("sent %q, want %q", got, want)
				}
			})
		})
	}
}

func TestRefusedCommandIsNotSentAgain(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.boards.answer = func(*Command) (Answer, error) {
			return Answer{Status: "404", JSON: json.RawMessage(`{"status":"404"}`)}, nil
		}
		c := w.put(Request{Device: "a"})
		w.arrive("a")
		time.Sleep(time.Hour)
		if got := w.wantState(c, Failed, 1); string(got.Answer) != `{"status":"404"}` {
			t.Errorf("answer %s", got.Answer)
		}
	})
}

func TestJudge(t *testing.T) {
	for status, want := range map[string]State{
		"200": Done, "204": Done, "400": Failed, "404": Failed, "499": Failed,
		"408": Sent, "425": Sent, "429": Sent, "500": Sent, "503": Sent, "100": Sent, "302": Sent, "-1": Sent, "ok": Sent, "": Sent, "0200": Sent, "+404": Sent,
	} {
		if got := judge(status); got != want {
			t.Errorf("judge(%q) = %s, want %s", status, got, want)
		}
	}
}

func TestExpiredHeadDoesNotBlock(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first := w.put(Request{Device: "a", TTL: time.Minute})
		second := w.put(Request{Device: "a"})
		time.Sleep(time.Minute + time.Second)
		got := w.wantState(first, Expired, 0)
		if late := got.UpdatedAt.Sub(first.ExpiresAt); late < 0 || late > time.Second {
			t.Errorf("it expired %v late", late)
		}
		w.arrive("a")
		time.Sleep(time.Second)
		w.wantState(second, Done, 1)
		if n := len(w.boards.sent()); n != 1 {
			t.Errorf("%d were sent, want the second", n)
		}
	})
}

// While a board has a command it may carry it out: that is not called expired before it
// has had its time to say so.
func TestCommandThatExpiresWhileTheBoardHasIt(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.boards.delay = 5 * time.Second
		done := w.put(Request{Device: "a", TTL: 2 * time.Second})
		w.arrive("a")
		time.Sleep(3 * time.Second)
		w.wantState(done, Sent, 1)
		time.Sleep(3 * time.Second)
		w.wantState(done, Done, 1)

		w.boards.delay = time.Hour
		expired := w.put(Request{Device: "a", TTL: 2 * time.Second})
		time.Sleep(11 * time.Second)
		w.wantState(expired, Expired, 1)
	})
}

func TestCancel(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first, second := w.put(Request{Device: "a"}), w.put(Request{Device: "a"})
		if c, err := w.Cancel(w.t.Context(), "a", first.ID); err != nil || c.State != Cancelled {
			t.Fatalf("cancel: %+v, %v", c, err)
		}
		w.wantState(first, Cancelled, 0)
		if c, err := w.Cancel(w.t.Context(), "a", first.ID); !errors.Is(err, ErrEnded) || c.State != Cancelled {
			t.Errorf("again: %v, want %v", err, ErrEnded)
		}
		if _, err := w.Cancel(w.t.Context(), "b", first.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("of another board: %v", err)
		}
		w.boards.delay = 20 * time.Second
		w.arrive("a")
		time.Sleep(time.Second)
		if _, err := w.Cancel(w.t.Context(), "a", second.ID); !errors.Is(err, ErrInFlight) {
			t.Errorf("while the board has it: %v, want %v", err, ErrInFlight)
		}
		time.Sleep(9*time.Second + 100*time.Millisecond) // it waits for its second attempt
		if _, err := w.Cancel(w.t.Context(), "a", second.ID); err != nil {
			t.Errorf("between attempts: %v", err)
		}
		time.Sleep(time.Hour)
		w.wantState(second, Cancelled, 1)
		if n := len(w.boards.sent()); n != 1 {
			t.Errorf("%d were sent", n)
		}
	})
}

func TestCapsOfABoard(t *testing.T) {
	inWorld(t, Config{Max: 3, MaxBytes: 4000}, func(w *world) {
		var results []Result
		for range 5 {
			results = append(results, w.Put(w.t.Context(), Request{Device: "a"})...)
		}
		for i, r := range results {
			if (i < 3) != (r.Err == nil) || i >= 3 && !errors.Is(r.Err, ErrMany) {
				t.Errorf("command %d: %v", i, r.Err)
			}
		}
		big := Request{Device: "b", Data: json.RawMessage(`"` + strings.Repeat("x", 2500) + `"`)}
		w.put(big)
		if r := w.Put(w.t.Context(), big)[0]; !errors.Is(r.Err, ErrMany) {
			t.Errorf("bytes: %v, want %v", r.Err, ErrMany)
		}
		huge := Request{Device: "c", Data: json.RawMessage(`"` + strings.Repeat("x", 4000) + `"`)}
		if r := w.Put(w.t.Context(), huge)[0]; !errors.Is(r.Err, ErrTooLarge) {
			t.Errorf("one that never has room: %v, want %v", r.Err, ErrTooLarge)
		}
		w.put(Request{Device: "b"})
		w.arrive("a")
		time.Sleep(time.Second)
		w.put(Request{Device: "a"}) // there is room again
	})
}

// A log takes only so many bytes at once; large commands for many boards go there in parts.
func TestLargeCommandsForMany(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		requests := make([]Request, 60)
		for i := range requests {
			requests[i] = Request{Device: fmt.Sprint(i), Raw: make([]byte, 100<<10)}
		}
		for i, r := range w.Put(w.t.Context(), requests...) {
			if r.Err != nil || r.Device != requests[i].Device {
				t.Fatalf("%d: %+v", i, r)
			}
		}
		if w.log.largest > 5<<20 {
			t.Errorf("%d bytes at once", w.log.largest)
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	conf := Config{}
	inWorld(t, conf, func(w *world) {
		w.log.delay = 10 * time.Millisecond
		r := Request{Device: "a", Type: 0x10, Data: json.RawMessage(`1`), Key: "order 17"}
		results := make([]Result, 20)
		var all sync.WaitGroup
		for i := range results {
			all.Go(func() { results[i] = w.Put(context.Background(), r)[0] })
		}
		all.Wait()
		repeated := 0
		for _, got := range results {
			if got.Err != nil || got.Command.ID != results[0].Command.ID {
				t.Fatalf("%+v, want one command for all", got)
			}
			if got.Repeated {
				repeated++
			}
		}
		if repeated != len(results)-1 {
			t.Errorf("%d of %d are called repeated", repeated, len(results))
		}
		c := results[0].Command
		other := r
		other.Data = json.RawMessage(`2`)
		if got := w.Put(w.t.Context(), other)[0]; !errors.Is(got.Err, ErrKeyTaken) {
			t.Errorf("another request: %v, want %v", got.Err, ErrKeyTaken)
		}
		elsewhere := r
		elsewhere.Device = "b"
		if got := w.Put(w.t.Context(), elsewhere)[0]; got.Err != nil || got.Command.ID == c.ID {
			t.Errorf("another board: %+v", got)
		}
		w.Close()
		w.open(conf)
		if got := w.Put(w.t.Context(), r)[0]; got.Err != nil || got.Command.ID != c.ID || !got.Repeated {
			t.Errorf("after a restart: %+v", got)
		}
		w.arrive("a")
		time.Sleep(time.Second)
		if got := w.Put(w.t.Context(), r)[0]; got.Err != nil || got.Command.ID != c.ID || got.Command.State != Done {
			t.Errorf("when it is done: %+v", got)
		}
		if n := len(w.boards.sent()); n != 1 {
			t.Errorf("%d were sent", n)
		}
	})
}

// A request that may be repeated finds its command, which has ended, also when no other may wait.
func TestIdempotencyKeyAtTheCap(t *testing.T) {
	inWorld(t, Config{Max: 1}, func(w *world) {
		r := Request{Device: "a", Type: 0x10, Key: "order 17"}
		w.arrive("a")
		c := w.put(r)
		time.Sleep(time.Second)
		w.boards.set("a", false)
		w.put(Request{Device: "a"})
		if got := w.Put(w.t.Context(), r)[0]; got.Err != nil || !got.Repeated || got.Command.ID != c.ID || got.Command.State != Done {
			t.Errorf("%+v", got)
		}
		other := r
		other.Attempts = 3
		if got := w.Put(w.t.Context(), other)[0]; !errors.Is(got.Err, ErrKeyTaken) {
			t.Errorf("another request: %v, want %v", got.Err, ErrKeyTaken)
		}
		fresh := r
		fresh.Key = "order 18"
		if got := w.Put(w.t.Context(), fresh)[0]; !errors.Is(got.Err, ErrMany) {
			t.Errorf("another key: %v, want %v", got.Err, ErrMany)
		}
	})
}

func TestRestart(t *testing.T) {
	conf := Config{}
	inWorld(t, conf, func(w *world) {
		w.boards.delay = time.Hour
		w.arrive("a")
		var ids []string
		for range 10 {
			ids = append(ids, w.put(Request{Device: "a"}).ID)
		}
		dead := w.put(Request{Device: "b", TTL: time.Minute})
		time.Sleep(time.Second)
		if got := w.boards.sent(); len(got) != 1 {
			t.Fatalf("sent %q", got)
		}
		w.Close()
		w.boards.delay = time.Millisecond
		time.Sleep(time.Hour)
		w.open(conf)
		time.Sleep(time.Second)
		got := w.boards.sent()[1:] // the first once more, with its id
		for i, id := range ids {
			if i >= len(got) || got[i] != "a "+id {
				t.Fatalf("sent after the restart: %q, want %q", got, ids)
			}
			w.wantState(&Command{Device: "a", ID: id}, Done, map[bool]int{true: 2, false: 1}[i == 0])
		}
		w.wantState(dead, Expired, 0)
	})
}

// What a command has become is on disk before anybody is told, and a log that does not accept
// it loses nothing.
func TestLogThatRefuses(t *testing.T) {
	conf := Config{}
	inWorld(t, conf, func(w *world) {
		w.boards.delay = time.Second
		c := w.put(Request{Device: "a"})
		waits := w.put(Request{Device: "b"})
		w.arrive("a")
		time.Sleep(100 * time.Millisecond)
		w.log.setRefuse(store.ErrFull, false)
		if r := w.Put(w.t.Context(), Request{Device: "a"})[0]; !errors.Is(r.Err, store.ErrFull) {
			t.Errorf("put: %v, want %v", r.Err, store.ErrFull)
		}
		if _, err := w.Cancel(w.t.Context(), "b", waits.ID); !errors.Is(err, store.ErrFull) {
			t.Errorf("cancel: %v, want %v", err, store.ErrFull)
		}
		w.arrive("b") // must not be sent what cannot be said to be sent
		time.Sleep(time.Minute)
		w.wantState(c, Sent, 1)
		w.wantState(waits, Queued, 0)
		if n := len(w.boards.sent()); n != 1 {
			t.Errorf("%d were sent", n)
		}
		w.log.setRefuse(nil, false)
		time.Sleep(5 * time.Second)
		w.wantState(c, Done, 1)
		w.wantState(waits, Done, 1)
	})
}

// A write that failed may have happened: such a command is not carried out later.
func TestWriteThatFailedAndHappened(t *testing.T) {
	conf := Config{}
	inWorld(t, conf, func(w *world) {
		w.log.setRefuse(store.ErrUnavailable, true)
		if r := w.Put(w.t.Context(), Request{Device: "a", Key: "k"})[0]; !errors.Is(r.Err, store.ErrUnavailable) {
			t.Fatal(r.Err)
		}
		if len(w.log.live()) != 1 {
			t.Fatal("the test does not do what it says")
		}
		w.log.setRefuse(nil, false)
		// Nobody is told that it is there as long as it will be taken out.
		if r := w.Put(w.t.Context(), Request{Device: "a", Key: "k"})[0]; !errors.Is(r.Err, store.ErrUnavailable) {
			t.Errorf("the same request at once: %+v, want %v", r, store.ErrUnavailable)
		}
		time.Sleep(2 * time.Second)
		if len(w.log.live()) != 0 {
			t.Error("the command is there")
		}
		again := w.put(Request{Device: "a", Key: "k"})
		w.wantState(again, Queued, 0)
		if _, err := w.Cancel(w.t.Context(), "a", again.ID); err != nil {
			t.Error(err)
		}
		w.Close()
		w.open(conf)
		w.arrive("a")
		time.Sleep(time.Hour)
		if n := len(w.boards.sent()); n != 0 {
			t.Errorf("%d were sent", n)
		}
	})
}

// An attempt that was not made does not count, whatever became of the writes around it.
func TestAttemptThatWasNotMade(t *testing.T) {
	t.Run("written and refused", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			c := w.put(Request{Device: "a", Attempts: 1})
			w.log.setRefuse(store.ErrUnavailable, true)
			w.arrive("a")
			time.Sleep(10 * time.Second)
			if n := len(w.boards.sent()); n != 0 {
				t.Errorf("%d were sent", n)
			}
			w.log.setRefuse(nil, false)
			time.Sleep(5 * time.Second)
			w.wantState(c, Done, 1)
		})
	})
	t.Run("not taken back", func(t *testing.T) {
		inWorld(t, Config{}, func(w *world) {
			c := w.put(Request{Device: "a", Attempts: 1})
			w.boards.setRefuse(errors.New("no room"))
			w.log.delay = 100 * time.Millisecond
			w.arrive("a")
			time.Sleep(150 * time.Millisecond) // it is on disk that it is sent, and it was not
			w.wantState(c, Sent, 1)
			w.log.setRefuse(store.ErrFull, false)
			time.Sleep(10 * time.Second)
			w.log.setRefuse(nil, false)
			time.Sleep(time.Second)
			w.wantState(c, Queued, 0)
			w.boards.setRefuse(nil)
			time.Sleep(5 * time.Second)
			w.wantState(c, Done, 1)
		})
	})
}

// When a log is full of what has ended, no more than a mark of that stays; what waits does.
func TestRoomIsMade(t *testing.T) {
	conf := Config{}
	inWorld(t, conf, func(w *world) {
		w.arrive("a")
		old := w.put(Request{Device: "a"})
		waits := w.put(Request{Device: "b"})
		time.Sleep(time.Second)
		w.wantState(old, Done, 1)
		w.log.setFull(true)
		if r := w.Put(w.t.Context(), Request{Device: "a"})[0]; !errors.Is(r.Err, store.ErrFull) {
			t.Errorf("%v, want %v", r.Err, store.ErrFull)
		}
		w.log.setFull(false)
		if _, err := w.Get(w.t.Context(), "a", old.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("what has ended: %v, want it to be gone", err)
		}
		if page, _, err := w.List(w.t.Context(), "a", "", "", 10); len(page) != 0 || err != nil {
			t.Errorf("listed %+v, %v", page, err)
		}
		w.Close()
		w.open(conf)
		time.Sleep(time.Second)
		if n := len(w.boards.sent()); n != 1 {
			t.Errorf("%d were sent", n)
		}
		w.arrive("b")
		time.Sleep(time.Second)
		w.wantState(waits, Done, 1)
	})
}

// What has ended is seen for as long as it is to be kept, though it is on disk until it would have expired.
func TestKeep(t *testing.T) {
	inWorld(t, Config{Keep: time.Hour}, func(w *world) {
		w.arrive("a")
		c := w.put(Request{Device: "a", TTL: 48 * time.Hour, Key: "k"})
		time.Sleep(59 * time.Minute)
		w.wantState(c, Done, 1)
		time.Sleep(2 * time.Minute)
		if _, err := w.Get(w.t.Context(), "a", c.ID); !errors.Is(err, ErrNotFound) {
			t.Errorf("after an hour: %v", err)
		}
		if page, _, _ := w.List(w.t.Context(), "a", "", "", 10); len(page) != 0 {
			t.Errorf("listed %+v", page)
		}
		if again := w.put(Request{Device: "a", TTL: 48 * time.Hour, Key: "k"}); again.ID != c.ID {
			t.Errorf("the same key is %s, and was %s", again.ID, c.ID)
		}
		time.Sleep(time.Second)
		if n := len(w.boards.sent()); n != 2 {
			t.Errorf("%d were sent, want 2", n)
		}
		time.Sleep(50 * time.Hour)
		if len(w.log.live()) != 0 {
			t.Errorf("on disk are %v", w.log.live())
		}
	})
}

func TestBoardThatGoesAwayBeforeItIsSentAnything(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.put(Request{Device: "a"})
		w.Connected("a") // and is gone again
		time.Sleep(time.Minute)
		w.wantState(c, Queued, 0)
		w.arrive("a")
		time.Sleep(time.Second)
		w.wantState(c, Done, 1)
	})
}

func TestBoardThatIsBusy(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.put(Request{Device: "a"})
		w.boards.setRefuse(errors.New("too many questions"))
		w.arrive("a")
		time.Sleep(time.Minute)
		w.wantState(c, Queued, 0)
		w.boards.setRefuse(nil)
		time.Sleep(2 * time.Second)
		w.wantState(c, Done, 1)
	})
}

func TestCommandThatFitsInNoFrame(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.put(Request{Device: "a"})
		w.boards.setRefuse(fmt.Errorf("%w: too large", ErrUnfit))
		w.arrive("a")
		time.Sleep(time.Second)
		if got := w.wantState(c, Failed, 0); !strings.Contains(got.Error, "too large") || got.SentAt != nil {
			t.Errorf("it says %+v", got)
		}
	})
}

// A frame without data is a command too, and another one than an envelope without data.
func TestCommandOfNoBytes(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		if got := w.get(w.put(Request{Device: "a", Raw: []byte{}, Match: "type"})); got.Raw == nil {
			t.Errorf("it has become %+v", got)
		}
		if got := w.get(w.put(Request{Device: "a", Match: "key"})); got.Raw != nil {
			t.Errorf("it has become %+v", got)
		}
	})
}

// An answer that is too large for the log does not hold up what waits behind it.
func TestAnswerThatIsTooLargeToBeKept(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.boards.answer = func(*Command) (Answer, error) {
			return Answer{Status: "200", JSON: json.RawMessage(`"` + strings.Repeat("x", 9<<20) + `"`)}, nil
		}
		first, second := w.put(Request{Device: "a"}), w.put(Request{Device: "a"})
		w.arrive("a")
		time.Sleep(time.Second)
		if got := w.wantState(first, Done, 1); string(got.Answer) != "null" || !strings.Contains(got.Error, "too large") {
			t.Errorf("%s, %s", got.Answer, got.Error)
		}
		w.wantState(second, Done, 1)
	})
}

// An answer without a key is that of the one command that the board has.
func TestMatchByTypeGoesAlone(t *testing.T) {
	conf := Config{Window: 4}
	inWorld(t, conf, func(w *world) {
		w.boards.delay = 100 * time.Millisecond
		var want []string
		for i := range 20 {
			want = append(want, "a "+w.put(Request{Device: "a", Raw: []byte{byte(i)}, Match: "type"}).ID)
		}
		w.Close()
		w.open(conf)
		w.arrive("a")
		time.Sleep(5 * time.Second)
		if got := w.boards.sent(); !slices.Equal(got, want) || w.boards.atATime() != 1 {
			t.Errorf("sent %d, %d at a time", len(got), w.boards.atATime())
		}
		for range 8 {
			w.put(Request{Device: "a", Match: "key"})
		}
		w.put(Request{Device: "a", Match: "type"})
		time.Sleep(5 * time.Second)
		if got := w.boards.sent(); len(got) != 29 || w.boards.atATime() != 4 {
			t.Errorf("sent %d, %d at a time; want 29 and 4", len(got), w.boards.atATime())
		}
	})
}

func TestWait(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		c := w.put(Request{Device: "a"})
		began := time.Now()
		ctx, cancel := context.WithTimeout(w.t.Context(), 5*time.Second)
		got, err := w.Wait(ctx, "a", c.ID)
		cancel()
		if err != nil || got.State != Queued || time.Since(began) != 5*time.Second {
			t.Errorf("%+v, %v after %v", got, err, time.Since(began))
		}
		time.AfterFunc(time.Minute, func() { w.arrive("a") })
		if got, err = w.Wait(w.t.Context(), "a", c.ID); err != nil || got.State != Done {
			t.Errorf("%+v, %v", got, err)
		}
		if got, err = w.Wait(w.t.Context(), "a", c.ID); err != nil || got.State != Done {
			t.Errorf("when it is done: %+v, %v", got, err)
		}
		if _, err = w.Wait(w.t.Context(), "a", "nothing"); !errors.Is(err, ErrNotFound) {
			t.Errorf("%v, want not found", err)
		}
	})
}

func TestList(t *testing.T) {
	inWorld(t, Config{Max: 2000}, func(w *world) {
		w.arrive("a")
		var want []string
		for range 700 {
			want = append(want, w.put(Request{Device: "a"}).ID)
			time.Sleep(20 * time.Millisecond)
		}
		w.boards.set("a", false)
		for range 300 {
			want = append(want, w.put(Request{Device: "a"}).ID)
		}
		list := func(state State) (ids []string) {
			for cursor := ""; ; {
				page, next, err := w.List(w.t.Context(), "a", state, cursor, 90)
				if err != nil {
					t.Fatal(err)
				}
				for _, c := range page {
					if state != "" && c.State != state {
						t.Fatalf("%s among %s", c.State, state)
					}
					ids = append(ids, c.ID)
				}
				if next == "" {
					return ids
				}
				if len(page) != 90 {
					t.Fatalf("a page of %d that has a next one", len(page))
				}
				cursor = next
			}
		}
		if got := list(""); !slices.Equal(got, want) {
			t.Errorf("listed %d, not the %d that there are, or in another order", len(got), len(want))
		}
		if got := list(Done); !slices.Equal(got, want[:700]) {
			t.Errorf("listed %d done", len(got))
		}
		if got := list(Queued); !slices.Equal(got, want[700:]) {
			t.Errorf("listed %d queued", len(got))
		}
		for _, cursor := range []string{"x", "r", "rr1", "z1", "q-1"} {
			if _, _, err := w.List(w.t.Context(), "a", "", cursor, 10); !errors.Is(err, ErrCursor) {
				t.Errorf("cursor %q: %v", cursor, err)
			}
		}
	})
}

// A command that ends while others are read for the list is in it all the same, and once.
func TestListWhileCommandsEnd(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		first, second := w.put(Request{Device: "a"}), w.put(Request{Device: "a"})
		w.log.getting = func(key string) {
			if key != keyOf("a", first.ID) {
				return
			}
			w.log.getting = nil
			if _, err := w.Cancel(w.t.Context(), "a", second.ID); err != nil {
				t.Error(err)
			}
		}
		for range 2 {
			commands, next, err := w.List(w.t.Context(), "a", "", "", 10)
			states := map[string]State{}
			for _, c := range commands {
				states[c.ID] = c.State
			}
			if err != nil || next != "" || len(commands) != 2 || states[first.ID] != Queued || states[second.ID] != Cancelled {
				t.Errorf("%d commands, %v, %q, %v", len(commands), states, next, err)
			}
		}
	})
}

// A page of large commands is a short one.
func TestListOfLargeCommands(t *testing.T) {
	inWorld(t, Config{MaxBytes: 8 << 20}, func(w *world) {
		for range 8 {
			w.put(Request{Device: "a", Raw: make([]byte, 400<<10)})
		}
		for _, done := range []bool{false, true} {
			listed := 0
			for cursor := ""; listed == 0 || cursor != ""; {
				page, next, err := w.List(w.t.Context(), "a", "", cursor, 100)
				if err != nil || len(page) == 0 || len(page) > 3 {
					t.Fatalf("%d commands, %v", len(page), err)
				}
				listed += len(page)
				cursor = next
			}
			if listed != 8 {
				t.Errorf("listed %d, done: %v", listed, done)
			}
			w.arrive("a")
			time.Sleep(time.Minute)
		}
	})
}

// A board with much to do does not keep others waiting, and all together get no more than
// the rate.
func TestBoardsTakeTurns(t *testing.T) {
	inWorld(t, Config{Rate: 100, Max: 5000}, func(w *world) {
		var requests []Request
		for range 2000 {
			requests = append(requests, Request{Device: "greedy", Type: 1})
		}
		w.Put(w.t.Context(), requests...)
		for i := range 50 {
			w.put(Request{Device: fmt.Sprint("b", i)})
		}
		began := time.Now()
		w.arrive("greedy")
		for i := range 50 {
			w.arrive(fmt.Sprint("b", i))
		}
		time.Sleep(2 * time.Second)
		sent := w.boards.sent()
		greedy := 0
		for _, s := range sent {
			if strings.HasPrefix(s, "greedy") {
				greedy++
			}
		}
		if len(sent)-greedy != 50 {
			t.Errorf("in two seconds %d of the 50 others have got theirs", len(sent)-greedy)
		}
		if most := int(time.Since(began).Seconds()*100) + 2; len(sent) > most {
			t.Errorf("%d were sent, want at most %d", len(sent), most)
		}
	})
}

func TestInFlightIsBounded(t *testing.T) {
	inWorld(t, Config{InFlight: 7}, func(w *world) {
		w.boards.delay = time.Second
		for i := range 100 {
			w.put(Request{Device: fmt.Sprint("b", i)})
			w.arrive(fmt.Sprint("b", i))
		}
		time.Sleep(20 * time.Second)
		if w.boards.atATime() != 7 || len(w.boards.sent()) != 100 {
			t.Errorf("%d were unanswered at a time, %d sent; want 7 and 100", w.boards.atATime(), len(w.boards.sent()))
		}
	})
}

func TestPause(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.boards.delay = time.Second
		first, second := w.put(Request{Device: "a"}), w.put(Request{Device: "a"})
		w.arrive("a")
		time.Sleep(100 * time.Millisecond)
		w.Pause()
		time.Sleep(time.Minute)
		w.wantState(first, Done, 1)
		w.wantState(second, Queued, 0)
	})
}

// What is being written when the queue closes is told as it is, and what is not sent any more does not count
// as sent.
func TestCloseWhileTheDiskWrites(t *testing.T) {
	conf := Config{}
	inWorld(t, conf, func(w *world) {
		c, called := w.put(Request{Device: "a", Attempts: 1}), w.put(Request{Device: "b"})
		failed := w.put(Request{Device: "c", TTL: time.Second})
		time.Sleep(2 * time.Second)
		synctest.Wait()
		w.log.delay = 100 * time.Millisecond
		var all sync.WaitGroup
		all.Go(func() {
			if r := w.Put(context.Background(), Request{Device: "c"})[0]; r.Err != nil {
				t.Errorf("put: %v", r.Err)
			}
		})
		all.Go(func() {
			if again, err := w.Retry(context.Background(), "c", failed.ID); err != nil || again.State != Queued {
				t.Errorf("retry: %+v, %v", again, err)
			}
		})
		all.Go(func() {
			if _, err := w.Cancel(context.Background(), "b", called.ID); !errors.Is(err, ErrClosed) {
				t.Errorf("cancel: %v, want %v", err, ErrClosed)
			}
		})
		w.arrive("a")
		time.Sleep(50 * time.Millisecond)
		w.Close()
		all.Wait()
		synctest.Wait()
		w.log.delay = 0
		if n := len(w.boards.sent()); n != 0 {
			t.Errorf("%d were sent", n)
		}
		w.open(conf)
		time.Sleep(time.Second)
		w.wantState(c, Done, 1)
	})
}

func TestClosedQueueTakesNothing(t *testing.T) {
	inWorld(t, Config{}, func(w *world) {
		w.Close()
		if r := w.Put(w.t.Context(), Request{Device: "a"})[0]; !errors.Is(r.Err, ErrClosed) {
			t.Errorf("%v, want %v", r.Err, ErrClosed)
		}
	})
}

// With boards that answer, fail, and come and go at random, and restarts between, every
// command has one end, and none is sent before those that were put before it.
func TestAtRandom(t *testing.T) {
	for seed := range uint64(20) {
		conf := Config{Window: int(seed%3) + 1, Attempts: 4, InFlight: 50, Rate: 10000}
		inWorld(t, conf, func(w *world) {
			const devices, commands = 5, 200
			random := newRandom(seed)
			w.boards.answer = func(c *Command) (Answer, error) {
				switch random(6) {
				case 0:
					return Answer{}, context.DeadlineExceeded
				case 1:
					return Answer{Status: "500", JSON: json.RawMessage(`{}`)}, nil
				case 2:
					return Answer{Status: "400", JSON: json.RawMessage(`{}`)}, nil
				}
				return fine(c)
			}
			var put []*Command
			order := make(map[string][]string)
			for range commands {
				device := fmt.Sprint("d", random(devices))
				switch random(8) {
				case 0:
					w.boards.set(device, false)
				case 1, 2:
					w.arrive(device)
				case 3:
					time.Sleep(time.Duration(random(3000)) * time.Millisecond)
				case 4:
					if random(4) == 0 {
						w.Close()
						w.open(conf)
					}
				}
				r := Request{Device: device, Type: 1}
				if random(5) == 0 {
					r.TTL = time.Duration(1+random(60)) * time.Second
				}
				c := w.put(r)
				put = append(put, c)
				order[device] = append(order[device], c.ID)
				if random(10) == 0 {
					victim := put[random(len(put))]
					w.Cancel(w.t.Context(), victim.Device, victim.ID)
				}
			}
			for i := range devices {
				w.arrive(fmt.Sprint("d", i))
			}
			time.Sleep(6 * time.Hour)
			synctest.Wait()
			for _, c := range put {
				if got := w.get(c); !got.State.Ended() || got.Attempts > 4 {
					t.Errorf("seed %d: %s of %s is %s after %d attempts", seed, c.ID, c.Device, got.State, got.Attempts)
				}
			}
			first := make(map[string][]string)
			seen := make(map[string]bool)
			for _, s := range w.boards.sent() {
				device, id, _ := strings.Cut(s, " ")
				if !seen[id] {
					first[device] = append(first[device], id)
				}
				seen[id] = true
			}
			for device, ids := range first {
				place := -1
				for _, id := range ids {
					at := slices.Index(order[device], id)
					if at <= place {
						t.Errorf("seed %d: %s got its command %d after %d", seed, device, at, place)
					}
					place = at
				}
			}
			if n := w.Counts(); n.Waiting != 0 || n.Boards != 0 || n.Bytes != 0 || n.InFlight != 0 {
				t.Errorf("seed %d: at the end there are %+v", seed, n)
			}
		})
	}
}
