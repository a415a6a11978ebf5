package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// A keeping is a gateway that keeps things in a directory.
type keeping struct {
	*running
	store *store.Store
}

// keep begins to serve with what is in a directory. Its end leaves the directory as it is.
func keep(t *testing.T, dir string, c Config) *keeping {
	t.Helper()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Reserve: -1, Logs: Logs(Sizes{})})
	if err != nil {
		t.Fatal(err)
	}
	c.Store = s
	k := &keeping{running: start(t, &c), store: s}
	end := k.stop
	k.stop = sync.OnceFunc(func() {
		end()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(k.stop)
	return k
}

// arrive connects a board.
func (k *keeping) arrive(id string, h longwire.Handler) *longwire.Conn {
	k.t.Helper()
	c, err := k.board(id, "", h)
	if err != nil {
		k.t.Fatal(err)
	}
	k.t.Cleanup(func() {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	})
	return c
}

// command has a command wait for one device.
func (k *keeping) command(id string, data string) *queue.Command {
	k.t.Helper()
	results, err := k.Command(k.t.Context(), Target{IDs: []string{id}}, queue.Request{Type: 0x10, Data: json.RawMessage(data), Match: "key"})
	if err == nil {
		err = results[0].Err
	}
	if err != nil {
		k.t.Fatal(err)
	}
	return results[0].Command
}

// wantEnd waits for the end of a command.
func (k *keeping) wantEnd(c *queue.Command, want queue.State) *queue.Command {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	commands, err := k.Commands()
	if err != nil {
		k.t.Fatal(err)
	}
	got, err := commands.Wait(ctx, c.Device, c.ID)
	if err != nil || got.State != want {
		k.t.Fatalf("the command is %+v, %v; want %s", got, err, want)
	}
	return got
}

// all reads events behind an id until there are n that the test wants.
func (k *keeping) all(after uint64, n int, want func(Event) bool) (found []Event, missed uint64) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), time.Minute)
	defer cancel()
	for r := k.Events(after); len(found) < n; {
		events, more, err := r.Next(ctx, 7)
		if err != nil {
			k.t.Fatalf("%d of %d events, then %v", len(found), n, err)
		}
		missed += more
		for _, e := range events {
			if e.ID <= after {
				k.t.Fatalf("event %d behind %d", e.ID, after)
			}
			after = e.ID
			if want(e) {
				found = append(found, e)
			}
		}
	}
	return found, missed
}

func isCommand(e Event) bool { return e.Name == EventCommand }

func TestCommandIsKeptForADevice(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, Config{})
	k.arrive("a", answering("a")).Close(longwire.ReasonClosed)
	k.all(0, 1, func(e Event) bool { return e.Name == EventDisconnect })
	c := k.command("a", `{"on":true}`)
	k.stop()

	k = keep(t, dir, Config{})
	k.arrive("a", answering("board a"))
	got := k.wantEnd(c, queue.Done)
	var answer EnvelopeAnswer
	if err := json.Unmarshal(got.Answer, &answer); err != nil || answer.Status != "200" || answer.Key != c.ID || !strings.Contains(string(answer.Data), `"from":"board a"`) {
		t.Errorf("the answer is %s, %v", got.Answer, err)
	}
	// One that waits for a device that is there goes at once.
	k.wantEnd(k.command("a", `2`), queue.Done)

	events, missed := k.all(0, 6, isCommand)
	var states []queue.State
	for _, e := range events {
		states = append(states, e.Command.State)
	}
	if want := []queue.State{queue.Queued, queue.Sent, queue.Done, queue.Queued, queue.Sent, queue.Done}; !slices.Equal(states, want) || missed != 0 {
		t.Errorf("events tell of %q and %d missed, want %q", states, missed, want)
	}
	if e := events[2]; e.Device != "a" || e.Command.ID != c.ID || string(e.Command.Answer) != string(got.Answer) || e.Command.Attempts != 1 {
		t.Errorf("the event is %+v", e.Command)
	}
}

