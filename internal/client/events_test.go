package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/internal/client"
)

// A scripted gateway responds to one request after the other, and remembers them.
type scripted struct {
	t         *testing.T
	responses []func(*http.Request) (*http.Response, error)
	requests  []string
	times     []time.Time
}

func (s *scripted) RoundTrip(r *http.Request) (*http.Response, error) {
	text := r.Method + " " + r.URL.RequestURI()
	if id := r.Header.Get("Last-Event-ID"); id != "" {
		text += " behind " + id
	}
	s.requests, s.times = append(s.requests, text), append(s.times, time.Now())
	if len(s.responses) == 0 {
		s.t.Errorf("one request more than expected: %s", text)
		return problem(http.StatusUnauthorized, "no more responses")(r)
	}
	next := s.responses[0]
	s.responses = s.responses[1:]
	return next(r)
}

func (s *scripted) client() *client.Client {
	c, err := client.New(client.Config{Address: "http://gateway.example:10380"})
	if err != nil {
		s.t.Fatal(err)
	}
	c.SetTransport(s)
	return c
}

// respond makes a response.
func respond(status int, kind, body string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: status, Header: http.Header{"Content-Type": {kind}}, Body: io.NopCloser(strings.NewReader(body))}, nil
	}
}

func problem(status int, detail string) func(*http.Request) (*http.Response, error) {
	return respond(status, "application/problem+json", fmt.Sprintf(`{"title":"…","status":%d,"detail":%q}`, status, detail))
}

// streamOf responds with events, and then ends the stream.
func streamOf(text string) func(*http.Request) (*http.Response, error) {
	return respond(http.StatusOK, "text/event-stream", text)
}

// open responds with events, and then says nothing more until the request ends.
func open(text string) func(*http.Request) (*http.Response, error) {
	return func(r *http.Request) (*http.Response, error) {
		reader, w := io.Pipe()
		context.AfterFunc(r.Context(), func() { w.CloseWithError(r.Context().Err()) })
		go func() {
			for event := range strings.SplitAfterSeq(text, "\n\n") {
				io.WriteString(w, event)
			}
		}()
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: reader}, nil
	}
}

func refuse(err error) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) { return nil, err }
}

// follow reads events until there is an error, or there have been enough.
func follow(ctx context.Context, c *client.Client, s client.Stream, enough int) (events []string, err error) {
	for e, err := range c.Events(ctx, s) {
		if err != nil {
			return events, err
		}
		events = append(events, e.ID+" "+e.Name)
		if len(events) == enough {
			break
		}
	}
	return events, nil
}

// A stream that ends is continued behind the last event, and whoever follows is told once.
func TestEventsResume(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){
			streamOf("id: 1\nevent: connect\ndata: {}\n\nid: 2\nevent: message\ndata: {}\n\nid: 3\nevent: mess"),
			refuse(errors.New("connection refused")),
			problem(http.StatusServiceUnavailable, "There are 256 event streams."),
			streamOf(": events follow\n\n"),
			streamOf("event: lost\ndata: {}\n\nid: 5\ndata: {}\n\n: still here\nid: 9\n\n"),
			open("id: 10\ndata: {}\n\n"),
		}}
		var lost []string
		events, err := follow(t.Context(), s.client(), client.Stream{
			EventFilter: client.EventFilter{Device: "meter-7", Type: "0x10", Name: "message"},
			From:        "0",
			Lost:        func(why error, resumed bool) { lost = append(lost, fmt.Sprint(why, " ", resumed)) },
		}, 5)
		if want := []string{"1 connect", "2 message", " lost", "5 message", "10 message"}; err != nil || !slices.Equal(events, want) {
			t.Errorf("%q, %v; want %q", events, err, want)
		}
		const path = "GET /v1/events?device=meter-7"
		if want := []string{
			path + "&from=0&name=message&type=0x10",
			path + "&name=message&type=0x10 behind 2",
			path + "&name=message&type=0x10 behind 2",
			path + "&name=message&type=0x10 behind 2",
			path + "&name=message&type=0x10 behind 2",
			path + "&name=message&type=0x10 behind 9",
		}; !slices.Equal(s.requests, want) {
			t.Errorf("requests %q", s.requests)
		}
		if want := slices.Repeat([]string{"the gateway has ended the stream true"}, 3); !slices.Equal(lost, want) {
			t.Errorf("told %q", lost)
		}
	})
}

