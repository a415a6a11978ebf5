package gateway

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/longwiretest"
)

func TestAsk(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		var asked []string
		g.Asked = func(err error, _ time.Duration) { asked = append(asked, fmt.Sprint(err)) }
		c := g.wantBoard("a", "", longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
			switch m.Type {
			case 1:
				return map[string]string{"heard": string(m.Payload())}, nil
			case 2:
				return nil, longwire.Errorf("418", "no")
			case 3:
				return longwire.NoAnswer, nil
			case 4:
				m.Conn().Close(longwire.ReasonClosed)
			case 5:
				return longwire.Raw(strings.ToUpper(string(m.Data))), nil
			}
			return longwire.Envelope{}, nil
		}))
		ask := func(q Question) (*Answer, time.Duration, error) {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
			defer cancel()
			began := time.Now()
			a, err := g.Ask(ctx, "a", q)
			return a, time.Since(began), err
		}
		a, _, err := ask(Question{Type: 1, Data: json.RawMessage(`{"x": 1}`)})
		if err != nil || a.Status != "200" || string(a.Data) != `{"heard":"{\"x\":1}"}` || len(a.Key) < 20 {
			t.Errorf("%+v, %v", a, err)
		}
		if a, _, err = ask(Question{Type: 2}); err != nil || a.Status != "418" || a.Message != "no" {
			t.Errorf("%+v, %v", a, err)
		}
		if a, took, err := ask(Question{Type: 3}); err != ErrNoAnswer || took != 5*time.Second {
			t.Errorf("%+v, %v after %v", a, err, took)
		}
		if a, _, err = ask(Question{Type: 5, Raw: []byte("bytes\x00")}); err != nil || string(a.Raw) != "BYTES\x00" || a.Status != "" {
			t.Errorf("%+v, %v", a, err)
		}
		if a, _, err = ask(Question{Type: 6, Raw: []byte("answered with an envelope")}); err != nil || a.Raw != nil || a.Status != "200" {
			t.Errorf("%+v, %v", a, err)
		}
		if a, _, err = ask(Question{Type: 5, Data: json.RawMessage(`1`), Match: MatchType}); err != nil || !strings.Contains(string(a.Raw), `"DATA":1`) {
			t.Errorf("%+v, %v", a, err)
		}
		if _, err := g.Ask(t.Context(), "b", Question{}); err != ErrUnknown {
			t.Error(err)
		}
		if _, took, err := ask(Question{Type: 4}); err != ErrAway || took != 0 {
			t.Errorf("%v after %v", err, took)
		}
		<-c.Done()
		synctest.Wait()
		if _, _, err := ask(Question{Type: 1}); err != ErrAway {
			t.Error(err)
		}
		if len(asked) != 7 || asked[2] != ErrNoAnswer.Error() || asked[6] != ErrAway.Error() {
			t.Errorf("%q", asked)
		}
		if d := g.want("a", false); d.FramesOut != 7 || d.FramesIn != 5 { // a hello is answered, and not counted
			t.Errorf("%+v", d)
		}
		if _, err := g.Ask(t.Context(), "a", Question{Type: longwire.TypePing}); err == nil {
			t.Error("a reserved type is sent")
		}
	})
}