// An answer with a status that says nothing is none that a command is done by; bytes are.
func TestCommandAndWhatIsAnswered(t *testing.T) {
	k := keep(t, t.TempDir(), Config{})
	for answer, want := range map[string]queue.State{
		`{"call_back_key":"","status":"204"}`:  queue.Done,
		`{"call_back_key":"","status":"404"}`:  queue.Failed,
		`{"call_back_key":"","status":""}`:     queue.Dead,
		`{"call_back_key":"","status":"0200"}`: queue.Dead,
		`[{"status":""}]`:                      queue.Done,
		`{"status":"running","celsius":21}`:    queue.Done,
		``:                                     queue.Done,
	} {
		k.arrive("a", longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) { return longwire.Raw(answer), nil }))
		results, err := k.Command(t.Context(), Target{IDs: []string{"a"}}, queue.Request{Type: 0x10, Match: "type", Attempts: 1})
		if err != nil || results[0].Err != nil {
			t.Fatalf("%+v, %v", results, err)
		}
		k.wantEnd(results[0].Command, want)
	}
}

func TestCommandForWhom(t *testing.T) {
	k := keep(t, t.TempDir(), Config{Groups: map[string][]string{"hall": {"a", "b", "x"}}})
	k.arrive("a", nil).Close(longwire.ReasonClosed)
	k.arrive("b", nil)
	k.arrive("c", nil)
	put := func(to Target) (got []string) {
		t.Helper()
		results, err := k.Command(t.Context(), to, queue.Request{Type: 1})
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range results {
			if r.Err == nil {
				got = append(got, r.Device)
			} else {
				got = append(got, r.Device+": "+r.Err.Error())
			}
		}
		return got
	}
	unknown := "x: " + ErrUnknown.Error()
	for _, test := range []struct {
		to   Target
		want []string
	}{
		{Target{IDs: []string{"a", "a", "x"}}, []string{"a", unknown}},
		{Target{Groups: []string{"hall"}}, []string{"a", "b"}},
		{Target{Groups: []string{"hall"}, IDs: []string{"b", "c", "x"}}, []string{"a", "b", "c", unknown}},
		{Target{All: true}, []string{"a", "b", "c"}},
	} {
		if got := put(test.to); !slices.Equal(got, test.want) {
			t.Errorf("%+v: %q, want %q", test.to, got, test.want)
		}
	}
	if err := k.Reload(&Config{Listeners: []Listener{{Name: "boards"}}, Store: k.store, Commands: Commands{Unknown: true}}); err != nil {
		t.Fatal(err)
	}
	if got := put(Target{IDs: []string{"x"}}); !slices.Equal(got, []string{"x"}) {
		t.Errorf("where commands may wait for the unknown: %q", got)
	}
}

func TestNothingIsKeptWithoutAStore(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		if _, err := g.Command(t.Context(), Target{All: true}, queue.Request{}); !errors.Is(err, ErrNothingKept) {
			t.Errorf("%v, want %v", err, ErrNothingKept)
		}
	})
}

// A board that another connection replaces while it has a command gets it again, with the same id.
func TestTakeoverWhileACommandIsUnderWay(t *testing.T) {
	k := keep(t, t.TempDir(), Config{})
	has := make(chan string, 1)
	silent := longwire.HandlerFunc(func(ctx context.Context, m *longwire.Message) (any, error) {
		has <- m.Key()
		<-ctx.Done()
		return nil, ctx.Err()
	})
	k.arrive("a", silent)
	c := k.command("a", `1`)
	if id := <-has; id != c.ID {
		t.Errorf("the board got %q, want %q", id, c.ID)
	}
	k.arrive("a", answering("the next"))
	if got := k.wantEnd(c, queue.Done); got.Attempts != 2 || !strings.Contains(string(got.Answer), c.ID) {
		t.Errorf("%+v", got)
	}
}

