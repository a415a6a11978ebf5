package logging_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/longwire/longwire/internal/logging"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestFormats(t *testing.T) {
	var text, lines bytes.Buffer
	for _, c := range []logging.Config{
		{Format: logging.Text, Stderr: &text},
		{Format: logging.JSON, Stderr: &lines},
	} {
		logger, closer := build(t, c)
		logger.Debug("too fine")
		logger.Info("hello", "size", 5)
		if err := closer.Close(); err != nil {
			t.Error(err)
		}
	}
	if got := text.String(); !strings.HasSuffix(got, " level=INFO msg=hello size=5\n") || strings.Count(got, "\n") != 1 {
		t.Errorf("text: %q", got)
	}
	var line struct {
		Level, Msg string
		Size       int
	}
	if err := json.Unmarshal(lines.Bytes(), &line); err != nil || line.Level != "INFO" || line.Msg != "hello" || line.Size != 5 {
		t.Errorf("json: %q, %v", lines.String(), err)
	}
}

func TestLevel(t *testing.T) {
	var out bytes.Buffer
	logger, _ := build(t, logging.Config{Level: slog.LevelWarn, Stderr: &out})
	logger.Info("not this")
	logger.Warn("this")
	if got := out.String(); strings.Count(got, "\n") != 1 || !strings.Contains(got, "msg=this") {
		t.Errorf("%q", got)
	}
}

func TestFileIsAppendedTo(t *testing.T) {
	path := filepath.Join(t.TempDir(), "longwire.log")
	for _, msg := range []string{"first", "second"} {
		logger, closer := build(t, logging.Config{File: path, Stderr: t.Output()})
		logger.Info(msg)
		if err := closer.Close(); err != nil {
			t.Fatal(err)
		}
	}
	got := read(t, path)
	if strings.Count(got, "\n") != 2 || !strings.Contains(got, "first") || !strings.Contains(got, "second") {
		t.Errorf("%q", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm()&0o007 != 0 {
		t.Errorf("%v, %v: others may read the log", info.Mode(), err)
	}
}

func TestRotationBySize(t *testing.T) {
	const files, lines = 3, 20
	dir := t.TempDir()
	logger, closer := build(t, logging.Config{File: filepath.Join(dir, "longwire.log"), MaxSizeMiB: 1, MaxFiles: files, Stderr: t.Output()})
	long := strings.Repeat("x", 600<<10) // two do not fit into one file
	for range lines {
		logger.Info(long)
	}
	if err := closer.Close(); err != nil {
		t.Fatal(err)
	}
	names := list(t, dir)
	if len(names) != files+1 {
		t.Errorf("%d files are left, want the current one and %d old ones: %q", len(names), files, names)
	}
	for _, name := range names {
		if info, err := os.Stat(filepath.Join(dir, name)); err != nil || info.Size() > 1<<20 {
			t.Errorf("%s has %d bytes, %v", name, info.Size(), err)
		}
	}
}

// A rotation renames the file; had it renamed the link, the lines would go to a
// new file beside the link and the one it names would stay as it was.
func TestFileBehindALink(t *testing.T) {
	dir, elsewhere := t.TempDir(), t.TempDir()
	link := filepath.Join(dir, "longwire.log")
	if err := os.Symlink(filepath.Join(elsewhere, "real.log"), link); err != nil {
		t.Skip(err)
	}
	logger, closer := build(t, logging.Config{File: link, MaxSizeMiB: 1, Stderr: t.Output()})
	for range 2 {
		logger.Info(strings.Repeat("x", 600<<10))
	}
	closer.Close()
	if here, there := list(t, dir), list(t, elsewhere); len(here) != 1 || len(there) != 2 {
		t.Errorf("beside the link: %q; beside the file: %q", here, there)
	}
}

func TestFileThatCannotBeWritten(t *testing.T) {
	dir := t.TempDir()
	for path, want := range map[string]error{
		filepath.Join(dir, "missing", "longwire.log"): fs.ErrNotExist,
		dir:         nil, // differs between systems
		os.DevNull:  nil,
		"\x00\x00.": nil,
	} {
		logger, closer, err := logging.New(logging.Config{File: path, Stderr: io.Discard})
		if err == nil || logger != nil || closer != nil || want != nil && !errors.Is(err, want) {
			t.Errorf("%q: %v, %v, %v", path, logger, closer, err)
		}
	}
	if names := list(t, dir); len(names) != 0 {
		t.Errorf("left behind: %q", names)
	}
}

// What happens must not get lost on a full disk.
func TestLinesThatTheFileDoesNotTakeGoToStderr(t *testing.T) {
	path := filepath.Join(t.TempDir(), "longwire.log")
	var stderr bytes.Buffer
	logger, closer := build(t, logging.Config{File: path, MaxSizeMiB: 1, Stderr: &stderr})
	defer closer.Close()
	logger.Info(strings.Repeat("x", 1<<20)) // no file takes a line over its limit
	if got := stderr.String(); !strings.HasPrefix(got, "longwire: the log file does not take a line: ") || strings.Count(got, "\n") != 2 {
		t.Errorf("%.200q", got)
	}
}

func build(t *testing.T, c logging.Config) (*slog.Logger, io.Closer) {
	t.Helper()
	logger, closer, err := logging.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return logger, closer
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func list(t *testing.T, dir string) (names []string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}
