package httpapi

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
)

const (
	keepAlive   = 15 * time.Second // a stream says at least something so often
	streamBatch = 16               // events that a stream looks at at a time
	flushAt     = 32 << 10         // bytes of them after which it writes
)

type eventsInput struct {
	LastEventID string `header:"Last-Event-ID" doc:"the id of the last event that was read: those behind it follow. Counts before from"`
	From        string `query:"from" doc:"the same, for those who cannot set a header; 0 means all that are remembered or kept. If neither is said, only what happens from now on"`
	Since       string `query:"since" doc:"a time: only what happened then or later, remembered or kept. Last-Event-ID counts before it; not together with from" example:"2026-11-22T15:36:09Z"`
	Device      string `query:"device" doc:"only events of this device"`
	Type        string `query:"type" doc:"only messages of this type, a number or a name"`
	Name        string `query:"name" maxLength:"64" doc:"only events with this name: message, connect, disconnect or command, or several of them with commas" example:"connect,disconnect"`
}

// A filter says which events a stream has. Zero fields let all pass.
type filter struct {
	device string
	names  []gateway.EventName // nil means all
	typed  bool
	kind   longwire.Type
}

func (f *filter) pass(e *gateway.Event) bool {
	return (f.device == "" || f.device == e.Device) &&
		(f.names == nil || slices.Contains(f.names, e.Name)) &&
		(!f.typed || e.Type != nil && *e.Type == f.kind)
}

func (s *Server) events(ctx context.Context, in *eventsInput) (*huma.StreamResponse, error) {
	f := filter{device: in.Device}
	if in.Name != "" {
		for name := range strings.SplitSeq(in.Name, ",") {
			switch n := gateway.EventName(name); n {
			case gateway.EventMessage, gateway.EventConnect, gateway.EventDisconnect, gateway.EventCommand:
				f.names = append(f.names, n)
			default:
				return nil, newProblem(http.StatusBadRequest, "The name of an event is message, connect, disconnect or command; write several with commas between.")
			}
		}
	}
	if in.Type != "" {
		t, err := s.readType(in.Type)
		if err != nil {
			return nil, err
		}
		f.typed, f.kind = true, t
	}
	after, err := s.whereFrom(ctx, in)
	if err != nil {
		return nil, err
	}
	return s.stream(func(ctx context.Context, out *eventWriter) {
		reader := s.g.Events(after)
		reader.Device = in.Device
		s.writeEvents(ctx, out, reader, &f)
	})
}

// whereFrom returns the id of the event behind which a stream begins.
func (s *Server) whereFrom(ctx context.Context, in *eventsInput) (after uint64, err error) {
	last := s.g.LastEvent()
	switch from := cmp.Or(in.LastEventID, in.From); {
	case in.From != "" && in.Since != "":
		return 0, newProblem(http.StatusBadRequest, "Since and from are two ways to say where to begin; choose one of them.")
	case from != "":
		n, err := strconv.ParseUint(from, 10, 64)
		if err != nil {
			return 0, newProblem(http.StatusBadRequest, "The id of an event is a number.")
		}
		return min(n, last), nil // it may be of a gateway whose clock was ahead
	case in.Since != "":
		at, err := time.Parse(time.RFC3339Nano, in.Since)
		if err != nil {
			return 0, newProblem(http.StatusBadRequest, "Since is a time, as in 2026-11-22T15:36:09Z.")
		}
		if after, err = s.g.EventBefore(ctx, at); err != nil {
			return 0, s.fail(ctx, err)
		}
		return after, nil
	}
	return last, nil
}

// stream responds with events that write writes, until it returns. It must when its context ends: the
// reader has gone, or the server stops.
func (s *Server) stream(write func(ctx context.Context, out *eventWriter)) (*huma.StreamResponse, error) {
	if s.streams.Add(1) > maxStreams {
		s.streams.Add(-1)
		return nil, newProblem(http.StatusServiceUnavailable, "There are %d event streams, and no more at a time.", maxStreams)
	}
	return &huma.StreamResponse{Body: func(c huma.Context) {
		defer s.streams.Add(-1)
		r, w := humago.Unwrap(c)
		h := w.Header()
		h.Set("Content-Type", "text/event-stream")
		h.Set("X-Accel-Buffering", "no") // tells nginx not to collect them
		if r.Method == http.MethodHead {
			return
		}
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		defer context.AfterFunc(s.stopping, cancel)()
		out := &eventWriter{w: w, rc: http.NewResponseController(w)}
		out.buf.WriteString(": events follow\n\n")
		write(ctx, out)
	}}, nil
}

// writeEvents writes events until the reader takes nothing for a while, or ctx ends. It holds
// nothing for the reader but a few events: the others wait in the gateway, once for all.
func (s *Server) writeEvents(ctx context.Context, out *eventWriter, reader *gateway.EventReader, f *filter) {
	for out.flush() == nil {
		wait, cancelWait := context.WithDeadline(ctx, out.written.Add(keepAlive))
		events, missed, _ := reader.Next(wait, streamBatch)
		cancelWait()
		if ctx.Err() != nil {
			return
		}
		out.lost(missed)
		for i := range events {
			e := &events[i]
			if !f.pass(e) {
				continue
			}
			out.add(e.ID, string(e.Name), e)
			if out.buf.Len() >= flushAt && out.flush() != nil {
				return
			}
		}
		if out.buf.Len() == 0 && time.Since(out.written) >= keepAlive {
			// The id is for who comes back: what was not for it need not be looked through again.
			fmt.Fprintf(&out.buf, ": still here\nid: %d\n\n", reader.After)
		}
	}
}

// An eventWriter writes server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	rc      *http.ResponseController
	buf     bytes.Buffer
	written time.Time
}

// add adds an event, whose data is v as JSON.
func (out *eventWriter) add(id uint64, name string, v any) {
	fmt.Fprintf(&out.buf, "id: %d\nevent: %s\ndata: ", id, name)
	writeJSON(&out.buf, v)
	out.buf.WriteByte('\n')
}

// lost adds that there have been others, if there have.
func (out *eventWriter) lost(count uint64) {
	if count > 0 {
		fmt.Fprintf(&out.buf, "event: lost\ndata: {\"count\":%d}\n\n", count)
	}
}

// flush writes what has been added, if the reader takes it in time.
func (out *eventWriter) flush() error {
	if out.buf.Len() == 0 {
		return nil
	}
	out.rc.SetWriteDeadline(time.Now().Add(writeTimeout))
	_, err := out.w.Write(out.buf.Bytes())
	if err == nil {
		err = out.rc.Flush()
	}
	out.written = time.Now()
	if out.buf.Cap() > 2*flushAt {
		out.buf = bytes.Buffer{}
	}
	out.buf.Reset()
	return err
}
