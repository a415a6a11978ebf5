package store_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire/internal/store"
)

// smallDisk mounts a file system of so many MiB.
func smallDisk(t *testing.T, mib int) string {
	t.Helper()
	dir := t.TempDir()
	if os.Geteuid() != 0 {
		t.Skip("only root can mount a small file system to fill")
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%dm", mib)); err != nil {
		t.Skipf("a small file system cannot be mounted here: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill takes all but so many bytes of a file system, with a file whose path it
// returns.
func fill(t *testing.T, dir string, leave int64) string {
	t.Helper()
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		t.Fatal(err)
	}
	for n := int64(st.Bavail)*int64(st.Bsize) - leave; n > 0; n -= 4096 {
		if _, err := f.Write(make([]byte, 4096)); err != nil {
			break
		}
	}
	return path
}

// TestDiskFull fills the disk beneath a store that is being written to, and makes
// room again: first so that the store itself keeps off, then to the last byte.
func TestDiskFull(t *testing.T) {
	tests := []struct {
		name    string
		reserve int64
		leave   int64
		writers int
		refused error
	}{
		{"reserve", 4 << 20, 2 << 20, 8, store.ErrFull},
		{"last byte", -1, 0, 1, store.ErrUnavailable},
		{"last byte in a batch", -1, 0, 8, store.ErrUnavailable},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := smallDisk(t, 24)
			s := open(t, store.Config{Dir: filepath.Join(dir, "store"), Reserve: tt.reserve, Logs: []store.LogConfig{{Name: "log"}, {Name: "other"}}})
			w := &writers{log: s.Log("log"), kept: map[string]bool{}}
			w.start(t, tt.writers)
			w.wait(t, func() bool { return len(w.kept) > 100 })

			late := lateness()
			ballast := fill(t, dir, tt.leave)
			w.wait(t, func() bool { return w.refused > 0 })
			if err := w.first(); !errors.Is(err, tt.refused) {
				t.Errorf("got %v, want %v", err, tt.refused)
			}
			slowest := time.Duration(0)
			for range 20 {
				began := time.Now()
				if _, err := w.log.Append(t.Context(), record("k", string(make([]byte, 16<<10)))); !errors.Is(err, tt.refused) {
					t.Fatalf("on a full disk: got %v", err)
				}
				slowest = max(slowest, time.Since(began))
			}
			if late := late(); slowest > 100*time.Millisecond+late || w.slowest() > 250*time.Millisecond+late {
				t.Errorf("a refusal took %v, and %v while the disk became full; goroutines were up to %v late", slowest, w.slowest(), late)
			}
			if err := s.Err(); !errors.Is(err, tt.refused) {
				t.Errorf("Err: got %v", err)
			}
			if r, err := w.log.Get(t.Context(), "one/0/0"); err != nil || string(r.Data) != data("one/0/0") {
				t.Errorf("reading on a full disk: %v", err)
			}
			t.Logf("a refusal took up to %v, and %v while the disk became full", slowest, w.slowest())

			late = lateness()
			if err := os.Remove(ballast); err != nil {
				t.Fatal(err)
			}
			began := time.Now()
			w.mu.Lock()
			before := len(w.kept)
			w.mu.Unlock()
			w.wait(t, func() bool { return len(w.kept) > before })
			if took := time.Since(began); took > 5*time.Second+late() {
				t.Errorf("took %v to accept again", took)
			} else {
				t.Logf("accepted again after %v", took)
			}
			if tt.refused == store.ErrUnavailable {
				select {
				case <-s.Recovered():
				case <-time.After(20 * time.Second):
					t.Error("nobody was told of the recovery")
				}
			}
			w.stop()
			w.check(t)
			if err := s.Err(); err != nil {
				t.Errorf("Err: got %v", err)
			}
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			w.log = open(t, store.Config{Dir: filepath.Join(dir, "store"), Reserve: tt.reserve, Logs: []store.LogConfig{{Name: "log"}, {Name: "other"}}}).Log("log")
			w.check(t)
		})
	}
}
