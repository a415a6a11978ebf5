package client

import (
	"context"
	"errors"
	"io"
	"iter"
	"maps"
	"math/rand/v2"
	"mime"
	"net/http"
	"net/url"
	"time"
)

// An EventFilter says which events a stream has. Zero fields let all pass.
type EventFilter struct {
	Device string
	Type   string // of messages
	Name   string // several have commas between
}

// A Stream says what is followed, and from where on.
type Stream struct {
	EventFilter

	// From is the id of the event behind which to begin: "0" for all that are remembered,
	// "" for those that happen from now on.
	From string

	// Since, if not zero, is when the first event may have happened. It does not go together
	// with From.
	Since time.Time

	// Lost, if not nil, is told why a stream has ended.
	Lost Lost
}

// Lost is told why a stream has ended, before the next one is asked for. It begins where that
// ended if resumed, and otherwise with what happens then.
type Lost func(why error, resumed bool)

const (
	// A gateway says something every 15 seconds. Who hears nothing for so long is
	// alone.
	maxSilence = 45 * time.Second

	minPause, maxPause = 500 * time.Millisecond, 15 * time.Second // before a stream is asked for again
)

// Events follows what happens. When the connection is lost it connects again, for as long as it
// takes, and goes on behind the last event that it has seen. It ends with an error when the
// gateway cannot be reached at first, when it refuses, or when ctx ends.
func (c *Client) Events(ctx context.Context, s Stream) iter.Seq2[Event, error] {
	query := make(url.Values)
	for name, value := range map[string]string{"device": s.Device, "type": s.Type, "name": s.Name, "from": s.From} {
		if value != "" {
			query.Set(name, value)
		}
	}
	if !s.Since.IsZero() {
		query.Set("since", s.Since.UTC().Format(time.RFC3339Nano))
	}
	return c.follow(ctx, followed{path: "/v1/events", query: query, last: s.From, past: !s.Since.IsZero(), lost: s.Lost})
}

// Trace follows the frames of a device, over all its connections: those that are remembered, and then
// each as it goes. It connects again as [Client.Events] does, and ends when the device is not known any more.
// Began is called whenever frames are followed from then on, and lost when they are not any more; either
// may be nil.
func (c *Client) Trace(ctx context.Context, id string, began func(), lost Lost) iter.Seq2[Event, error] {
	return c.follow(ctx, followed{path: device(id) + "/trace", past: true, began: began, lost: lost})
}

// followed says which stream is followed.
type followed struct {
	path  string
	query url.Values
	last  string // id of the event behind which to begin
	past  bool   // without an id it begins in the past too, so that nothing is missing
	began func()
	lost  Lost
}

func (c *Client) follow(ctx context.Context, s followed) iter.Seq2[Event, error] {
	return func(yield func(Event, error) bool) {
		last, again := s.last, false
		for failures := 0; ; failures++ {
			going, began := true, false
			err := c.stream(ctx, &s, &last, again, func() {
				if began = true; s.began != nil {
					s.began()
				}
			}, func(e Event) bool {
				going = yield(e, nil)
				return going
			})
			if !going {
				return
			}
			if began {
				failures = 0
			}
			if ctx.Err() != nil || !again && !began || isFinal(err) {
				yield(Event{}, err)
				return
			}
			if began && s.lost != nil {
				s.lost(err, last != "" || s.past)
			}
			again = true
			pause := min(minPause<<min(failures, 10), maxPause)
			pause = pause/2 + rand.N(pause/2)
			if p, ok := errors.AsType[*Problem](err); ok {
				pause = max(pause, p.RetryAfter)
			}
			select {
			case <-time.After(pause):
			case <-ctx.Done():
				yield(Event{}, context.Cause(ctx))
				return
			}
		}
	}
}

// isFinal reports whether asking again would end in the same way.
func isFinal(err error) bool {
	p, ok := errors.AsType[*Problem](err)
	return errors.Is(err, errLargeEvent) || ok && p.Status >= 400 && p.Status <= 499 && p.Status != http.StatusRequestTimeout && p.Status != http.StatusTooManyRequests
}

// stream reads one stream, until it ends or each returns false. Last is the id of the last
// event that was read; began is called when there is a stream.
func (c *Client) stream(ctx context.Context, s *followed, last *string, again bool, began func(), each func(Event) bool) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	silence := time.AfterFunc(c.conf.Timeout, func() { cancel(ErrSilent) })
	defer silence.Stop()

	query := maps.Clone(s.query)
	if again && *last != "" {
		query.Del("from") // the header says more
		query.Del("since")
	}
	request, err := c.request(ctx, call{method: http.MethodGet, path: s.path, query: query})
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	if again && *last != "" {
		request.Header.Set("Last-Event-ID", *last)
	}
	response, err := c.http.Do(request)
	if err != nil {
		return c.fault(ctx, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(response.Body, maxResponse))
		return refusal(response, body)
	}
	if kind, _, _ := mime.ParseMediaType(response.Header.Get("Content-Type")); kind != "text/event-stream" {
		return &StrangeError{Status: response.StatusCode}
	}
	began()
	events := newEventReader(&heardReader{response.Body, silence})
	events.lastID = *last
	for {
		e, err := events.next()
		*last = events.lastID
		switch {
		case err == io.EOF:
			return &TransportError{Err: errors.New("the gateway has ended the stream")}
		case err != nil:
			return c.fault(ctx, err)
		case !each(e):
			return nil
		}
	}
}

// A heardReader ends a stream in which there is nothing to read for too long. The time in
// which nobody wants to read does not count.
type heardReader struct {
	r       io.Reader
	silence *time.Timer
}

func (h *heardReader) Read(p []byte) (int, error) {
	h.silence.Reset(maxSilence)
	defer h.silence.Stop()
	return h.r.Read(p)
}
