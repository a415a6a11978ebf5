package store_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/longwire/longwire/internal/store"
)

// A specimen is a directory of a store with two logs of as many records each: "log"
// has one block, and "small" several.
type specimen struct {
	dir  string
	logs []store.LogConfig
	last uint64
}

// specimens returns one that was closed, and one as a crash leaves it.
func specimens(t *testing.T) map[string]specimen {
	t.Helper()
	dir := t.TempDir()
	clean := specimen{dir: filepath.Join(dir, "closed"), last: 300, logs: []store.LogConfig{{Name: "log"}, {Name: "small", MaxBytes: 120_000, DropOldest: true}}}
	crashed := clean
	crashed.dir = filepath.Join(dir, "crashed")
	s, err := store.Open(t.Context(), store.Config{Dir: clean.dir, Logs: clean.logs})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range clean.logs {
		for i := uint64(1); i <= clean.last; i += 10 {
			var records []store.Record
			for n := range uint64(10) {
				records = append(records, store.Record{Key: hurtKey(i + n), Data: hurtData(i + n)})
			}
			if i+10 > clean.last { // one by one: what the engine has of a batch is tidied up behind its answer
				for _, r := range records {
					appendTo(t, s.Log(l.Name), r)
				}
				continue
			}
			appendTo(t, s.Log(l.Name), records...)
		}
	}
	if err := os.CopyFS(crashed.dir, os.DirFS(clean.dir)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return map[string]specimen{"closed": clean, "crashed": crashed}
}

func hurtKey(seq uint64) string  { return fmt.Sprintf("k/%d", seq) }
func hurtData(seq uint64) []byte { return fmt.Appendf(nil, "%0200d", seq) }

// open copies the specimen, hurts a file of a log, and opens the copy. It returns
// the numbers of the records that can be read, all of which must be as written.
func (sp specimen) open(t *testing.T, log, file string, hurt func(path string, size int64)) (*store.Store, map[string][]uint64) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "store")
	if err := os.CopyFS(dir, os.DirFS(sp.dir)); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "jetstream", "$G", "streams", "longwire_"+log, file)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	hurt(path, info.Size())
	s := open(t, store.Config{Dir: dir, Logs: sp.logs})
	got := map[string][]uint64{}
	for _, l := range sp.logs {
		for _, r := range readAll(t, s.Log(l.Name)) {
			if r.Key != hurtKey(r.Seq) || string(r.Data) != string(hurtData(r.Seq)) {
				t.Errorf("log %s, number %d: got %q: %q", l.Name, r.Seq, r.Key, r.Data)
			}
			got[l.Name] = append(got[l.Name], r.Seq)
			if one, err := s.Log(l.Name).Get(t.Context(), r.Key); err != nil || one.Seq != r.Seq {
				t.Errorf("log %s: Get(%q) returns number %d, %v", l.Name, r.Key, one.Seq, err)
			}
		}
		appendTo(t, s.Log(l.Name), record("new", ""))
	}
	for name, seqs := range got {
		if name != log && uint64(len(seqs)) != sp.last {
			t.Errorf("log %s, which is not hurt, has %d records of %d", name, len(seqs), sp.last)
		}
	}
	return s, got
}

func readAll(t *testing.T, l *store.Log) []store.Record {
	t.Helper()
	var all []store.Record
	for after := uint64(0); ; after = all[len(all)-1].Seq {
		records, err := l.Read(t.Context(), "", after, 0)
		if err != nil {
			t.Fatal(err)
		}
		if len(records) == 0 {
			return all
		}
		all = append(all, records...)
	}
}

func flipAt(at int64) func(string, int64) {
	return func(path string, size int64) {
		b, err := os.ReadFile(path)
		if err != nil {
			panic(err)
		}
		b[at%size] ^= 0x10
		if err := os.WriteFile(path, b, 0o600); err != nil {
			panic(err)
		}
	}
}

func remove(path string, _ int64) {
	if err := os.Remove(path); err != nil {
		panic(err)
	}
}

func truncate(path string, size int64) {
	if err := os.Truncate(path, size/2); err != nil {
		panic(err)
	}
}

// TestFlippedBits changes a byte of a block, wherever in a record. That record is
// lost, and no other, and the store says so.
func TestFlippedBits(t *testing.T) {
	for name, sp := range specimens(t) {
		for _, log := range []string{"log", "small"} {
			for at := int64(0); at < 12_000; at += 2477 {
				t.Run(fmt.Sprintf("%s/%s/%d", name, log, at), func(t *testing.T) {
					s, got := sp.open(t, log, "msgs/1.blk", flipAt(at))
					if n := uint64(len(got[log])); n != sp.last-1 {
						t.Errorf("%d records of %d are there", n, sp.last)
					}
					lost := s.Stats().Lost.Damage
					if len(lost) != 1 || lost[0].Log != log || lost[0].Records != 1 || lost[0].Blocks != 1 {
						t.Fatalf("it says that it has lost %+v", lost)
					}
					if _, err := os.Stat(filepath.Join(lost[0].Kept, "1.blk")); err != nil {
						t.Error(err)
					}
				})
			}
		}
	}
}

// TestHurtBlocks cuts a block off and takes one away. What other blocks have must be
// there, and where it can be known that something was lost it must be said.
func TestHurtBlocks(t *testing.T) {
	for name, sp := range specimens(t) {
		for _, log := range []string{"log", "small"} {
			t.Run(name+"/cut/"+log, func(t *testing.T) {
				s, got := sp.open(t, log, "msgs/1.blk", truncate)
				lost := s.Stats().Lost
				gone := sp.last - uint64(len(got[log]))
				switch {
				case gone == 0 || gone > sp.last*2/3:
					t.Errorf("%d of %d are gone", gone, sp.last)
				case log == "small" && (len(lost.Damage) != 1 || lost.Damage[0].Records != gone):
					t.Errorf("%d are gone, and it says that it has lost %+v", gone, lost)
				case log == "log" && name == "closed" && len(lost.Warnings) == 0:
					t.Error("it does not say that anything is wrong")
				}
			})
		}
		t.Run(name+"/removed", func(t *testing.T) {
			s, got := sp.open(t, "small", "msgs/2.blk", remove)
			if n := len(got["small"]); n < 100 || n > 299 {
				t.Errorf("%d of %d are there", n, sp.last)
			}
			if name == "closed" && len(s.Stats().Lost.Warnings) == 0 {
				t.Error("it does not say that anything is wrong")
			}
		})
	}
}

// TestHurtIndex hurts files that the records do not need.
func TestHurtIndex(t *testing.T) {
	for name, sp := range specimens(t) {
		for _, file := range []string{"meta.inf", "meta.sum", "msgs/index.db", "msgs/thw.db"} {
			if _, err := fs.Stat(os.DirFS(sp.dir), "jetstream/$G/streams/longwire_log/"+file); err != nil {
				continue // these come into being when a store is closed
			}
			for kind, hurt := range map[string]func(string, int64){"flipped": flipAt(5), "cut": truncate, "removed": remove} {
				t.Run(name+"/"+file+"/"+kind, func(t *testing.T) {
					s, got := sp.open(t, "log", file, hurt)
					if n := uint64(len(got["log"])); n != sp.last {
						t.Errorf("%d records of %d are there", n, sp.last)
					}
					aside := s.Stats().Lost.SetAside
					if want := slices.Contains([]string{"meta.inf", "meta.sum"}, file); want != (len(aside) == 1) {
						t.Errorf("set aside: %q", aside)
					}
				})
			}
		}
	}
}