func TestKnownDevicesAreKept(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, Config{})
	cl := &longwire.Client{Addr: "127.0.0.1:10302", DialContext: k.network.DialContext, Hello: &longwire.Hello{ID: "a", Groups: []string{"hall"}, Attributes: map[string]string{"place": "wall"}}}
	c, err := cl.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	c.Ask(t.Context(), 1, 1, nil)
	c.Close(longwire.ReasonClosed)
	<-c.Done()
	k.arrive("b", nil)
	anonymous := k.arrive("", nil)
	anonymous.Ask(t.Context(), 1, 1, nil)
	k.all(0, 1, func(e Event) bool { return e.Name == EventDisconnect && e.Device == "a" })
	before, _ := k.Device("a")
	k.stop()

	k = keep(t, dir, Config{})
	all, _ := k.Devices(Query{Limit: 10})
	if len(all) != 2 || all[0].ID != "a" || all[1].ID != "b" {
		t.Fatalf("known are %+v, want a and b", all)
	}
	got, want := fmt.Sprintf("%+v", deref(all[0])), fmt.Sprintf("%+v", deref(before))
	if got != want {
		t.Errorf("it was\n%s\nand is\n%s", want, got)
	}
	if all[1].Online || all[1].LastClose == nil {
		t.Errorf("b is %+v", all[1])
	}
	k.arrive("a", nil)
	if after, _ := k.Device("a"); after.Epoch <= all[1].Epoch || !after.Online || after.FramesIn != before.FramesIn {
		t.Errorf("back it is %+v", after)
	}
	k.stop()

	// Who is forgotten is so on disk too.
	k = keep(t, dir, Config{KnownFor: time.Nanosecond})
	k.stop()
	k = keep(t, dir, Config{})
	if all, _ := k.Devices(Query{Limit: 10}); len(all) != 0 {
		t.Errorf("known are %+v", all)
	}
}

// A device that there is no room for when it goes is forgotten on disk too, and not known again after
// a restart.
func TestForgottenAsItLeaves(t *testing.T) {
	dir := t.TempDir()
	k := keep(t, dir, Config{MaxDevices: 1})
	c := k.arrive("a", nil)
	k.arrive("b", nil)
	c.Close(longwire.ReasonClosed)
	k.all(0, 1, func(e Event) bool { return e.Name == EventDisconnect && e.Device == "a" })
	if _, err := k.Device("a"); err != ErrUnknown {
		t.Errorf("it is still known: %v", err)
	}
	k.stop()
	k = keep(t, dir, Config{})
	if all, _ := k.Devices(Query{Limit: 10}); len(all) != 1 || all[0].ID != "b" {
		t.Errorf("known are %+v, want b", all)
	}
}

// deref makes a device comparable.
func deref(d Device) any {
	last := *d.LastClose
	d.LastClose, d.Since = nil, nil
	return []any{d, last}
}

// The answer to a message of a type that is stored means that it is on disk.
func TestStoredMessages(t *testing.T) {
	dir := t.TempDir()
	conf := Config{Types: []Type{{Name: "reading", Type: 7, Store: true}}}
	k := keep(t, dir, conf)
	c := k.arrive("a", nil)
	large := strings.Repeat("x", 200<<10)
	for i := range 20 {
		if err := c.Ask(t.Context(), 7, map[string]any{"n": i, "large": large}, nil); err != nil {
			t.Fatal(err)
		}
		c.Ask(t.Context(), 8, "not this one", nil)
	}
	onDisk, err := k.store.Log("events").Read(t.Context(), "e/a", 0, 100)
	for after := uint64(0); err == nil && len(onDisk) < 21; {
		after = onDisk[len(onDisk)-1].Seq
		var more []store.Record
		if more, err = k.store.Log("events").Read(t.Context(), "e/a", after, 100); len(more) == 0 {
			break
		}
		onDisk = append(onDisk, more...)
	}
	if err != nil || len(onDisk) != 21 { // with the connect
		t.Fatalf("%d on disk, %v", len(onDisk), err)
	}
	k.store.Close() // from here on nothing can be kept
	err = c.Ask(t.Context(), 7, 1, nil)
	if e, is := errors.AsType[*longwire.RemoteError](err); !is || e.Status != "503" {
		t.Errorf("a message that is not kept is answered with %v", err)
	}
	if err := c.Ask(t.Context(), 8, 1, nil); err != nil {
		t.Errorf("one that need not be: %v", err)
	}
	if n := k.Stats().NotKept; n != 1 {
		t.Errorf("%d are counted", n)
	}
	k.stop()

	k = keep(t, dir, conf)
	events, _ := k.all(0, 20, func(e Event) bool { return e.Name == EventMessage })
	for i, e := range events {
		if *e.Type != 7 || e.TypeName != "reading" || !strings.HasPrefix(string(e.Data), `{"large":"xxx`) || !strings.HasSuffix(string(e.Data), fmt.Sprintf(`"n":%d}`, i)) {
			t.Errorf("event %d is %.80s", i, e.Data)
		}
	}
}

