package longwire_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/longwiretest"
)

// only returns the server's only connection, when it is there.
func (b *bench) only() *longwire.Conn {
	b.t.Helper()
	for range 10_000 {
		for c := range b.srv.Conns() {
			return c
		}
		time.Sleep(5 * time.Millisecond) // a poll; nothing is decided by its length
	}
	b.t.Fatal("no connection")
	return nil
}

// wantQuestion reads a question and returns its key.
func (p *peer) wantQuestion(typ longwire.Type, data string) (key string) {
	p.t.Helper()
	got := p.wantFrame(typ)
	var e envelope
	if err := json.Unmarshal([]byte(got), &e); err != nil {
		p.t.Fatalf("question %q: %v", got, err)
	}
	if e.CallBackKey == nil || *e.CallBackKey == "" || e.DataType == nil || e.Status != "" || string(e.Data) != data {
		p.t.Fatalf("question %s, want a key and data %s", got, data)
	}
	return *e.CallBackKey
}

func answer(key, status, data string) string {
	return fmt.Sprintf(`{"data_type":"","call_back_key":%q,"status":%q,"message":"m","data":%s}`, key, status, data)
}

func TestAskGetsTheAnswerWithItsKey(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok})
		p := b.peer()
		c := b.only()
		type result struct {
			got string
			err error
		}
		results := make([]chan result, 50)
		for i := range results {
			results[i] = make(chan result, 1)
			go func() {
				var r result
				r.err = c.Ask(t.Context(), 0x10, i, &r.got)
				results[i] <- r
			}()
		}
		keys := make(map[string]int)
		for range results {
			var e envelope
			json.Unmarshal([]byte(p.wantFrame(0x10)), &e)
			var i int
			json.Unmarshal(e.Data, &i)
			keys[*e.CallBackKey] = i
		}
		if len(keys) != len(results) {
			t.Fatalf("%d different keys for %d questions", len(keys), len(results))
		}
		for key, i := range keys { // in any order, among garbage
			p.sendFrame(0x10, answer("forged-"+key, "200", `"forged"`))
			p.sendFrame(0x10, answer(key, "200", fmt.Sprintf(`"answer %d"`, i)))
			p.sendFrame(0x10, answer(key, "200", `"a second answer"`))
		}
		for i, ch := range results {
			if r := <-ch; r.err != nil || r.got != fmt.Sprint("answer ", i) {
				t.Errorf("question %d: %q, %v", i, r.got, r.err)
			}
		}
		p.sendFrame(1, question("end", "1"))
		p.wantAnswer(1, "end", "200")
		if late := b.srv.Stats().LateAnswers; late != int64(2*len(results)) {
			t.Errorf("%d late answers counted, want %d", late, 2*len(results))
		}
	})
}

// Two boards are asked at once, and each answers with the keys of the other too.
func TestAnswerCannotComeFromAnotherConnection(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
	mallory, alice := b.peer(), b.peer()
	var toAlice *longwire.Conn
	for toAlice == nil {
		for c := range b.srv.Conns() {
			if c.RemoteAddr().String() == alice.nc.LocalAddr().String() {
				toAlice = c
			}
		}
	}
	got := make(chan string, 1)
	go func() {
		var s string
		if err := toAlice.Ask(t.Context(), 1, "balance?", &s); err != nil {
			t.Error(err)
		}
		got <- s
	}()
	key := alice.wantQuestion(1, `"balance?"`)
	mallory.sendFrame(1, answer(key, "200", `"forged"`))
	mallory.sendFrame(1, question("end", "1"))
	mallory.wantAnswer(1, "end", "404")
	alice.sendFrame(1, answer(key, "200", `"true"`))
	if s := <-got; s != "true" {
		t.Errorf("got %q", s)
	}
}

func TestAskEnds(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{})
		p := b.peer()
		c := b.only()
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		if err := c.Ask(ctx, 1, "late?", nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("no answer: %v", err)
		}
		p.sendFrame(1, answer(p.wantQuestion(1, `"late?"`), "200", "1"))
		errs := make(chan error, 1)
		ask := func(v any) {
			go func() { errs <- c.Ask(t.Context(), 1, v, nil) }()
		}
		ask("refused?")
		p.sendFrame(1, answer(p.wantQuestion(1, `"refused?"`), "409", `{"why":"busy"}`))
		if e, ok := errors.AsType[*longwire.RemoteError](<-errs); !ok || e.Status != "409" || e.Message != "m" || string(e.Data) != `{"why":"busy"}` {
			t.Errorf("refused: %+v", e)
		}
		ask("half-closed?")
		p.wantQuestion(1, `"half-closed?"`)
		p.closeWrite() // no answer can come any more
		if e, ok := errors.AsType[*longwire.CloseError](<-errs); !ok || e.Reason != longwire.ReasonPeerClosed {
			t.Errorf("peer closed: %v", e)
		}
		<-c.Done()
		if e, ok := errors.AsType[*longwire.CloseError](c.Ask(t.Context(), 1, nil, nil)); !ok || e.Reason != longwire.ReasonPeerClosed {
			t.Errorf("over: %v", e)
		}
		if e, ok := errors.AsType[*longwire.CloseError](c.Push(t.Context(), 1, nil)); !ok || e.Reason != longwire.ReasonPeerClosed {
			t.Errorf("over: %v", e)
		}
		if late := b.srv.Stats().LateAnswers; late != 1 {
			t.Errorf("%d late answers, want 1", late)
		}
	})
}

