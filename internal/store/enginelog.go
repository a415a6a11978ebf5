package store

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
)

// An engineLog passes on what the engine says. What it notices in passing is for
// debugging here, and so are its warnings when it starts behind a crash: that its
// index is older than its records is then as it must be.
type engineLog struct {
	to      *slog.Logger
	fatal   chan string
	crashed bool

	mu       sync.Mutex
	ready    bool     // it has started
	warnings []string // until then
}

const maxWarnings = 20 // that are remembered

func (l *engineLog) say(level slog.Level, format string, v []any) {
	text := strings.TrimSpace(fmt.Sprintf(format, v...))
	l.mu.Lock()
	defer l.mu.Unlock()
	if level == slog.LevelWarn && !l.ready && l.crashed {
		level = slog.LevelDebug
	}
	l.to.Log(context.Background(), level, "the store's engine: "+text)
	if level >= slog.LevelWarn && !l.ready && len(l.warnings) < maxWarnings {
		l.warnings = append(l.warnings, text)
	}
}

// end returns the warnings of the start.
func (l *engineLog) end() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ready = true
	return l.warnings
}

func (l *engineLog) Noticef(format string, v ...any) { l.say(slog.LevelDebug, format, v) }
func (l *engineLog) Warnf(format string, v ...any)   { l.say(slog.LevelWarn, format, v) }
func (l *engineLog) Errorf(format string, v ...any)  { l.say(slog.LevelError, format, v) }
func (l *engineLog) Debugf(string, ...any)           {}
func (l *engineLog) Tracef(string, ...any)           {}

// Fatalf is called when the engine cannot start. Its own loggers would end the
// process.
func (l *engineLog) Fatalf(format string, v ...any) {
	l.say(slog.LevelError, format, v)
	select {
	case l.fatal <- fmt.Sprintf(format, v...):
	default:
	}
}
