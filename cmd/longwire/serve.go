package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/logging"
)

// serve is the command "longwire serve" with its flags.
type serve struct {
	cmd *cobra.Command

	listen         string
	allowAnonymous bool
	maxFrame       size
	resync         size
	heartbeat      duration
	drainTimeout   duration

	logFile     string
	logFormat   word
	logLevel    word
	logMaxSize  size
	logMaxAge   duration
	logMaxFiles count
}

func newServe() *cobra.Command {
	s := &serve{
		maxFrame:     frame.DefaultMaxFrame,
		heartbeat:    duration(time.Minute),
		drainTimeout: duration(10 * time.Second),
		logFormat:    word{"text", []string{"text", "json"}},
		logLevel:     word{"info", []string{"debug", "info", "warn", "error"}},
		logMaxSize:   100 * mib,
		logMaxAge:    duration(28 * day),
		logMaxFiles:  7,
	}
	s.cmd = &cobra.Command{
		Use:   "serve",
		Short: "Hold the connections of boards and answer them",
		Long: `Serve listens for connections, answers every message with status "200", and logs
what happens until it receives SIGINT or SIGTERM. It then lets what is in progress
finish; a second signal ends it at once.

It listens on this machine's own address. On an address that others can reach it
starts only with --allow-anonymous, because anybody there could connect.

Every flag may be given by an environment variable instead: LONGWIRE_LISTEN for
--listen, LONGWIRE_LOG_FILE for --log-file, and so on. The flag wins.`,
		Example: `  longwire serve
  longwire serve --log-file /var/log/longwire.log --log-max-files 14
  longwire serve --listen :10302 --allow-anonymous --log-format json`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	f := s.cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.listen, "listen", "127.0.0.1:10302", "`address` to listen on; port 0 takes a free one")
	f.BoolVar(&s.allowAnonymous, "allow-anonymous", false, "let anybody connect who reaches the address")
	f.Var(&s.maxFrame, "max-frame", "largest frame to accept, head to tail")
	f.Var(&s.resync, "resync", "bytes of a connection that may be skipped in search of the next frame, before it is closed; 0 closes it at once")
	f.Var(&s.heartbeat, "heartbeat", "how often to log that all is well, with counts; 0 for never")
	f.Var(&s.drainTimeout, "drain-timeout", "how long what is in progress may take after a signal")
	f.StringVar(&s.logFile, "log-file", "", "`file` to log to; without it the log goes to stderr")
	f.Var(&s.logFormat, "log-format", "how a line looks: text or json")
	f.Var(&s.logLevel, "log-level", "the least that is logged: debug, info, warn or error")
	f.Var(&s.logMaxSize, "log-max-size", "size at which a new log file is begun, in whole MiB")
	f.Var(&s.logMaxAge, "log-max-age", "age at which old log files are deleted, in whole days; 0 for never")
	f.Var(&s.logMaxFiles, "log-max-files", "how many old log files are kept; 0 for all")
	fallBackAll(s.cmd)
	completeWord(s.cmd, "log-format", s.logFormat)
	completeWord(s.cmd, "log-level", s.logLevel)
	return s.cmd
}

func (s *serve) run(ctx context.Context) (err error) {
	if err := s.check(); err != nil {
		return err
	}
	logger, logFile, err := s.logger()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()

	stop, abort, release := untilSignal(ctx)
	defer release()
	// A log that nobody reads any more is no reason to drop connections.
	signal.Ignore(syscall.SIGPIPE)

	l, err := s.open(stop)
	if err != nil {
		return err
	}
	fmt.Fprintf(s.cmd.OutOrStdout(), "longwire: listening on %v\n", l.Addr())
	g, err := gateway.New(&gateway.Config{
		Listeners: []gateway.Listener{{
			Name:           "boards",
			Socket:         l,
			AllowAnonymous: s.allowAnonymous,
			Library:        longwire.Config{MaxFrame: int(s.maxFrame), Resync: int(s.resync)},
		}},
		Heartbeat:    time.Duration(s.heartbeat),
		DrainTimeout: time.Duration(s.drainTimeout),
	}, logger)
	if err != nil {
		return err
	}
	return g.Serve(stop, abort)
}

// check looks at what the types of the flags do not.
func (s *serve) check() error {
	if problem := addressProblem(s.listen, true); problem != "" {
		return usagef("%s: %s", s.name("listen"), problem)
	}
	if err := checkMaxFrame(s.cmd, s.maxFrame); err != nil {
		return err
	}
	switch {
	case s.logMaxSize == 0 || s.logMaxSize%mib != 0:
		return usagef("%s: %v is not a whole number of MiB", s.name("log-max-size"), &s.logMaxSize)
	case time.Duration(s.logMaxAge)%day != 0:
		return usagef("%s: %v is not a whole number of days", s.name("log-max-age"), &s.logMaxAge)
	}
	return nil
}

func (s *serve) logger() (*slog.Logger, io.Closer, error) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(s.logLevel.chosen)); err != nil {
		return nil, nil, err
	}
	logger, closer, err := logging.New(logging.Config{
		Level:      level,
		Format:     logging.Format(s.logFormat.chosen),
		File:       s.logFile,
		MaxSizeMiB: int(s.logMaxSize / mib),
		MaxAgeDays: int(time.Duration(s.logMaxAge) / day),
		MaxFiles:   int(s.logMaxFiles),
		Stderr:     s.cmd.ErrOrStderr(),
	})
	if err != nil {
		return nil, nil, fmt.Errorf("%s: cannot log to %s: %w", s.name("log-file"), s.logFile, innermost(err))
	}
	return logger, closer, nil
}

// open listens.
func (s *serve) open(ctx context.Context) (net.Listener, error) {
	l, err := gateway.Listen(ctx, s.listen, s.allowAnonymous)
	switch {
	case errors.Is(err, gateway.ErrOpen):
		return nil, usagef("%s: others can reach %s, and there is no login yet to keep them out; listen on 127.0.0.1, or let anybody connect with --allow-anonymous (LONGWIRE_ALLOW_ANONYMOUS=true)",
			s.name("listen"), s.listen)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("%s: %s is in use by another program; stop that, or choose another port", s.name("listen"), s.listen)
	case err != nil:
		return nil, fmt.Errorf("%s: cannot listen on %s: %w", s.name("listen"), s.listen, innermost(err))
	}
	return l, nil
}

func (s *serve) name(flag string) string { return setting(s.cmd, flag) }
