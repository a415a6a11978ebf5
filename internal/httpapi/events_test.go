package httpapi_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// A stream is a reader of events.
type stream struct {
	t    testing.TB
	body io.ReadCloser
	r    *bufio.Scanner
}

// An event is one as a browser would understand it, but that a block without data is
// one as well.
type event struct {
	id, name, data, comment string
}

func (s *site) listen(query string, change ...func(*http.Request)) *stream {
	s.t.Helper()
	return s.read("/v1/events"+query, change...)
}

// read begins to read a stream.
func (s *site) read(path string, change ...func(*http.Request)) *stream {
	s.t.Helper()
	r := s.request("GET", path, "")
	for _, f := range change {
		f(r)
	}
	got, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { got.Body.Close() })
	if kind := got.Header.Get("Content-Type"); got.StatusCode != 200 || kind != "text/event-stream" {
		s.t.Fatalf("%d %s", got.StatusCode, kind)
	}
	st := &stream{s.t, got.Body, bufio.NewScanner(got.Body)}
	st.r.Buffer(nil, 1<<20)
	if e, err := st.next(); err != nil || e.comment != "events follow" {
		s.t.Fatalf("%+v, %v", e, err)
	}
	return st
}

// next returns the next event.
func (st *stream) next() (e event, err error) {
	for st.r.Scan() {
		if st.r.Text() == "" {
			return e, nil
		}
		name, value, _ := strings.Cut(st.r.Text(), ": ")
		switch name {
		case "id":
			e.id = value
		case "event":
			e.name = value
		case "data":
			e.data += value
		case "":
			e.comment = value
		default:
			st.t.Errorf("line %q", st.r.Text())
		}
	}
	if err = st.r.Err(); err == nil {
		err = io.EOF
	}
	return e, err
}

// want reads an event with a name, whose data must have all of these.
func (st *stream) want(name string, fields map[string]any) event {
	st.t.Helper()
	e, err := st.next()
	if err != nil || e.name != name {
		st.t.Fatalf("%+v, %v; want %s", e, err, name)
	}
	var data map[string]any
	if err := json.Unmarshal([]byte(e.data), &data); err != nil {
		st.t.Fatalf("%q: %v", e.data, err)
	}
	for field, want := range fields {
		if fmt.Sprint(data[field]) != fmt.Sprint(want) {
			st.t.Errorf("%s: %s is %v, want %v", name, field, data[field], want)
		}
	}
	return e
}