// A message that is larger than anything that is kept is not to be sent again.
func TestMessageTooLargeToBeKept(t *testing.T) {
	k := keep(t, t.TempDir(), Config{
		Types:     []Type{{Type: 7, Store: true}},
		Listeners: []Listener{{Name: "boards", Library: longwire.Config{MaxFrame: 16 << 20}}},
	})
	cl := &longwire.Client{Addr: "127.0.0.1:10302", DialContext: k.network.DialContext, Hello: &longwire.Hello{ID: "a"}, Config: &longwire.Config{MaxFrame: 16 << 20}}
	c, err := cl.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	}()
	err = c.Ask(t.Context(), 7, strings.Repeat("x", 9<<20), nil)
	if e, is := errors.AsType[*longwire.RemoteError](err); !is || e.Status != longwire.StatusTooLarge {
		t.Errorf("9 MiB are answered with %v", err)
	}
	if err := c.Ask(t.Context(), 7, strings.Repeat("x", 7<<20), nil); err != nil {
		t.Errorf("7 MiB: %v", err)
	}
}

// What boards say is kept so that it can be read again, however many arrays there are inside one another.
func TestDeepJSONIsKept(t *testing.T) {
	dir := t.TempDir()
	conf := Config{Types: []Type{{Type: 7, Store: true}}}
	k := keep(t, dir, conf)
	deep := strings.Repeat("[", 9999) + strings.Repeat("]", 9999)
	c := k.arrive("a", longwire.HandlerFunc(func(context.Context, *longwire.Message) (any, error) {
		return longwire.Raw(`{"call_back_key":"","status":"200","data":` + deep + `}`), nil
	}))
	if err := c.AskByType(t.Context(), 7, longwire.Raw(deep), nil); err != nil {
		t.Fatal(err)
	}
	results, err := k.Command(t.Context(), Target{IDs: []string{"a"}}, queue.Request{Type: 0x10, Match: "type"})
	if err != nil || results[0].Err != nil {
		t.Fatalf("%+v, %v", results, err)
	}
	done := k.wantEnd(results[0].Command, queue.Done)
	if len(done.Answer) < len(deep) {
		t.Errorf("the answer is %.100s", done.Answer)
	}
	k.stop()
	k = keep(t, dir, conf)
	events, _ := k.all(0, 4, func(e Event) bool { return e.Name == EventMessage || e.Name == EventCommand })
	if string(events[0].Raw) != deep {
		t.Errorf("the first event is a %s of %d bytes", events[0].Name, len(events[0].Raw))
	}
	if last := events[3].Command; last.State != queue.Done || string(last.Answer) != string(done.Answer) {
		t.Errorf("the last state is %s, with %d bytes", last.State, len(last.Answer))
	}
}

