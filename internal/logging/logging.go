// Package logging builds the logger of the command: text or JSON lines, to
// stderr or to a file that is rotated by size, with the old files limited by age
// and number.
//
// It is the one package that imports the rotation library.
package logging

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"github.com/DeRuina/timberjack"
)

// A Config says which lines are written, how they look and where they go.
type Config struct {
	Level  slog.Leveler
	Format Format

	// File is the file to append to. Empty means Stderr, and then the fields
	// below have no effect.
	File string

	// MaxSizeMiB is the size at which the file is renamed and a new one begun.
	// Zero means 100 MiB.
	MaxSizeMiB int

	// MaxAgeDays and MaxFiles say which of the renamed files are deleted: those
	// that are older, and the oldest when there are more. Zero means no limit.
	MaxAgeDays, MaxFiles int

	// Stderr receives the lines when there is no file, and those that the file
	// does not take, as on a full disk.
	Stderr io.Writer
}

// Format is how a line looks.
type Format string

const (
	Text Format = "text" // time=… level=… msg=… key=value
	JSON Format = "json" // one object a line
)

// New returns a logger, and what closes its file. The file is opened at once, so
// that a path which cannot be written to is found before anything else begins.
func New(c Config) (*slog.Logger, io.Closer, error) {
	w, closer := c.Stderr, io.Closer(nothing{})
	if c.File != "" {
		path, err := prepare(c.File)
		if err != nil {
			return nil, nil, err
		}
		file := &timberjack.Logger{
			Filename:   path,
			MaxSize:    c.MaxSizeMiB,
			MaxAge:     c.MaxAgeDays,
			MaxBackups: c.MaxFiles,
			FileMode:   fileMode,
			// Old files are counted by their time, so two of one millisecond
			// would count as one.
			BackupTimeFormat: "2006-01-02T15-04-05.000000000",
		}
		w, closer = fallback{file, c.Stderr}, file
	}
	options := &slog.HandlerOptions{Level: c.Level}
	if c.Format == JSON {
		return slog.New(slog.NewJSONHandler(w, options)), closer, nil
	}
	return slog.New(slog.NewTextHandler(w, options)), closer, nil
}

// fileMode keeps what devices say from other users of the machine.
const fileMode fs.FileMode = 0o640

// prepare checks that lines can be appended to the file, creating it when there
// is none, and returns the path that the rotation is to work on. That is not the
// path of a link, which a rotation would rename in place of the file.
func prepare(path string) (string, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, fileMode)
	if err != nil {
		return "", err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return "", err
	case !info.Mode().IsRegular():
		return "", &fs.PathError{Op: "open", Path: path, Err: errNotRegular}
	}
	return filepath.EvalSymlinks(path)
}

var errNotRegular = errors.New("not a regular file, which is the only kind that can be rotated")

// fallback writes to stderr what the file does not take.
type fallback struct {
	file, stderr io.Writer
}

func (f fallback) Write(line []byte) (int, error) {
	n, err := f.file.Write(line)
	if err == nil {
		return n, nil
	}
	fmt.Fprintf(f.stderr, "longwire: the log file does not take a line: %v\n", err)
	return f.stderr.Write(line)
}

// nothing is what there is to close when lines go to stderr.
type nothing struct{}

func (nothing) Close() error { return nil }
