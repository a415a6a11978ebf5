// Package gateway is the program behind "longwire serve": it holds the
// connections of boards, answers every message with status "200", and logs what
// happens.
//
// It stands on the exported API of package longwire alone.
package gateway

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net"
	"slices"
	"time"

	"github.com/longwire/longwire"
)

// A Gateway serves boards. Every field but Logger may be zero.
type Gateway struct {
	// MaxFrame and Resync are those of [longwire.Config].
	MaxFrame, Resync int

	// Heartbeat is how often a line says that the gateway is alive, with what it
	// has counted. Zero means never.
	Heartbeat time.Duration

	// DrainTimeout is how long Serve, when it is told to stop, waits for what is
	// in progress. Zero means not at all.
	DrainTimeout time.Duration

	// Logger receives a line for every connection, when it begins and ends, for
	// every message, and for every heartbeat.
	Logger *slog.Logger
}

// Serve serves the connections that l accepts, until stop ends, and closes l. It
// then lets what is in progress finish, for at most DrainTimeout or until abort
// ends, and returns nil. An error means that serving could not begin or go on.
func (g *Gateway) Serve(stop, abort context.Context, l net.Listener) error {
	srv := &longwire.Server{
		Handler: longwire.HandlerFunc(g.handle),
		Config:  &longwire.Config{MaxFrame: g.MaxFrame, Resync: g.Resync, Logger: g.Logger},
	}
	defer srv.Close()
	g.Logger.Info("listening", "addr", l.Addr().String())
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()

	var beat <-chan time.Time
	if g.Heartbeat > 0 {
		ticker := time.NewTicker(g.Heartbeat)
		defer ticker.Stop()
		beat = ticker.C
	}
	for {
		select {
		case <-beat:
			g.Logger.Info("alive", counts(srv.Stats())...)
		case err := <-served:
			return err
		case <-stop.Done():
			g.Logger.Info("stopping", "because", context.Cause(stop))
			g.drain(abort, srv)
			<-served
			g.Logger.Info("stopped", counts(srv.Stats())...)
			return nil
		}
	}
}

// errDrainTimeout is why a connection that was still busy has been cut off.
var errDrainTimeout = errors.New("the drain timeout has passed")

// drain ends the connections in good order while there is time, and then at once.
func (g *Gateway) drain(abort context.Context, srv *longwire.Server) {
	ctx, cancel := context.WithTimeoutCause(abort, g.DrainTimeout, errDrainTimeout)
	defer cancel()
	if err := srv.Shutdown(ctx); err != nil {
		g.Logger.Warn("connections were still busy and have been cut off", "because", err)
	}
}

// counts makes what a server has counted into attributes of a log line.
func counts(s longwire.Stats) []any {
	attrs := []any{
		"connections", s.Open, "opened", s.Opened,
		"frames_in", s.FramesIn, "frames_out", s.FramesOut,
		"bytes_in", s.BytesIn, "bytes_out", s.BytesOut,
		"refused", s.Refused, "late_answers", s.LateAnswers,
	}
	var closed []any
	for _, reason := range slices.Sorted(maps.Keys(s.Closed)) {
		closed = append(closed, reason.String(), s.Closed[reason])
	}
	return append(attrs, slog.Group("closed", closed...))
}
