package store

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

// streamsDir is where the engine keeps a directory for each stream.
func (s *Store) streamsDir() string {
	return filepath.Join(s.conf.Dir, "jetstream", "$G", "streams")
}

func (s *Store) streamDir(log string) string {
	return filepath.Join(s.streamsDir(), streamName(log))
}

// stoppedName is a file that is there while the engine is not running, if it has
// stopped as it should.
const stoppedName = "stopped"

// stoppedWell reports whether the engine has stopped as it should the last time.
func (s *Store) stoppedWell() bool {
	return os.Remove(filepath.Join(s.conf.Dir, stoppedName)) == nil
}

// stopEngine stops it so that this can be known.
func (s *Store) stopEngine(e *engine) {
	_, writes := e.current()
	well := writes.Err() == nil
	e.stop()
	if well && e.server != nil {
		if err := writeFile(filepath.Join(s.conf.Dir, stoppedName), nil); err != nil {
			s.log.Warn("the store cannot note that it was closed", "err", err)
		}
	}
}

// streamDirs returns the names of the logs whose streams have a directory.
func (s *Store) streamDirs() []string {
	var logs []string
	for _, l := range s.conf.Logs {
		if _, err := os.Stat(s.streamDir(l.Name)); err == nil {
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

// setAside renames the directory of a log that the engine does not recognise, which
// is so when the file that describes its stream is hurt. It returns the new name.
func (s *Store) setAside(log string) (string, error) {
	to := s.asideName(log)
	if err := os.Rename(s.streamDir(log), to); err != nil {
		return "", fmt.Errorf("store: set the hurt log %s aside: %w", log, err)
	}
	s.noteLost(func(lost *Lost) { lost.SetAside = append(lost.SetAside, to) })
	return to, nil
}

// adopt moves the records of a log that was set aside into the new directory that
// the engine has made for it meanwhile: what was hurt only said what stream it was.
func (s *Store) adopt(log, aside string) error {
	from, to := filepath.Join(aside, "msgs"), filepath.Join(s.streamDir(log), "msgs")
	if _, err := os.Stat(from); err != nil {
		s.log.Warn("a log was hurt so that it could not be opened, and begins anew; what there was is kept", "log", log, "kept", aside)
		return nil
	}
	if err := os.RemoveAll(to); err != nil {
		return fmt.Errorf("store: log %s: %w", log, err)
	}
	if err := os.Rename(from, to); err != nil {
		return fmt.Errorf("store: log %s: %w", log, err)
	}
	s.log.Warn("what described a log was hurt and was made anew; its records were not", "log", log, "kept", aside)
	return nil
}
