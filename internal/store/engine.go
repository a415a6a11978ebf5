package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	startTimeout   = 30 * time.Second // for an engine that has read its files, and one elsewhere
	requestTimeout = 5 * time.Second  // for an answer of the engine to a question
	ackTimeout     = 5 * time.Second  // for that of a server elsewhere to a write

	// maxPayload is the largest message the embedded engine takes.
	maxPayload = 8 << 20
)

// An engine is a connection to JetStream, and the server behind it if that is ours.
type engine struct {
	link
	server *server.Server // nil when it is elsewhere
	nc     *nats.Conn
	js     jetstream.JetStream
	lanes  map[string]*lane // of each log
}

// start starts the engine, or connects to it, and sees that it has a stream for each
// log.
func (s *Store) start(ctx context.Context) (*engine, error) {
	if s.conf.URL == "" {
		return s.startEmbedded(ctx) // which takes as long as there is much to read
	}
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	e, err := s.connect()
	if err != nil {
		return nil, err
	}
	if err := s.prepare(ctx, e); err != nil {
		s.stopEngine(e)
		return nil, err
	}
	return e, nil
}

// startEmbedded starts the server inside of this process.
//
// The server passes over the directory of a log when it cannot make out what stream
// that was. Such a directory is set aside, and the server started again so that it
// makes a new one, which gets the records; then it is started to stay. If it still
// does not know that log, it begins anew.
func (s *Store) startEmbedded(ctx context.Context) (*engine, error) {
	if err := s.writable(); err != nil {
		return nil, err
	}
	if err := s.mend(); err != nil {
		return nil, err
	}
	adopted := map[string]bool{}
	for {
		there := s.streamDirs()
		e, err := s.runServer(ctx)
		if err != nil {
			return nil, err
		}
		hurt, err := e.missing(ctx, there)
		if err == nil && len(hurt) == 0 {
			if err = s.prepare(ctx, e); err == nil {
				return e, nil
			}
		}
		s.stopEngine(e)
		if err == nil {
			err = s.renew(ctx, hurt, adopted)
		}
		if err != nil {
			return nil, err
		}
	}
}

// renew lets the server make new directories for hurt logs, and fills them unless
// that has been tried.
func (s *Store) renew(ctx context.Context, hurt []string, adopted map[string]bool) error {
	aside := map[string]string{}
	for _, log := range hurt {
		var err error
		if aside[log], err = s.setAside(log); err != nil {
			return err
		}
	}
	e, err := s.runServer(ctx)
	if err != nil {
		return err
	}
	err = s.prepare(ctx, e)
	s.stopEngine(e)
	for _, log := range hurt {
		if err == nil && !adopted[log] {
			err = s.adopt(log, aside[log])
		}
		adopted[log] = true
	}
	return err
}