// Boards that know no envelopes answer in JSON of their own, which may look like one.
func TestAnswersThatAreNoEnvelopes(t *testing.T) {
	const key = `"call_back_key":"k",`
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		var answer string
		g.wantBoard("a", "", longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return longwire.Raw(answer), nil }))
		for _, test := range []struct{ answer, want string }{
			{`{"status":"ok","celsius":21}`, ""},
			{`{"Status":"200","celsius":21}`, ""},
			{`{` + key + `"celsius":21}`, ""},
			{`{` + key + `"status":200}`, ""},
			{`{` + key + `"status":"200","Status":"500"}`, ""},
			{`{` + key + `"status":"200","status":"500"}`, ""},
			{`{` + key + `"status":"200","data":` + strings.Repeat("[", 9000) + strings.Repeat("]", 9000) + `}`, ""},
			{`null`, ""},
			{``, ""},
			{`{` + key + `"status":"200","data":[1]}`, `{"data_type":"","call_back_key":"k","status":"200","message":"","data":[1]}`},
			{`{"message":"m","data_type":"d","status":"500","call_back_key":""}`, `{"data_type":"d","call_back_key":"","status":"500","message":"m","data":null}`},
			{`{` + key + `"status":""}`, `{"data_type":"","call_back_key":"k","status":"","message":"","data":null}`},
		} {
			answer = test.answer
			a, err := g.Ask(t.Context(), "a", Question{Type: 1, Match: MatchType})
			if err != nil {
				t.Fatal(err)
			}
			want := test.want
			if want == "" {
				want = `{"raw":"` + base64.StdEncoding.EncodeToString([]byte(test.answer)) + `"}`
			}
			if got, err := a.MarshalJSON(); err != nil || string(got) != want {
				t.Errorf("%.80q is shown as %.200s, %v", test.answer, got, err)
			}
		}
	})
}

// A question that cannot be sent is none of a device's frames, and one that waits for its answer
// is.
func TestQuestionsThatAreNotSent(t *testing.T) {
	conf := &Config{Frames: 3, Listeners: []Listener{{Name: "boards", Library: longwire.Config{MaxFrame: 300, Limits: longwire.Limits{Questions: 1}}}}}
	bubble(t, conf, func(t *testing.T, g *running) {
		g.wantBoard("a", "", longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return longwire.NoAnswer, nil }))
		wantFrames := func(want ...longwire.Type) {
			t.Helper()
			frames, err := g.Frames("a")
			var got []longwire.Type
			for _, f := range frames {
				got = append(got, f.Type)
			}
			if d := g.want("a", true); err != nil || !slices.Equal(got, want) || d.FramesOut != 1 || d.BytesOut < 40 || d.BytesOut > 300 {
				t.Errorf("remembered: %v, %v; %d frames and %d bytes counted", got, err, d.FramesOut, d.BytesOut)
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		asked := make(chan error)
		go func() {
			_, err := g.Ask(ctx, "a", Question{Type: 1})
			asked <- err
		}()
		synctest.Wait()
		wantFrames(1)
		if _, err := g.Ask(ctx, "a", Question{Type: 2}); err != ErrBusy {
			t.Error(err)
		}
		if _, err := g.Ask(ctx, "a", Question{Type: 3, Raw: make([]byte, 300)}); err == nil {
			t.Error("a frame over the limit is sent")
		}
		wantFrames(1)
		if err := <-asked; err != ErrNoAnswer {
			t.Error(err)
		}
		wantFrames(1)
	})
}

// What is counted and remembered of a message is what the board gets, however the JSON of a request
// is laid out.
func TestMessagesAreCountedAsTheyAreSent(t *testing.T) {
	bubble(t, &Config{Frames: 3, FrameData: true}, func(t *testing.T, g *running) {
		got := make(chan string, 1)
		g.wantBoard("a", "", longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
			got <- string(m.Data)
			return nil, nil
		}))
		wide := json.RawMessage("{\n  \"url\" : \"a b<&>\u2028\",\n  \"n\" : [ 1.0e3 ]\n}")
		if err := g.Push(t.Context(), "a", Question{Type: 7, Data: wide}); err != nil {
			t.Fatal(err)
		}
		data := <-got
		frames, err := g.Frames("a")
		if err != nil || len(frames) != 1 || string(frames[0].Data) != data || frames[0].Size != len(data) {
			t.Errorf("the board has got %q, remembered is %+v, %v", data, frames, err)
		}
		if d := g.want("a", true); d.BytesOut != int64(len(data)+8) {
			t.Errorf("%d bytes are counted", d.BytesOut)
		}
		if size := sizeOf(&queue.Request{Data: wide}); size != len(data)+queue.IDSize {
			t.Errorf("a command with it would have %d bytes", size)
		}
	})
}

