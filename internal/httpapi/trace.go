package httpapi

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/longwire/longwire/internal/gateway"
)

type traceInput struct {
	ID          string `path:"id" doc:"the id of the device"`
	LastEventID string `header:"Last-Event-ID" doc:"the id of the last frame that was read: those behind it follow, of which there may be some that are not remembered any more. If it is not said, all that are remembered come first"`
}

func (s *Server) trace(ctx context.Context, in *traceInput) (*huma.StreamResponse, error) {
	var after uint64
	if in.LastEventID != "" {
		var err error
		if after, err = strconv.ParseUint(in.LastEventID, 10, 64); err != nil {
			return nil, newProblem(http.StatusBadRequest, "The id of a frame is a number.")
		}
	}
	if _, err := s.g.Device(in.ID); err != nil {
		return nil, s.fail(ctx, err)
	}
	return s.stream(func(ctx context.Context, out *eventWriter) {
		watch, err := s.g.Watch(in.ID, after)
		if err != nil {
			return // it has just been forgotten
		}
		defer watch.Close()
		s.writeFrames(ctx, out, watch)
	})
}

// writeFrames writes frames until the reader takes nothing for a while, the device is forgotten, or ctx
// ends.
func (s *Server) writeFrames(ctx context.Context, out *eventWriter, watch *gateway.Watch) {
	for out.flush() == nil {
		wait, cancel := context.WithDeadline(ctx, out.written.Add(keepAlive))
		frames, missed, _ := watch.Next(wait)
		cancel()
		if ctx.Err() != nil {
			return
		}
		out.lost(missed)
		for i := range frames {
			out.add(frames[i].ID, "frame", &frames[i])
			if out.buf.Len() >= flushAt && out.flush() != nil {
				return
			}
		}
		if out.buf.Len() == 0 && time.Since(out.written) >= keepAlive {
			if !watch.Current() {
				return
			}
			out.buf.WriteString(": still here\n\n")
		}
	}
}
