package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/logging"
)

// serve is the command "longwire serve" with its flags. All but the file are settings of the
// configuration; see config.Flag.
type serve struct {
	cmd  *cobra.Command
	file string

	listen         string
	http           string
	data           string
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
	c := config.Default()
	boards := &c.Listeners[0]
	s := &serve{
		maxFrame:     boards.MaxFrame,
		resync:       boards.Resync,
		heartbeat:    c.Heartbeat,
		drainTimeout: c.DrainTimeout,
		logFormat:    word{string(c.Log.Format), []string{"text", "json"}},
		logLevel:     word{string(c.Log.Level), []string{"debug", "info", "warn", "error"}},
		logMaxSize:   c.Log.MaxSize,
		logMaxAge:    c.Log.MaxAge,
		logMaxFiles:  c.Log.MaxFiles,
	}
	s.cmd = &cobra.Command{
		Use:   "serve",
		Short: "Hold the connections of boards, and let programs ask them over HTTP",
		Long: `Serve holds the connections of boards, knows which are connected, and answers their
messages. Other programs ask boards through its HTTP API. SIGINT and SIGTERM let what
is in progress finish and end it, a second one ends it at once; SIGHUP has it read
its configuration again without dropping anybody.

Without a configuration boards connect to 127.0.0.1:10302, programs to
127.0.0.1:10380, and nobody from outside this machine can do either. It listens on
an address that others can reach when the configuration has a login, or with
--allow-anonymous for boards that need none.

Commands for boards that are away, and what happens, are kept in ./longwire-data, or
where --data says, and are there again after a restart or a crash.

Everything that a flag says can stand in the file as well, or in the environment:
LONGWIRE_LISTEN for --listen, LONGWIRE_LOG_FILE for --log-file, and so on; the flag
wins, then the environment, then the file. "longwire config print --defaults" has
all settings.`,
		Example: `  longwire serve
  longwire serve --config /etc/longwire.yaml
  longwire serve --listen :10302 --allow-anonymous --log-format json`,
		Args: arguments(),
		RunE: func(cmd *cobra.Command, _ []string) error { return s.run(cmd.Context()) },
	}
	f := s.cmd.Flags()
	f.SortFlags = false
	f.StringVar(&s.file, "config", "", "`file` with the configuration")
	f.StringVar(&s.listen, "listen", string(boards.Address), "`address` that boards connect to; port 0 takes a free one")
	f.StringVar(&s.http, "http", string(c.HTTP.Address), "`address` of the HTTP API, or off")
	f.StringVar(&s.data, "data", string(c.Data), "`directory` of what is kept, or off")
	f.BoolVar(&s.allowAnonymous, "allow-anonymous", false, "let any board connect that reaches the address")
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
	fallBack(s.cmd, "config")
	completeWord(s.cmd, "log-format", s.logFormat)
	completeWord(s.cmd, "log-level", s.logLevel)
	return s.cmd
}

func (s *serve) run(ctx context.Context) (err error) {
	conf, err := s.load()
	if err != nil {
		return s.explain(err)
	}
	level := new(slog.LevelVar)
	logger, logFile, err := openLog(conf, level, s.cmd.ErrOrStderr())
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, logFile.Close()) }()
	for _, w := range conf.Warnings() {
		logger.Warn("configuration", "problem", w.Error())
	}

	stop, abort, release := untilSignal(ctx)
	defer release()
	// A log that nobody reads any more is no reason to drop connections.
	signal.Ignore(syscall.SIGPIPE)

	p, err := openServing(stop, conf, logger, level, s.load)
	if err != nil {
		return err
	}
	p.announce(s.cmd.OutOrStdout())
	return p.serve(stop, abort)
}

// load reads the configuration: the file, with the environment over it and the flags
// over that.
func (s *serve) load() (*config.Config, error) {
	over := config.Environment(os.Environ())
	s.cmd.Flags().Visit(func(f *pflag.Flag) {
		switch f.Name {
		case "config":
		case "http":
			over = append(over, config.Override{Setting: "http.address", Value: s.http, From: "--http"})
		default:
			over = append(over, config.Flag(f.Name, f.Value.String()))
		}
	})
	return config.Load(s.file, over...)
}

// explain makes an error of load one that the command can end with. Where there are several
// problems it prints a line for each.
func (s *serve) explain(err error) error {
	problems, is := errors.AsType[config.Problems](err)
	switch {
	case !is:
		return err
	case len(problems) == 1 && problems[0].From != "":
		return usagef("%v", problems[0])
	case len(problems) == 1:
		return problems[0]
	}
	for _, p := range problems {
		fmt.Fprintln(s.cmd.ErrOrStderr(), p)
	}
	return errors.New(number(len(problems), "problem") + " with the configuration")
}

// openLog returns what lines are logged to, from the level on.
func openLog(c *config.Config, level *slog.LevelVar, stderr io.Writer) (*slog.Logger, io.Closer, error) {
	setLevel(c, level)
	logger, closer, err := logging.New(logging.Config{
		Level:      level,
		Format:     logging.Format(c.Log.Format),
		File:       c.Log.File,
		MaxSizeMiB: int(c.Log.MaxSize / mib),
		MaxAgeDays: int(time.Duration(c.Log.MaxAge) / day),
		MaxFiles:   int(c.Log.MaxFiles),
		Stderr:     stderr,
	})
	if err != nil {
		return nil, nil, c.Problem("log.file", "cannot log to %s: %v", c.Log.File, innermost(err))
	}
	return logger, closer, nil
}

func setLevel(c *config.Config, level *slog.LevelVar) {
	level.UnmarshalText([]byte(c.Log.Level)) // it is one of slog's words
}