// Many ask many boards at the same time, and each gets its own answer.
func TestThousandAsks(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		const boards = 1000
		for i := range boards {
			g.wantBoard(fmt.Sprint("m-", i), "", answering(fmt.Sprint("m-", i)))
		}
		var asking sync.WaitGroup
		for i := range boards {
			asking.Go(func() {
				id := fmt.Sprint("m-", i)
				a, err := g.Ask(t.Context(), id, Question{Type: 1, Data: json.RawMessage(fmt.Sprint(i))})
				if want := fmt.Sprintf(`{"from":%q,"to":"%d"}`, id, i); err != nil || string(a.Data) != want {
					t.Errorf("%s: %+v, %v", id, a, err)
				}
			})
		}
		asking.Wait()
	})
}

func TestPushAndBroadcast(t *testing.T) {
	bubble(t, &Config{Groups: map[string][]string{"even": {"m-0", "m-2", "m-4", "gone"}}}, func(t *testing.T, g *running) {
		var mu sync.Mutex
		got := make(map[string]string)
		clear := func() string {
			synctest.Wait()
			mu.Lock()
			defer mu.Unlock()
			all := fmt.Sprint(got)
			got = make(map[string]string)
			return all
		}
		for i := range 5 {
			id := fmt.Sprint("m-", i)
			c := g.wantBoard(id, "", longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
				mu.Lock()
				defer mu.Unlock()
				got[id] += string(m.Payload())
				return nil, nil
			}))
			if i == 4 {
				c.Close(longwire.ReasonClosed)
			}
		}
		one := Question{Type: 7, Data: json.RawMessage("1")}
		if err := g.Push(t.Context(), "m-1", one); err != nil || clear() != "map[m-1:1]" {
			t.Error(err)
		}
		if err := g.Push(t.Context(), "m-1", Question{Type: 7, Raw: []byte("\xff")}); err != nil || clear() != "map[m-1:\xff]" {
			t.Error(err)
		}
		if err := g.Push(t.Context(), "m-4", one); err != ErrAway {
			t.Error(err)
		}
		if err := g.Push(t.Context(), "m-9", one); err != ErrUnknown {
			t.Error(err)
		}
		if err := g.Push(t.Context(), "m-1", Question{Type: 7, Raw: make([]byte, 2<<20)}); err == nil {
			t.Error("2 MiB are sent")
		} else if e, is := errors.AsType[*frame.Error](err); !is || e.Reason != frame.TooLarge {
			t.Error(err)
		}
		for _, test := range []struct {
			to           Target
			queued, away int
			want         string
		}{
			{Target{All: true}, 4, 0, "map[m-0:1 m-1:1 m-2:1 m-3:1]"},
			{Target{Groups: []string{"even", "none"}}, 2, 0, "map[m-0:1 m-2:1]"},
			{Target{IDs: []string{"m-1", "m-1", "m-4", "m-9"}}, 1, 2, "map[m-1:1]"},
			{Target{IDs: []string{"m-1", "m-2"}, Groups: []string{"even"}}, 3, 0, "map[m-0:1 m-1:1 m-2:1]"},
			{Target{}, 0, 0, "map[]"},
		} {
			n, err := g.Broadcast(test.to, one)
			if n != (BroadcastCounts{Queued: test.queued, Away: test.away}) || err != nil {
				t.Errorf("%+v: %+v, %v", test.to, n, err)
			}
			if got := clear(); got != test.want {
				t.Errorf("%+v: %s, want %s", test.to, got, test.want)
			}
		}
	})
}

// A board that reads nothing is passed over, and the one who pushes to it is told in time.
func TestPushToABoardThatNeverReads(t *testing.T) {
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", Library: longwire.Config{WriteTimeout: -1}}}}, func(t *testing.T, g *running) {
		nc := g.dial()
		defer nc.Close()
		synctest.Wait()
		all, _ := g.Devices(Query{Limit: 1})
		big := Question{Type: 7, Raw: make([]byte, 700_000)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		var err error
		for err == nil {
			err = g.Push(ctx, all[0].ID, big)
		}
		if err != ErrNoRoom {
			t.Error(err)
		}
		before := g.want(all[0].ID, true).FramesOut
		if n, err := g.Broadcast(Target{All: true}, big); n != (BroadcastCounts{Full: 1}) || err != nil {
			t.Errorf("%+v, %v", n, err)
		}
		if d := g.want(all[0].ID, true); d.FramesOut != before {
			t.Errorf("%d frames to it are counted, want %d", d.FramesOut, before)
		}
	})
}

