package main

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"time"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/store"
)

// openStore opens what a configuration keeps things in. It returns nil where nothing is kept.
func openStore(ctx context.Context, c *config.Config, logger *slog.Logger) (*store.Store, error) {
	if !c.Keeps() {
		return nil, nil
	}
	conf := store.Config{
		Dir:         string(c.Data),
		URL:         string(c.Store.URL),
		Credentials: c.Store.CredentialsFile,
		Replicas:    int(c.Store.Replicas),
		Reserve:     int64(c.Store.Reserve),
		Logs: gateway.Logs(gateway.Sizes{
			Commands: int64(c.Commands.MaxSize),
			Events:   int64(c.Events.MaxSize),
			EventAge: time.Duration(c.Events.MaxAge),
		}),
		Logger: logger,
	}
	if conf.Reserve == 0 { // off
		conf.Reserve = -1
	}
	s, err := store.Open(ctx, conf)
	_, path := errors.AsType[*fs.PathError](err)
	switch {
	case err == nil:
		where := string(c.Data)
		if conf.URL != "" {
			where = c.Store.URL.String()
		}
		logger.Info("data is kept", "in", where)
		return s, nil
	case ctx.Err() != nil:
		return nil, context.Cause(ctx)
	case conf.URL != "":
		return nil, c.Problem("store.url", "cannot keep anything there: %v", err)
	case errors.Is(err, store.ErrLocked):
		return nil, c.Problem("data", "another gateway keeps its data in %s; stop that, or give this one a directory of its own", c.Data)
	case path:
		return nil, c.Problem("data", "cannot keep anything in %s: %v; name a directory that this user may write to, or off to keep nothing", c.Data, innermost(err))
	}
	return nil, c.Problem("data", "cannot open what is kept in %s: %v", c.Data, err)
}