// Who has no id yet cannot go on where the stream ended, and is told so.
func TestEventsWithoutID(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){
			streamOf(": events follow\n\n"), open("id: 7\ndata: {}\n\n"),
		}}
		var lost []bool
		events, err := follow(t.Context(), s.client(), client.Stream{Lost: func(_ error, resumed bool) { lost = append(lost, resumed) }}, 1)
		if err != nil || len(events) != 1 || !slices.Equal(lost, []bool{false}) || s.requests[1] != "GET /v1/events" {
			t.Errorf("%q, %v, resumed %v, requests %q", events, err, lost, s.requests)
		}
	})
}

// Who begins at a time begins there again as long as there was no event, and misses nothing.
func TestEventsSince(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){
			streamOf(": events follow\n\n"), streamOf("id: 7\ndata: {}\n\n"), open("id: 8\ndata: {}\n\n"),
		}}
		var lost []bool
		events, err := follow(t.Context(), s.client(), client.Stream{
			EventFilter: client.EventFilter{Name: "connect,disconnect"},
			Since:       time.Date(2026, 11, 22, 16, 36, 9, 5e8, time.FixedZone("", 3600)),
			Lost:        func(_ error, resumed bool) { lost = append(lost, resumed) },
		}, 2)
		const path = "GET /v1/events?name=connect%2Cdisconnect"
		if want := []string{path + "&since=2026-11-22T15%3A36%3A09.5Z", path + "&since=2026-11-22T15%3A36%3A09.5Z", path + " behind 7"}; !slices.Equal(s.requests, want) {
			t.Errorf("requests %q", s.requests)
		}
		if err != nil || len(events) != 2 || !slices.Equal(lost, []bool{true, true}) {
			t.Errorf("%q, %v, resumed %v", events, err, lost)
		}
	})
}

// A trace is followed as events are, until nobody knows the device any more.
func TestTrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){
			streamOf(": events follow\n\n"), streamOf("id: 7\nevent: frame\ndata: {}\n\n"),
			refuse(errors.New("connection refused")), streamOf("event: lost\ndata: {}\n\n"), problem(http.StatusNotFound, "…"),
		}}
		var lost []bool
		var events []string
		var end error
		began := 0
		for e, err := range s.client().Trace(t.Context(), "a:b/c", func() { began++ }, func(_ error, resumed bool) { lost = append(lost, resumed) }) {
			if end = err; err == nil {
				events = append(events, e.ID+" "+e.Name)
			}
		}
		const path = "GET /v1/devices/a:b%2Fc/trace"
		if want := []string{path, path, path + " behind 7", path + " behind 7", path + " behind 7"}; !slices.Equal(s.requests, want) {
			t.Errorf("requests %q", s.requests)
		}
		p, refused := errors.AsType[*client.Problem](end)
		if !slices.Equal(events, []string{"7 frame", " lost"}) || !slices.Equal(lost, []bool{true, true, true}) || began != 3 || !refused || p.Status != http.StatusNotFound {
			t.Errorf("%q, %v, began %d times, resumed %v", events, end, began, lost)
		}
	})
}

// A gateway that is not there at first is a mistake, and one that refuses will do so again.
func TestEventsEnd(t *testing.T) {
	for _, test := range []struct {
		about     string
		responses []func(*http.Request) (*http.Response, error)
		requests  int
	}{
		{"not there", []func(*http.Request) (*http.Response, error){refuse(errors.New("connection refused"))}, 1},
		{"busy", []func(*http.Request) (*http.Response, error){problem(503, "…")}, 1},
		{"no gateway", []func(*http.Request) (*http.Response, error){respond(200, "text/html", "<html>")}, 1},
		{"refused later", []func(*http.Request) (*http.Response, error){streamOf(":\n\n"), problem(401, "…")}, 2},
		{"an event that is too large", []func(*http.Request) (*http.Response, error){
			streamOf("data: " + strings.Repeat("x", client.MaxEvent) + "\n\n"),
		}, 1},
	} {
		t.Run(test.about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{t: t, responses: test.responses}
				if events, err := follow(t.Context(), s.client(), client.Stream{}, 1); err == nil || len(s.requests) != test.requests {
					t.Errorf("%q, %v, requests %q", events, err, s.requests)
				}
			})
		})
	}
}

