package store_test

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/longwire/longwire/internal/store"
)

// fillUp appends records of a size until one is refused, and returns how many were
// not.
func fillUp(t *testing.T, l *store.Log, prefix string, size int) int {
	t.Helper()
	for i := 0; ; i++ {
		_, err := l.Append(t.Context(), store.Record{Key: fmt.Sprint(prefix, i), Data: make([]byte, size)})
		switch {
		case errors.Is(err, store.ErrFull):
			return i
		case err != nil:
			t.Fatal(err)
		case i > 1000:
			t.Fatal("it takes everything")
		}
	}
}

func TestFullLogRefuses(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "log", MaxBytes: 100_000}, store.LogConfig{Name: "other", MaxBytes: 100_000})
		l := s.Log("log")
		if n := fillUp(t, l, "a", 1000); n < 80 || n > 98 {
			t.Errorf("%d records of 1,000 bytes went into 100,000", n)
		}
		before := s.Stats().Logs[0]
		if before.Bytes > 100_000 || before.Refused != 1 {
			t.Errorf("got %+v", before)
		}
		if _, err := l.Append(t.Context(), store.Record{Key: "a0", Data: make([]byte, 1000)}); !errors.Is(err, store.ErrFull) {
			t.Errorf("got %v", err)
		}
		if after := s.Stats().Logs[0]; after.Records != before.Records || after.Bytes != before.Bytes {
			t.Errorf("a refused record has changed %+v to %+v", before, after)
		}
		appendTo(t, s.Log("other"), record("k", ""))
		if err := l.Delete(t.Context(), "a0", "a1", "a2"); err != nil {
			t.Fatal(err)
		}
		if n := fillUp(t, l, "b", 1000); n < 2 || n > 4 {
			t.Errorf("after 3 were deleted %d went in", n)
		}
	})
}

func TestFullLogDropsOldest(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "log", MaxBytes: 100_000, DropOldest: true})
		for i := range 300 {
			appendTo(t, s.Log("log"), store.Record{Key: fmt.Sprint(i), Data: make([]byte, 1000)})
		}
		st := s.Stats().Logs[0]
		if st.Bytes > 100_000 || st.Records < 80 || st.Last != 300 || st.First != 301-st.Records {
			t.Errorf("got %+v", st)
		}
	})
}

// TestSmallerLog opens a log that may have less than before.
func TestSmallerLog(t *testing.T) {
	dir := t.TempDir()
	for _, size := range []int64{10 << 30, 100_000} {
		s, err := store.Open(t.Context(), store.Config{Dir: dir, Logs: []store.LogConfig{{Name: "log", MaxBytes: size, DropOldest: true}}})
		if err != nil {
			t.Fatal(err)
		}
		for i := range 200 {
			if _, err := s.Log("log").Append(t.Context(), store.Record{Key: fmt.Sprint("k", i), Data: make([]byte, 1000)}); err != nil {
				t.Fatal(err)
			}
		}
		if st := s.Stats().Logs[0]; int64(st.Bytes) > size {
			t.Errorf("%d bytes in a log that may have %d", st.Bytes, size)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullLogReplaces has a log with the latest of each key, in which there must
// always be room to replace what is there.
func TestFullLogReplaces(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "log", Latest: true, MaxBytes: 1_000_000})
		l := s.Log("log")
		n := fillUp(t, l, "k", 10_000)
		if n < 70 || n > 90 {
			t.Errorf("%d records of 10,000 bytes went into 1,000,000", n)
		}
		for range 3 {
			var wg sync.WaitGroup
			for i := range n {
				wg.Go(func() {
					if _, err := l.Append(t.Context(), store.Record{Key: fmt.Sprint("k", i), Data: make([]byte, 10_100)}); err != nil {
						t.Errorf("replacing one: %v", err)
					}
					if _, err := l.Append(t.Context(), store.Record{Key: fmt.Sprint("new", i), Data: make([]byte, 10_000)}); !errors.Is(err, store.ErrFull) {
						t.Errorf("a new one: %v", err)
					}
				})
			}
			wg.Wait()
		}
		// Not even to replace one may it become larger than it may.
		refused := false
		for i := range n {
			_, err := l.Append(t.Context(), store.Record{Key: fmt.Sprint("k", i), Data: make([]byte, 30_000)})
			refused = refused || errors.Is(err, store.ErrFull)
		}
		if st := s.Stats().Logs[0]; !refused || st.Bytes > 1_000_000 || st.Records != uint64(n) {
			t.Errorf("refused: %v, %+v", refused, st)
		}
	})
}

// churnRounds is enough for two files of the engine. The slow tests have more.
var churnRounds = 40

// TestChurn replaces the records of few keys many times, and looks what that leaves
// on the disk.
func TestChurn(t *testing.T) {
	const keys, size = 1000, 200
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir, Logs: []store.LogConfig{{Name: "log", Latest: true}}})
	l := s.Log("log")
	most := int64(0)
	for range churnRounds {
		var wg sync.WaitGroup
		var records []store.Record
		for _, i := range rand.Perm(keys) {
			records = append(records, store.Record{Key: fmt.Sprintf("device/%d", i), Data: make([]byte, size)})
		}
		for part := range 2 {
			wg.Go(func() {
				if _, err := l.Append(t.Context(), records[part*keys/2:(part+1)*keys/2]...); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		most = max(most, sizeOf(t, dir))
	}
	if n := len(readAll(t, l)); n != keys {
		t.Errorf("%d keys are there", n)
	}
	wantBounded(t, s.Stats().Logs[0], most)
}

// TestDeleteChurn appends and deletes as a queue does.
func TestDeleteChurn(t *testing.T) {
	dir := t.TempDir()
	s := open(t, store.Config{Dir: dir, Logs: []store.LogConfig{{Name: "log"}}})
	l := s.Log("log")
	appendTo(t, l, record("stays", ""))
	most := int64(0)
	for i := range 20 {
		var records []store.Record
		var keys []string
		for k := range 500 {
			keys = append(keys, fmt.Sprintf("q/%d/%d", k, i))
			records = append(records, store.Record{Key: keys[k], Data: make([]byte, 2000)})
		}
		appendTo(t, l, records...)
		if err := l.Delete(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		most = max(most, sizeOf(t, dir))
	}
	wantKeys(t, l, "", 0, "stays")
	wantBounded(t, s.Stats().Logs[0], most)
}

// wantBounded fails if a log has taken more of the disk than twice what it holds and
// 12 MiB: a file of the engine is 8 MiB and made smaller when it is over 2 MiB and
// half of it is gone, and a batch is written aside first.
func wantBounded(t *testing.T, st store.LogStats, most int64) {
	t.Helper()
	t.Logf("%d bytes of records have taken up to %d on the disk", st.Bytes, most)
	if most > 2*int64(st.Bytes)+12<<20 {
		t.Errorf("%d bytes of records have taken %d on the disk", st.Bytes, most)
	}
}

// sizeOf returns the bytes of all files in a directory.
func sizeOf(t *testing.T, dir string) int64 {
	t.Helper()
	total := int64(0)
	// Files come and go while this looks.
	filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return nil
		}
		if info, err := d.Info(); err == nil {
			total += info.Size()
		}
		return nil
	})
	return total
}