func TestAskDecodesTheAnswer(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{Handler: longwire.HandlerFunc(
		func(_ context.Context, m *longwire.Message) (any, error) {
			switch m.Type {
			case 1:
				return longwire.Envelope{DataType: "rom", Status: "201", Message: "made", Data: []int{1, 2}}, nil
			case 2:
				return longwire.Raw("no envelope"), nil
			}
			return nil, nil
		})})
	c := b.conn(nil)
	var e longwire.Envelope
	if err := c.Ask(t.Context(), 1, longwire.Envelope{DataType: "d", CallBackKey: "my-key"}, &e); err != nil {
		t.Fatal(err)
	}
	if data, _ := e.Data.(json.RawMessage); e.DataType != "rom" || e.CallBackKey != "my-key" || e.Status != "201" || e.Message != "made" || string(data) != "[1,2]" {
		t.Errorf("envelope: %+v", e)
	}
	var raw longwire.Raw
	if err := c.Ask(t.Context(), 1, nil, &raw); err != nil || !strings.HasPrefix(string(raw), `{"data_type":"rom"`) {
		t.Errorf("raw: %s, %v", raw, err)
	}
	var text string
	if err := c.Ask(t.Context(), 1, nil, &text); err == nil {
		t.Error("numbers were decoded into a string")
	}
	if err := c.AskByType(t.Context(), 2, longwire.Raw("66666"), &raw); err != nil || string(raw) != "no envelope" {
		t.Errorf("by type: %q, %v", raw, err)
	}
	if err := c.Ask(t.Context(), 3, nil, &text); err != nil || text != "" {
		t.Errorf("null: %q, %v", text, err)
	}
	if err := c.Ask(t.Context(), 1, longwire.Raw("x"), nil); err == nil {
		t.Error("raw data was asked by key")
	}
	if err := c.Ask(t.Context(), 1, make(chan int), nil); err == nil {
		t.Error("a channel was encoded")
	}
	for size, want := range map[int]bool{1<<20 - 8: true, 1<<20 - 7: false} {
		err := c.Push(t.Context(), 9, longwire.Raw(make([]byte, size)))
		if e, is := errors.AsType[*frame.Error](err); (err == nil) != want || is == want {
			t.Errorf("push of %d bytes: %v, %v", size, err, e)
		}
	}
}

func TestKeyInUseIsRefused(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
	p := b.peer()
	c := b.only()
	first := make(chan error, 1)
	go func() { first <- c.Ask(t.Context(), 1, longwire.Envelope{CallBackKey: "k"}, nil) }()
	p.wantQuestion(1, "null")
	if err := c.Ask(t.Context(), 1, longwire.Envelope{CallBackKey: "k"}, nil); err == nil {
		t.Error("two questions with one key are in flight")
	}
	p.sendFrame(1, answer("k", "200", "1"))
	if err := <-first; err != nil {
		t.Error(err)
	}
}

// One key, written with an escape, looks like the other one as it is.
func TestKeysThatLookAlike(t *testing.T) {
	b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
	p := b.peer()
	c := b.only()
	keys := []string{`a\b`, `a\\b`}
	got := make([]chan string, len(keys))
	for i, key := range keys {
		got[i] = make(chan string, 1)
		go func() {
			var s string
			if err := c.Ask(t.Context(), 1, longwire.Envelope{CallBackKey: key}, &s); err != nil {
				t.Error(err)
			}
			got[i] <- s
		}()
		p.wantQuestion(1, "null")
	}
	for _, key := range keys {
		p.sendFrame(1, answer(key, "200", fmt.Sprintf("%q", key)))
	}
	for i, key := range keys {
		if s := <-got[i]; s != key {
			t.Errorf("the question with key %s got the answer for %s", key, s)
		}
	}
	if err := c.Ask(t.Context(), 1, longwire.Envelope{CallBackKey: "\xff"}, nil); err == nil {
		t.Error("a key that is not UTF-8 was sent")
	}
}

