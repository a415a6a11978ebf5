package store_test

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/store"
)

func TestSecondOpenIsRefused(t *testing.T) {
	c := store.Config{Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "log"}}}
	s := open(t, c)
	appendTo(t, s.Log("log"), record("k", "first"))
	began, late := time.Now(), lateness()
	_, err := store.Open(t.Context(), c)
	if !errors.Is(err, store.ErrLocked) || !strings.Contains(err.Error(), "stop the other one") {
		t.Errorf("got %v", err)
	}
	if took := time.Since(began); took > time.Second+late() {
		t.Errorf("it took %v to say so", took)
	}
	appendTo(t, s.Log("log"), record("k", "second"))
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if r, err := open(t, c).Log("log").Get(t.Context(), "k"); err != nil || string(r.Data) != "second" {
		t.Errorf("after the first was closed: got %q, %v", r.Data, err)
	}
}

func TestOpenFails(t *testing.T) {
	file := t.TempDir() + "/file"
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]store.Config{
		"nowhere":          {},
		"a file":           {Dir: file},
		"a log's name":     {Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "A"}}},
		"no name":          {Dir: t.TempDir(), Logs: []store.LogConfig{{}}},
		"two of one name":  {Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "a"}, {Name: "a"}}},
		"a negative limit": {Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "a", MaxBytes: -1}}},
	} {
		if s, err := store.Open(t.Context(), c); err == nil {
			t.Errorf("%s: no error", name)
			s.Close()
		}
	}
	if _, err := store.Open(t.Context(), store.Config{URL: "nats://127.0.0.1:1"}); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("a server that is not there: got %v", err)
	}
}

// TestNoPort looks at the sockets of the process while a store is open.
func TestNoPort(t *testing.T) {
	before := sockets(t)
	open(t, store.Config{Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "log"}}})
	if after := sockets(t); after > before {
		t.Errorf("there were %d sockets, and are %d", before, after)
	}
}

func sockets(t *testing.T) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("no /proc to look at")
	}
	n := 0
	for _, entry := range entries {
		if to, _ := os.Readlink("/proc/self/fd/" + entry.Name()); strings.HasPrefix(to, "socket:") {
			n++
		}
	}
	return n
}
