package store_test

import (
	"testing"

	"github.com/longwire/longwire/internal/store"
)

// FuzzKey writes a record of any key that is accepted, and looks for it.
func FuzzKey(f *testing.F) {
	for _, key := range []string{"a", "q/board.7/01j9", "a.b/c", "a/b.c", ".", "./.", "a..b", "-/_/:/.", "A:b_c-d.e", "a//b", "", "/", "a b", "*", "a/>", "é"} {
		f.Add(key)
	}
	l := open(f, store.Config{Dir: f.TempDir(), Logs: []store.LogConfig{{Name: "log", Latest: true}}}).Log("log")
	f.Fuzz(func(t *testing.T, key string) {
		seq, err := l.Append(t.Context(), record(key, key))
		got, errGet := l.Get(t.Context(), key)
		if err != nil {
			if errGet == nil {
				t.Fatalf("key %q is refused by Append and not by Get", key)
			}
			return
		}
		if errGet != nil || got.Key != key || string(got.Data) != key || got.Seq != seq {
			t.Fatalf("key %q: got %+v, %v", key, got, errGet)
		}
		records, err := l.Read(t.Context(), key, seq-1, 0)
		if err != nil || len(records) != 1 || records[0].Key != key {
			t.Fatalf("key %q: read %+v, %v", key, records, err)
		}
	})
}