// Questions that one goroutine starts arrive in its order, and wait for their answers by
// themselves.
func TestStart(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok, Config: &longwire.Config{Limits: longwire.Limits{Questions: 21}}})
		p := b.peer()
		c := b.only()
		questions := make([]*longwire.Question, 20)
		for i := range questions {
			var err error
			if questions[i], err = c.Start(t.Context(), 0x10, longwire.Envelope{CallBackKey: strconv.Itoa(i)}); err != nil {
				t.Fatal(err)
			}
		}
		byType, err := c.StartByType(t.Context(), 5, longwire.Raw("status?"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Start(t.Context(), 0x10, nil); !errors.Is(err, longwire.ErrTooManyQuestions) {
			t.Errorf("one more: %v, want %v", err, longwire.ErrTooManyQuestions)
		}
		for i := range questions {
			var e envelope
			if json.Unmarshal([]byte(p.wantFrame(0x10)), &e); *e.CallBackKey != strconv.Itoa(i) {
				t.Fatalf("question %d has the key %s", i, *e.CallBackKey)
			}
		}
		p.wantFrame(5)
		for i := range questions[:10] {
			p.sendFrame(0x10, fmt.Sprintf(`{"call_back_key":"%d","status":"200","data":%d}`, i, i))
		}
		p.sendFrame(5, "fine")
		for i := range questions[:10] {
			var got int
			if err := questions[i].Answer(t.Context(), &got); err != nil || got != i {
				t.Errorf("answer %d is %d, %v", i, got, err)
			}
		}
		var raw longwire.Raw
		if err := byType.Answer(t.Context(), &raw); err != nil || string(raw) != "fine" {
			t.Errorf("answer by type: %q, %v", raw, err)
		}
		p.nc.Close()
		for i := range questions[10:] {
			if err := questions[10+i].Answer(t.Context(), nil); !errors.As(err, new(*longwire.CloseError)) {
				t.Errorf("the connection is over: %v", err)
			}
		}
		if _, err := c.Start(t.Context(), 0x10, nil); !errors.As(err, new(*longwire.CloseError)) {
			t.Errorf("to start when the connection is over: %v", err)
		}
	})
}

func TestAskByTypeTakesTurns(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{Handler: ok})
		p := b.peer()
		c := b.only()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() {
				var raw longwire.Raw
				if err := c.AskByType(t.Context(), 5, longwire.Raw("status?"), &raw); err != nil || string(raw) != "fine" {
					t.Errorf("%q, %v", raw, err)
				}
			})
		}
		for range 20 {
			if got := p.wantFrame(5); got != "status?" {
				t.Fatalf("question %q", got)
			}
			p.sendFrame(6, "of another type, for the handler")
			p.wantAnswer(6, "", "200")
			p.sendFrame(5, "fine")
		}
		wg.Wait()
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		if err := c.AskByType(ctx, 5, longwire.Raw("?"), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
	})
}

func TestThousandQuestionsBothWaysAtOnce(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		double := longwire.Typed(func(_ context.Context, i int) (int, error) { return 2 * i, nil })
		b := serve(t, n, &longwire.Server{Handler: double})
		c := b.conn(double)
		s := b.only()
		var wg sync.WaitGroup
		for i := range 500 {
			for _, from := range []*longwire.Conn{c, s} {
				wg.Go(func() {
					var got int
					if err := from.Ask(t.Context(), 1, i, &got); err != nil || got != 2*i {
						t.Errorf("%d: %d, %v", i, got, err)
					}
				})
			}
		}
		wg.Wait()
	})
}

func TestConcurrentPushesAreNotMixed(t *testing.T) {
	overNetworks(t, func(t *testing.T, n network) {
		b := serve(t, n, &longwire.Server{})
		p := b.peer()
		c := b.only()
		const senders, each = 32, 200
		for i := range senders {
			go func() {
				for j := range each {
					c.Push(t.Context(), longwire.Type(i), longwire.Raw(strings.Repeat(fmt.Sprint(j, " "), 20)))
				}
			}()
		}
		next := make(map[longwire.Type]int)
		for range senders * each {
			f, err := p.r.Next()
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Repeat(fmt.Sprint(next[f.Type], " "), 20); string(f.Data) != want {
				t.Fatalf("sender %v: %q, want %q", f.Type, f.Data, want)
			}
			next[f.Type]++
		}
	})
}

func TestManyBogusAnswersCostNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := serve(t, memory(&longwiretest.Network{}), &longwire.Server{})
		p := b.peer()
		const bogus = 100_000
		for i := range bogus {
			p.sendFrame(1, answer(fmt.Sprint("bogus", i), "200", "null"))
		}
		synctest.Wait()
		if late := b.srv.Stats().LateAnswers; late != bogus {
			t.Errorf("%d counted, want %d", late, bogus)
		}
		p.nc.Close()
		synctest.Wait()
		if open := b.srv.Stats().Open; open != 0 {
			t.Errorf("%d connections are open", open)
		}
	})
}