// Events can be read from any point that is kept, over restarts, at any pace.
func TestEventsOfThePast(t *testing.T) {
	dir := t.TempDir()
	conf := Config{Types: []Type{{Type: 7, Store: true}}}
	var ids []uint64 // of what is kept
	for run := range 3 {
		k := keep(t, dir, conf)
		c := k.arrive("a", nil)
		for i := range 40 {
			if err := c.Ask(t.Context(), 7, run*40+i, nil); err != nil {
				t.Fatal(err)
			}
		}
		k.stop()
	}
	k := keep(t, dir, conf)
	c := k.arrive("a", nil)
	stored := func(e Event) bool { return e.Type != nil && *e.Type == 7 }
	events, missed := k.all(0, 120, stored)
	for i, e := range events {
		ids = append(ids, e.ID)
		if string(e.Data) != fmt.Sprint(i) {
			t.Errorf("event %d is %s", i, e.Data)
		}
	}
	if missed != 0 {
		t.Errorf("%d missed", missed)
	}
	for _, i := range []int{0, 1, 39, 40, 79, 80, 118} {
		for _, after := range []uint64{ids[i], ids[i+1] - 1} {
			if got, missed := k.all(after, 119-i, stored); string(got[0].Data) != fmt.Sprint(i+1) || missed != 0 {
				t.Errorf("behind event %d: %s, %d missed", i, got[0].Data, missed)
			}
		}
	}
	// A time leads to the same place as an id, on disk and in memory.
	for _, i := range []int{1, 39, 40, 79, 119} {
		id, err := k.EventBefore(t.Context(), events[i].At)
		if got, _ := k.all(id, 1, stored); err != nil || got[0].At.Before(events[i].At) || got[0].ID > ids[i] {
			t.Errorf("since event %d: %s, %v", i, got[0].Data, err)
		}
		if i > 0 && id < ids[i-1] && events[i-1].At.Before(events[i].At) {
			t.Errorf("since event %d: begins behind %d, before %d", i, id, ids[i-1])
		}
	}
	if id, err := k.EventBefore(t.Context(), events[0].At.Add(-time.Hour)); id != 0 || err != nil {
		t.Errorf("long ago: %d, %v", id, err)
	}
	if id, err := k.EventBefore(t.Context(), time.Now().Add(time.Hour)); id != k.LastEvent() || err != nil {
		t.Errorf("in an hour: %d, %v, want %d", id, err, k.LastEvent())
	}
	now := time.Now()
	c.Ask(t.Context(), 8, "later", nil)
	id, err := k.EventBefore(t.Context(), now)
	if err != nil {
		t.Fatal(err)
	}
	if got, _ := k.all(id, 1, func(Event) bool { return true }); got[0].Type == nil || *got[0].Type != 8 {
		t.Errorf("since a moment ago: %+v", got[0])
	}
	// What is not kept is remembered for a while, and its loss is told.
	began := k.LastEvent()
	for range 10 {
		c.Ask(t.Context(), 7, "kept", nil)
	}
	for range 2 * keepEvents {
		k.events.add(Event{Name: EventMessage, Device: "b"})
	}
	if got, missed := k.all(began, 10+keepEvents, func(Event) bool { return true }); len(got) != 10+keepEvents || missed != keepEvents {
		t.Errorf("%d and %d missed, want %d and %d", len(got), missed, 10+keepEvents, keepEvents)
	}
	r := k.Events(ids[3])
	r.Device = "a"
	got, _, err := r.Next(t.Context(), 1000)
	if err != nil || string(got[0].Data) != "4" {
		t.Errorf("of a device: %+v, %v", got, err)
	}
}

