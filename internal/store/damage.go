package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// streamsDir is where the engine keeps a directory for each stream.
func (s *Store) streamsDir() string {
	return filepath.Join(s.conf.Dir, "jetstream", "$G", "streams")
}

// streamDirs returns the names of the logs whose streams have a directory.
func (s *Store) streamDirs() []string {
	var logs []string
	for _, l := range s.conf.Logs {
		if _, err := os.Stat(filepath.Join(s.streamsDir(), streamName(l.Name))); err == nil {
			logs = append(logs, l.Name)
		}
	}
	return logs
}

// missing returns which of the logs the engine has no stream for.
func (e *engine) missing(ctx context.Context, logs []string) ([]string, error) {
	var missing []string
	for _, log := range logs {
		_, err := e.streamInfo(ctx, log)
		if isNotFound(err) {
			missing = append(missing, log)
		} else if err != nil {
			return nil, fmt.Errorf("store: log %s: %w", log, err)
		}
	}
	return missing, nil
}

// setAside renames the directory of a log that the engine does not recognise, so
// that the log can begin anew and nothing is deleted.
func (s *Store) setAside(log string) error {
	from := filepath.Join(s.streamsDir(), streamName(log))
	to := filepath.Join(s.conf.Dir, fmt.Sprintf("hurt-%s-%s", log, time.Now().UTC().Format("20060102T150405.000")))
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store: set the hurt log %s aside: %w", log, err)
	}
	s.lost.SetAside = append(s.lost.SetAside, to)
	s.log.Warn("a log is hurt so that it cannot be opened, and begins anew; its files were set aside", "log", log, "dir", to)
	return nil
}