func TestEvents(t *testing.T) {
	bubble(t, gateway.Config{Types: []gateway.Type{{Name: "reading", Type: 32}}}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.board(named("before"), nil)
		all := s.listen("")
		only := s.listen("?device=b")
		reading := s.listen("?type=reading")
		number := s.listen("?type=0x20&device=a")
		gone := s.listen("?name=disconnect")
		a := s.board(named("a"), nil)
		b := s.board(named("b"), nil)
		for i, data := range []any{longwire.Raw("66666"), map[string]int{"c": 21}, longwire.Raw("\x00\xff")} {
			a.Push(t.Context(), longwire.Type(31+i), data)
		}
		synctest.Wait()
		b.Push(t.Context(), 32, 5)
		synctest.Wait()
		s.want(204, "DELETE", "/v1/devices/b/connection", "")

		anonymous := all.want("connect", nil) // known by its address, until it has said hello
		first := all.want("connect", map[string]any{"device": "a", "listener": "boards", "at": time.Now().UTC().Format(time.RFC3339Nano)})
		all.want("connect", nil)
		all.want("connect", map[string]any{"device": "b"})
		all.want("message", map[string]any{"device": "a", "type": 31, "data": 66666, "size": 5})
		second := all.want("message", map[string]any{"device": "a", "type": 32, "type_name": "reading", "data": "map[c:21]"})
		all.want("message", map[string]any{"device": "a", "type": 33, "raw": "AP8="})
		all.want("message", map[string]any{"device": "b", "type": 32, "data": 5})
		last := all.want("disconnect", map[string]any{"device": "b", "reason": "kicked"})
		for i, e := range []event{anonymous, first, second, last} {
			if n, err := strconv.ParseUint(e.id, 10, 64); err != nil || n < 9e14 {
				t.Errorf("event %d has id %q", i, e.id)
			}
		}
		only.want("connect", map[string]any{"device": "b"})
		only.want("message", map[string]any{"device": "b"})
		only.want("disconnect", map[string]any{"device": "b"})
		reading.want("message", map[string]any{"device": "a", "data": "map[c:21]"})
		reading.want("message", map[string]any{"device": "b", "data": 5})
		number.want("message", map[string]any{"device": "a", "data": "map[c:21]"})
		gone.want("disconnect", map[string]any{"device": "b"})

		// Who comes back goes on where it was.
		s.listen("", header("Last-Event-ID", second.id)).want("message", map[string]any{"type": 33})
		s.listen("?from="+first.id+"&name=message").want("message", map[string]any{"type": 31})
		s.listen("?from="+first.id, header("Last-Event-ID", second.id)).want("message", map[string]any{"type": 33})
		s.listen("?from=0").want("connect", nil)
		both := s.listen("?from=" + second.id + "&name=disconnect,connect")
		both.want("disconnect", map[string]any{"device": "b"})
		time.Sleep(time.Second)
		s.listen("?since="+time.Now().Add(-time.Hour).UTC().Format(time.RFC3339Nano)).want("connect", nil)
		since := s.listen("?since=" + time.Now().UTC().Format(time.RFC3339Nano))
		s.listen("?from=0&device=a").want("connect", map[string]any{"device": "a"})
		future := s.listen("?from=18446744073709551615")
		b2 := s.board(named("b"), nil)
		both.want("connect", nil)
		since.want("connect", nil)
		since.want("connect", map[string]any{"device": "b"})
		future.want("connect", nil)
		future.want("connect", map[string]any{"device": "b"})
		b2.Close(longwire.ReasonClosed)
		gone.want("disconnect", map[string]any{"device": "b"})

		for query, detail := range map[string]string{
			"?from=-1":                           "id of an event",
			"?from=x":                            "id of an event",
			"?type=blue":                         "blue",
			"?type=0xff01":                       "longwire's own",
			"?name=everything":                   "is message, connect",
			"?name=message,":                     "is message, connect",
			"?since=yesterday":                   "is a time",
			"?since=2026-11-22T15:36:09Z&from=1": "two ways",
			"?typ=1":                             `"query.typ"`,
		} {
			s.wantProblem(400, detail, "GET", "/v1/events"+query, "")
		}
		s.wantProblem(400, "id of an event", "GET", "/v1/events", "", header("Last-Event-ID", "1 2"))
	})
}

func TestTypes(t *testing.T) {
	types := []gateway.Type{{Name: "reading", Type: 32, Store: true}, {Type: 7}, {Name: "status", Type: 16}}
	bubble(t, gateway.Config{Types: types}, httpapi.Config{}, func(t *testing.T, s *site) {
		if got := fmt.Sprint(s.want(200, "GET", "/v1/types", "")); got != "map[types:[map[name:status store:false type:16] map[name:reading store:true type:32]]]" {
			t.Error(got)
		}
	})
}

// A stream on which nothing happens that its reader wants is kept alive, and its reader knows
// where it was.
func TestEventsKeepAlive(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		st := s.listen("?device=nobody")
		a := s.board(named("a"), nil)
		done := make(chan struct{})
		go func() { // what it does not want does not hold the comments up
			defer close(done)
			for range 8 {
				time.Sleep(10 * time.Second)
				a.Push(t.Context(), 1, 1)
			}
		}()
		var seen uint64
		for i := range 5 {
			began := time.Now()
			e, err := st.next()
			if took := time.Since(began); err != nil || e.comment != "still here" || e.data != "" || took < 15*time.Second || took > 25*time.Second {
				t.Fatalf("%+v, %v after %v", e, err, took)
			}
			id, err := strconv.ParseUint(e.id, 10, 64)
			if err != nil || id <= seen || id > s.g.LastEvent() {
				t.Errorf("comment %d: id %q after %d", i, e.id, seen)
			}
			seen = id
		}
		<-done
		ahead := s.listen("?from=18446744073709551615") // from a gateway whose clock was
		if e, err := ahead.next(); err != nil || e.id != fmt.Sprint(s.g.LastEvent()) {
			t.Errorf("%+v, %v", e, err)
		}
	})
}

