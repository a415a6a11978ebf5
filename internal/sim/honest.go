package sim

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"syscall"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// liveHonestly is what a board does that is made with the library.
func (b *board) liveHonestly(ctx context.Context) {
	r := b.g.conf.Reconnect
	var leave context.CancelCauseFunc
	client := &longwire.Client{
		Addr:        b.g.f.Addr,
		Handler:     b,
		Hello:       b.hello(),
		MinBackoff:  time.Duration(r.Min),
		MaxBackoff:  time.Duration(r.Max),
		DialContext: b.dial,
		Config:      b.g.library,
		Online: func(ctx context.Context, c *longwire.Conn) {
			b.g.tally.up(b)
			context.AfterFunc(ctx, b.g.tally.down)
			if b.work(ctx, library{c}, func() error { return nil }) != nil {
				b.g.tally.storms.Add(1)
				c.Close(longwire.ReasonClosed)
				leave(errStorm)
			}
		},
	}
	for ctx.Err() == nil {
		// After a storm Run begins anew, which dials at once.
		var run context.Context
		run, leave = context.WithCancelCause(ctx)
		client.Run(run)
		leave(nil)
	}
	b.g.tally.ended(client.Stats())
}

// Handle implements [longwire.Handler].
func (b *board) Handle(ctx context.Context, m *longwire.Message) (any, error) {
	asked := m.Key() != ""
	switch r := b.answer(ctx, m.Type, asked, m.Payload()); {
	case r.silent && asked:
		return longwire.NoAnswer, nil
	case r.silent:
		return nil, nil
	case r.raw:
		return longwire.Raw(r.data), nil
	default:
		return longwire.Envelope{Status: r.status, Message: messageFor(r.status), Data: value(r.data)}, nil
	}
}

func messageFor(status string) string {
	if status == longwire.StatusOK {
		return "ok"
	}
	return "simulated"
}

// library is a connection of the library.
type library struct{ c *longwire.Conn }

func (l library) send(ctx context.Context, t longwire.Type, match config.Match, data []byte) error {
	switch match {
	case config.MatchKey:
		return l.c.Ask(ctx, t, value(data), nil)
	case config.MatchType:
		return l.c.AskByType(ctx, t, longwire.Raw(data), nil)
	}
	return l.c.Push(ctx, t, longwire.Raw(data))
}

// failures counts, out of the log of clients, why connections did not come about: it is there
// that the library tells it.
type failures struct{ tally *tally }

func (f failures) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelInfo }
func (f failures) WithAttrs([]slog.Attr) slog.Handler           { return f }
func (f failures) WithGroup(string) slog.Handler                { return f }

func (f failures) Handle(_ context.Context, r slog.Record) error {
	if r.Message != "dialling again" {
		return nil
	}
	r.Attrs(func(a slog.Attr) bool {
		if err, ok := a.Value.Any().(error); ok && a.Key == "error" {
			f.tally.notConnected(err)
		}
		return true
	})
	return nil
}

// whyNotConnected returns the word for why a connection did not come about, "" for the end of one
// that was up.
func whyNotConnected(err error) string {
	if e, ok := errors.AsType[*longwire.RemoteError](err); ok {
		if !status.MatchString(e.Status) {
			return "hello_status_other"
		}
		return "hello_status_" + e.Status
	}
	if _, ok := errors.AsType[*longwire.CloseError](err); ok {
		return ""
	}
	_, dialling := errors.AsType[*net.OpError](err)
	switch {
	case errors.Is(err, syscall.ECONNREFUSED):
		return "refused"
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return "no_free_port"
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return "no_free_descriptor"
	case dialling && (errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)), isTimeout(err) && dialling:
		return "connect_timeout"
	case errors.Is(err, context.DeadlineExceeded):
		return "hello_timeout"
	case dialling:
		return "not_reached"
	}
	return "other"
}

func isTimeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}