// A reader whose events have made room for others is told that some are gone.
func TestEventsThatAreGone(t *testing.T) {
	dir := t.TempDir()
	s, err := store.Open(t.Context(), store.Config{Dir: dir, Reserve: -1, Logs: Logs(Sizes{Events: 100_000})})
	if err != nil {
		t.Fatal(err)
	}
	k := &keeping{running: start(t, &Config{Store: s, Types: []Type{{Type: 7, Store: true}}}), store: s}
	c := k.arrive("a", nil)
	c.Ask(t.Context(), 7, "first", nil)
	began := k.LastEvent()
	for range 300 {
		if err := c.Ask(t.Context(), 7, strings.Repeat("x", 1000), nil); err != nil {
			t.Fatal(err)
		}
	}
	for range keepEvents {
		k.events.add(Event{Name: EventMessage, Device: "b"})
	}
	events, missed, err := k.Events(began).Next(t.Context(), 10)
	if err != nil || missed == 0 || len(events) == 0 {
		t.Errorf("%d events, %d missed, %v", len(events), missed, err)
	}
	k.stop()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// An event that is not in memory any more, and not on a slow disk yet, is waited for.
func TestEventsOnTheirWayToTheDisk(t *testing.T) {
	k := keep(t, t.TempDir(), Config{})
	began := k.LastEvent()
	held, release := make(chan struct{}), make(chan struct{})
	k.events.addKept(Event{Name: EventConnect, Device: "a"}, func(error) { // the next ones wait for it
		close(held)
		<-release
	})
	<-held
	for range 9 {
		k.events.addKept(Event{Name: EventConnect, Device: "a"}, nil)
	}
	for range keepEvents {
		k.events.add(Event{Name: EventMessage, Device: "b"})
	}
	time.AfterFunc(100*time.Millisecond, func() { close(release) })
	events, missed := k.all(began, 10, func(Event) bool { return true })
	if last := events[9]; missed != 0 || last.Device != "a" || last.ID != began+10 {
		t.Errorf("the last of 10 events is %d of %s, want %d of a; %d are missed", last.ID, last.Device, began+10, missed)
	}
}

// A reader of the past is told too when what it had not read yet makes room for others.
func TestEventsThatGoWhileTheyAreRead(t *testing.T) {
	dir := t.TempDir()
	begin := func() *keeping {
		s, err := store.Open(t.Context(), store.Config{Dir: dir, Reserve: -1, Logs: Logs(Sizes{Events: 100_000})})
		if err != nil {
			t.Fatal(err)
		}
		k := &keeping{running: start(t, &Config{Store: s, Types: []Type{{Type: 7, Store: true}}}), store: s}
		t.Cleanup(func() { s.Close() })
		return k
	}
	send := func(k *keeping, n int) {
		c := k.arrive("a", nil)
		for range n {
			if err := c.Ask(t.Context(), 7, strings.Repeat("x", 1000), nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	k := begin()
	send(k, 60)
	k.stop()
	k.store.Close()
	k = begin()
	defer k.stop()
	readers := map[string]*EventReader{"of all": k.Events(0), "of one device": k.Events(0)}
	readers["of one device"].Device = "a"
	for name, r := range readers {
		if events, missed, err := r.Next(t.Context(), 10); err != nil || missed != 0 || len(events) != 10 {
			t.Errorf("%s: %d events, %d missed, %v", name, len(events), missed, err)
		}
	}
	send(k, 100)
	for range keepEvents {
		k.events.add(Event{Name: EventMessage, Device: "b"})
	}
	for name, r := range readers {
		before := r.After
		if events, missed, err := r.Next(t.Context(), 10); err != nil || missed == 0 || len(events) != 10 || events[0].ID < before+20 {
			t.Errorf("%s: %d events, %d missed, %v", name, len(events), missed, err)
		}
		if events, missed, err := r.Next(t.Context(), 10); err != nil || missed != 0 || len(events) != 10 {
			t.Errorf("%s, later: %d events, %d missed, %v", name, len(events), missed, err)
		}
	}
}

// Events that a service was too slow for are counted, and those behind them delivered.
func TestDeliveryIsOvertaken(t *testing.T) {
	dir := t.TempDir()
	var down atomic.Bool
	down.Store(true)
	got := make(chan uint64, 1000)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var d Delivered
		if down.Load() {
			http.Error(w, "not now", http.StatusServiceUnavailable)
		} else if err := json.NewDecoder(r.Body).Decode(&d); err != nil {
			t.Error(err)
		} else {
			got <- d.ID
		}
	}))
	defer service.Close()
	begin := func(deliver bool) *keeping {
		s, err := store.Open(t.Context(), store.Config{Dir: dir, Reserve: -1, Logs: Logs(Sizes{Events: 100_000})})
		if err != nil {
			t.Fatal(err)
		}
		conf := &Config{Store: s, Types: []Type{{Type: 7, Store: true}}}
		if deliver {
			conf.Deliver = Delivery{Service: Service{URL: service.URL, Timeout: 5 * time.Second}}
		}
		return &keeping{running: start(t, conf), store: s}
	}
	end := func(k *keeping) {
		k.stop()
		k.store.Close()
	}
	k := begin(true)
	k.arrive("a", nil)
	end(k)
	k = begin(false)
	c := k.arrive("a", nil)
	for range 300 {
		if err := c.Ask(t.Context(), 7, strings.Repeat("x", 1000), nil); err != nil {
			t.Fatal(err)
		}
	}
	last := k.LastEvent()
	end(k)
	down.Store(false)
	k = begin(true)
	defer end(k)
	delivered := int64(0)
	for id := uint64(0); id < last; delivered++ {
		id = <-got
	}
	if s := k.Stats().Delivery; delivered < 20 || s.Gone < 200 || delivered+s.Gone < 302 || delivered+s.Gone > 310 {
		t.Errorf("of 300 messages and some connections %d are delivered; %+v", delivered, s)
	}
}

// Events of boards that are known by their address are found though they have one key for all.
func TestEventsOfAddresses(t *testing.T) {
	for id, want := range map[string]string{
		"meter-7": "e/meter-7", "aa:bb:cc:dd:ee:01": "e/aa:bb:cc:dd:ee:01", "10.0.0.7": "e/10.0.0.7",
		"127.0.0.1:5000": "e/:", addressID(&net.TCPAddr{IP: net.IPv6loopback, Port: 5000}): "e/:",
	} {
		if got := eventKey(id); got != want {
			t.Errorf("eventKey(%q) = %q, want %q", id, got, want)
		}
	}
	dir := t.TempDir()
	conf := Config{Types: []Type{{Type: 7, Store: true}}}
	k := keep(t, dir, conf)
	ids := make([]string, 2)
	for i := range 20 {
		c := k.arrive("", nil)
		ids[i%2] = c.LocalAddr().String()
		for n := range 3 {
			if err := c.Ask(t.Context(), 7, n, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	k.stop()
	k = keep(t, dir, conf)
	r := k.Events(0)
	r.Device = ids[1]
	events, _, err := r.Next(t.Context(), 100)
	for _, e := range events {
		if e.Device != ids[1] {
			t.Errorf("an event of %s", e.Device)
		}
	}
	if err != nil || len(events) < 4 {
		t.Errorf("%d events, %v", len(events), err)
	}
	for _, l := range k.Stats().Store.Logs {
		if l.Name == "events" && l.Keys != 1 {
			t.Errorf("%d keys for 20 addresses", l.Keys)
		}
	}
}

// A service gets every event that is kept at least once, those of a device in their order,
// whatever it does.
func TestDelivery(t *testing.T) {
	dir := t.TempDir()
	var mu sync.Mutex
	got := make(map[string][]Delivered) // by device
	calls, stuck := 0, true
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var d Delivered
		if err := json.Unmarshal(body, &d); err != nil {
			t.Errorf("%s: %v", body, err)
		}
		mu.Lock()
		defer mu.Unlock()
		calls++
		switch {
		case d.Device == "stuck" && stuck, calls%50 == 7:
			http.Error(w, "not now", http.StatusServiceUnavailable)
			return
		case d.Name == EventMessage && string(d.Data) == `"poison"`:
			http.Error(w, "not this", http.StatusUnprocessableEntity)
		}
		got[d.Device] = append(got[d.Device], d)
	}))
	defer service.Close()
	conf := Config{
		Types:   []Type{{Type: 7, Store: true}},
		Deliver: Delivery{Service: Service{URL: service.URL, Timeout: 5 * time.Second}},
	}
	count := func(device string) int {
		mu.Lock()
		defer mu.Unlock()
		n, last := 0, ""
		for _, d := range got[device] {
			if d.Name == EventMessage && string(d.Data) != last {
				n, last = n+1, string(d.Data)
			}
		}
		return n
	}
	await := func(k *keeping, device string, n int) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); count(device) < n; time.Sleep(5 * time.Millisecond) { // a poll; nothing is decided by its length
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d of %d are delivered: %+v", device, count(device), n, k.Stats().Delivery)
			}
		}
	}
	ask := func(c *longwire.Conn, from, to int) {
		for i := from; i < to; i++ {
			if err := c.Ask(t.Context(), 7, i, nil); err != nil {
				t.Fatal(err)
			}
		}
	}
	k := keep(t, dir, conf)
	a, s := k.arrive("a", nil), k.arrive("stuck", nil)
	ask(s, 0, 10)
	ask(a, 0, 100)
	if err := a.Ask(t.Context(), 7, "poison", nil); err != nil {
		t.Fatal(err)
	}
	await(k, "a", 101)
	k.stop()
	mu.Lock()
	stuck = false
	mu.Unlock()
	k = keep(t, dir, conf)
	a = k.arrive("a", nil)
	ask(a, 101, 150)
	await(k, "a", 150)
	await(k, "stuck", 10)
	mu.Lock()
	defer mu.Unlock()
	for device, events := range got {
		latest := uint64(0)
		for _, d := range events {
			if d.ID < latest && d.ID < events[0].ID { // again from the cursor on is well
				t.Errorf("%s: event %d behind %d", device, d.ID, latest)
			}
			latest = max(latest, d.ID)
		}
		want := 0
		for _, d := range events {
			var n int
			if d.Name == EventMessage && json.Unmarshal(d.Data, &n) == nil {
				if n > want {
					t.Fatalf("%s: %d came before %d", device, n, want)
				}
				want = max(want, n+1)
				if n == 99 && device == "a" {
					want = max(want, 101)
				}
			}
		}
	}
}