func (s *Store) runServer(ctx context.Context) (*engine, error) {
	logger := &engineLog{to: s.log, fatal: make(chan string, 1), crashed: !s.stoppedWell()}
	defer func() {
		s.noteLost(func(lost *Lost) { lost.Warnings = append(lost.Warnings, logger.end()...) })
	}()
	srv, err := server.NewServer(&server.Options{
		ServerName:             "longwire",
		DontListen:             true,
		NoSigs:                 true, // the process's signals are not the engine's
		JetStream:              true,
		StoreDir:               s.conf.Dir,
		SyncAlways:             true, // an answer means: on the disk
		JetStreamMaxMemory:     1 << 20,
		JetStreamMaxStore:      maxStore,
		JetStreamLimits:        server.JSLimitOpts{DefaultMaxConsumers: 16},
		MaxPayload:             maxPayload,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("store: engine: %w", err)
	}
	srv.SetLoggerV2(logger, false, false, false)
	srv.Start()
	e := &engine{server: srv}
	ready := make(chan bool, 1)
	go func() { ready <- srv.ReadyForConnections(time.Until(deadline(ctx))) }()
	select {
	case why := <-logger.fatal:
		err = errors.New(why)
	case ok := <-ready:
		if !ok {
			err = errors.New("it was not ready in time")
		}
	}
	if err == nil {
		e.nc, err = nats.Connect("", nats.InProcessServer(srv), nats.NoReconnect(), nats.Name("longwire"))
	}
	if err != nil {
		srv.Shutdown()
		srv.WaitForShutdown()
		return nil, fmt.Errorf("store: start the engine in %s: %w", s.conf.Dir, err)
	}
	e.open()
	return e, nil
}

func deadline(ctx context.Context) time.Time {
	if d, ok := ctx.Deadline(); ok {
		return d
	}
	return time.Now().Add(startTimeout)
}

// maxStore is the engine's limit for all logs together, which is none: each has one of its own, and
// a log that was allowed more than it is now must be opened to be made smaller.
const maxStore = math.MaxInt64 / 2

// connect connects to a server elsewhere, and again whenever the connection ends.
// What was not sent by then is not kept for later: those who wait for it are told.
func (s *Store) connect() (*engine, error) {
	e := &engine{}
	e.open()
	options := []nats.Option{
		nats.Name("longwire"),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(250 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 250*time.Millisecond),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(2 * time.Second),
		nats.MaxPingsOutstanding(2),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if up, _ := e.current(); up.Err() != nil {
				return // it was closed
			}
			if err == nil {
				err = errors.New("the connection has ended")
			}
			s.log.Warn("the store's server is away", "err", err)
			e.breakOff(err)
		}),
		nats.ReconnectHandler(func(*nats.Conn) {
			e.open()
			s.log.Info("the store's server is back")
			s.tellRecovered()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			s.log.Warn("the store's server complains", "err", err)
		}),
	}
	if s.conf.Credentials != "" {
		options = append(options, nats.UserCredentials(s.conf.Credentials))
	}
	nc, err := nats.Connect(s.conf.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("%w: connect to %s: %w", ErrUnavailable, s.conf.URL, err)
	}
	e.nc = nc
	return e, nil
}

// prepare sees that the engine has a stream for each log, as the log is configured,
// and what the committing goroutines need.
func (s *Store) prepare(ctx context.Context, e *engine) error {
	var err error
	if e.js, err = jetstream.New(e.nc); err != nil {
		return fmt.Errorf("store: %w", err)
	}
	e.lanes = map[string]*lane{}
	for _, l := range s.conf.Logs {
		if _, err := e.js.CreateOrUpdateStream(ctx, s.streamConfig(l)); err != nil {
			return fmt.Errorf("store: log %s: %w", l.Name, err)
		}
		if e.lanes[l.Name], err = newLane(e); err != nil {
			return fmt.Errorf("store: %w", err)
		}
	}
	return nil
}

func streamName(log string) string { return "longwire_" + log }

func (s *Store) streamConfig(l LogConfig) jetstream.StreamConfig {
	c := jetstream.StreamConfig{
		Name:               streamName(l.Name),
		Subjects:           []string{subjectRoot + l.Name + ".>"},
		Storage:            jetstream.FileStorage,
		Replicas:           s.conf.Replicas,
		MaxAge:             l.MaxAge,
		MaxBytes:           -1,
		MaxMsgsPerSubject:  -1,
		AllowDirect:        true,
		AllowMsgTTL:        true,
		AllowAtomicPublish: true,
	}
	if l.Latest {
		c.MaxMsgsPerSubject = 1
	}
	// Where records are refused, the committing goroutine does that before it asks
	// the engine, which would refuse a whole batch for one of them.
	if l.DropOldest && l.MaxBytes > 0 {
		c.MaxBytes = l.MaxBytes
	}
	return c
}

// stop ends the connection, and the server if it is ours.
func (e *engine) stop() {
	e.breakOff(ErrClosed)
	if e.nc != nil {
		e.nc.Close()
	}
	if e.server != nil {
		e.server.Shutdown()
		e.server.WaitForShutdown()
	}
}