// As many ids as a request has room for cost no more than as many look-ups, while boards wait.
func TestTargetOfManyIDs(t *testing.T) {
	g := new(Gateway)
	conf, err := newSettings(&Config{})
	if err != nil {
		t.Fatal(err)
	}
	g.settings.Store(conf)
	g.registry.byID = make(map[string]*device)
	var to Target
	for i := range 50_000 {
		id := fmt.Sprint("192.0.2.1:", 10_000+i)
		g.registry.byID[id] = &device{id: id, byAddress: true}
		to.IDs = append(to.IDs, id)
	}
	began := time.Now()
	if ids, unknown := g.known(to); len(ids) != len(to.IDs) || len(unknown) != 0 {
		t.Errorf("%d of %d, %d unknown", len(ids), len(to.IDs), len(unknown))
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("boards have waited for %v", took)
	}
}

// Listeners have frames of their own, and what fits in those of one may not fit in another's.
func TestBroadcastThatFitsNotAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var hall longwiretest.Network
		l, err := hall.Listen("127.0.0.1:10303")
		if err != nil {
			t.Fatal(err)
		}
		g := start(t, &Config{Listeners: []Listener{
			{Name: "boards"},
			{Name: "hall", Socket: l, Library: longwire.Config{MaxFrame: 300}},
		}})
		defer g.stop()
		g.wantBoard("large", "", nil)
		small, err := (&longwire.Client{Addr: "127.0.0.1:10303", DialContext: hall.DialContext, Hello: &longwire.Hello{ID: "small"}}).Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer small.Close(longwire.ReasonClosed)
		big := Question{Type: 7, Raw: make([]byte, 300)}
		if n, err := g.Broadcast(Target{All: true, IDs: []string{"gone"}}, big); n != (BroadcastCounts{Queued: 1, Misfit: 1, Away: 1}) || err != nil {
			t.Errorf("to all: %+v, %v", n, err)
		}
		n, err := g.Broadcast(Target{IDs: []string{"small"}}, big)
		if e, is := errors.AsType[*frame.Error](err); !is || e.Reason != frame.TooLarge || n != (BroadcastCounts{Misfit: 1}) {
			t.Errorf("to one that has no frame for it: %+v, %v", n, err)
		}
		if d := g.want("small", true); d.FramesOut != 0 {
			t.Errorf("%+v", d)
		}
	})
}

func TestTypeNames(t *testing.T) {
	bubble(t, &Config{Types: []Type{{Name: "rom_reset_status", Type: 0x10}}}, func(t *testing.T, g *running) {
		for _, test := range []struct {
			name string
			want longwire.Type
			ok   bool
		}{
			{"rom_reset_status", 0x10, true}, {"16", 16, true}, {"0x10", 16, true}, {"0X1f", 31, true}, {"0", 0, true},
			{"", 0, false}, {"rom", 0, false}, {"-1", 0, false}, {"0x", 0, false}, {"5000000000", 0, false},
		} {
			if got, err := g.TypeOf(test.name); got != test.want || (err == nil) != test.ok {
				t.Errorf("%q: %v, %v", test.name, got, err)
			}
		}
		if g.TypeName(0x10) != "rom_reset_status" || g.TypeName(0x11) != "" {
			t.Error(g.TypeName(0x10), g.TypeName(0x11))
		}
	})
}

func TestTypesThatClash(t *testing.T) {
	for _, types := range [][]Type{
		{{Name: "a", Type: 1}, {Name: "b", Type: 1}},
		{{Name: "a", Type: 1}, {Name: "a", Type: 2}},
	} {
		if _, err := newSettings(&Config{Types: types}); err == nil {
			t.Errorf("%+v is taken", types)
		}
	}
}