// It tries again soon at first, and later not so often; for ever, but not sooner than it is
// told.
func TestEventsPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){streamOf("id: 1\ndata: {}\n\n")}}
		for range 20 {
			s.responses = append(s.responses, refuse(errors.New("connection refused")))
		}
		tooMany := problem(http.StatusTooManyRequests, "…")
		s.responses = append(s.responses, func(r *http.Request) (*http.Response, error) {
			response, err := tooMany(r)
			response.Header.Set("Retry-After", "60")
			return response, err
		}, open("id: 2\ndata: {}\n\n"))
		events, err := follow(t.Context(), s.client(), client.Stream{}, 2)
		if err != nil || len(events) != 2 {
			t.Fatalf("%q, %v", events, err)
		}
		for i := 1; i < len(s.times); i++ {
			pause := s.times[i].Sub(s.times[i-1])
			limit := min(500*time.Millisecond<<(i-1), 15*time.Second)
			if i == len(s.times)-1 {
				limit = 60 * time.Second
			}
			if pause < limit/2 || pause > limit {
				t.Errorf("pause %d is %v, of %v", i, pause, limit)
			}
		}
	})
}

// A gateway that says nothing at all, not even that it is there, is gone.
func TestEventsSilence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){
			open("id: 1\ndata: {}\n\n"), open("id: 2\ndata: {}\n\n"),
		}}
		var why error
		began := time.Now()
		events, err := follow(t.Context(), s.client(), client.Stream{Lost: func(err error, _ bool) { why = err }}, 2)
		if err != nil || len(events) != 2 || !errors.Is(why, client.ErrSilent) {
			t.Errorf("%q, %v, lost because %v", events, err, why)
		}
		if took := time.Since(began).Truncate(time.Second); took != 45*time.Second {
			t.Errorf("noticed after %v", took)
		}
	})
}

// Nor does one that takes a request and does not respond.
func TestEventsNoResponse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}}}
		began := time.Now()
		_, err := follow(t.Context(), s.client(), client.Stream{}, 1)
		if took := time.Since(began); !errors.Is(err, client.ErrSilent) || took != 15*time.Second {
			t.Errorf("%v after %v", err, took)
		}
	})
}

// Whoever reads slowly, as a person with a pager does, is not taken for a gateway that is silent.
func TestEventsSlowReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){
			open("id: 1\ndata: {}\n\nid: 2\ndata: {}\n\n"),
		}}
		n := 0
		for _, err := range s.client().Events(t.Context(), client.Stream{}) {
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Hour)
			if n++; n == 2 {
				break
			}
		}
	})
}

// When ctx ends so does the stream, whatever is going on, with what ended it.
func TestEventsCancel(t *testing.T) {
	for about, responses := range map[string][]func(*http.Request) (*http.Response, error){
		"while reading": {open("id: 1\ndata: {}\n\n")},
		"while pausing": {streamOf("id: 1\ndata: {}\n\n"), refuse(errors.New("connection refused")), refuse(errors.New("connection refused"))},
	} {
		t.Run(about, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &scripted{t: t, responses: responses}
				ended := errors.New("ended")
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(1100*time.Millisecond, func() { cancel(ended) })
				began := time.Now()
				lost := 0
				events, err := follow(ctx, s.client(), client.Stream{Lost: func(error, bool) { lost++ }}, 2)
				if took := time.Since(began); len(events) != 1 || !errors.Is(err, ended) || took != 1100*time.Millisecond {
					t.Errorf("%q, %v after %v", events, err, took)
				}
				if told := about == "while pausing"; told != (lost == 1) {
					t.Errorf("told %d times that the stream is lost", lost)
				}
			})
		})
	}
}