func TestEventsLost(t *testing.T) {
	bubble(t, gateway.Config{Ack: gateway.AckNever}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.plainBoard()
		first := s.listen("?from=0").want("connect", nil)
		c, _ := s.plainBoard()
		w := frame.NewWriter(c, nil)
		const n = 10_000
		for range n {
			w.WriteFrame(1, []byte("1"))
		}
		synctest.Wait()
		st := s.listen("", header("Last-Event-ID", first.id))
		st.want("lost", map[string]any{"count": n + 1 - 8192}) // the second connect too
		for range 8192 {
			st.want("message", nil)
		}
	})
}

// A reader that takes nothing is cut off, and costs next to nothing meanwhile.
func TestEventsSlowReader(t *testing.T) {
	bubble(t, gateway.Config{Ack: gateway.AckNever}, httpapi.Config{}, func(t *testing.T, s *site) {
		c, err := s.network.Dial(t.Context(), httpAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n")
		quick := s.listen("")
		synctest.Wait()
		board, _ := s.plainBoard()
		w := frame.NewWriter(board, nil)
		began := time.Now()
		sent := make(chan struct{})
		go func() {
			defer close(sent)
			for w.WriteFrame(1, []byte(strings.Repeat("x", 1000))) == nil {
				time.Sleep(10 * time.Millisecond)
			}
		}()
		quick.want("connect", nil)
		for range 2000 {
			quick.want("message", map[string]any{"size": 1000})
		}
		if took := time.Since(began); took > 21*time.Second {
			t.Errorf("the other reader needed %v", took)
		}
		time.Sleep(12 * time.Second)
		board.Close()
		<-sent
		// What had been written is still there; then comes the end, within a chunk.
		b, err := io.ReadAll(c)
		if len(b) > 80<<10 || err != nil || strings.HasSuffix(string(b), "0\r\n\r\n") {
			t.Errorf("%d bytes, %v", len(b), err)
		}
	})
}

// A thousand events of 64 KiB that nobody reads cost the same as ten.
func TestEventsSlowReaderMemory(t *testing.T) {
	s := start(t, gateway.Config{Ack: gateway.AckNever}, httpapi.Config{})
	board, _ := s.plainBoard()
	w := frame.NewWriter(board, nil)
	fill := func(n int) {
		for range n {
			after := s.g.LastEvent()
			w.WriteFrame(1, []byte(strings.Repeat("x", 63<<10)))
			s.g.Events(after).Next(t.Context(), 1)
		}
	}
	fill(300) // more than are remembered
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before := heap()
	const readers = 100
	for range readers {
		c, err := s.network.Dial(t.Context(), httpAddr)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		fmt.Fprintf(c, "GET /v1/events?from=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
	}
	fill(300)
	// Each: 64 KiB of the network, the event it writes, and a connection's buffers.
	if each := (heap() - before) / readers; each > 400<<10 {
		t.Errorf("%d KiB for each reader", each>>10)
	}
}

func TestEventStreamsAreLimited(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		var streams []*stream
		for range 256 {
			streams = append(streams, s.listen(""))
		}
		s.wantProblem(503, "256 event streams", "GET", "/v1/events", "")
		streams[7].body.Close()
		synctest.Wait()
		s.listen("")
	})
}

func TestEventsEndWithTheServer(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		st := s.listen("")
		began := time.Now()
		s.stopAPI()
		if _, err := st.next(); err != io.EOF {
			t.Error(err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("after %v", took)
		}
	})
}

func TestEventsHead(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		got, err := s.client.Do(s.request("HEAD", "/v1/events", "").WithContext(ctx))
		if err != nil || got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%v, %v", got, err)
		}
		got.Body.Close()
	})
}
