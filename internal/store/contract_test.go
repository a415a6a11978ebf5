package store_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"github.com/longwire/longwire/internal/store"
)

// every runs a test over both engines: the embedded one, and a server elsewhere.
func every(t *testing.T, test func(t *testing.T, open func(...store.LogConfig) *store.Store)) {
	t.Run("embedded", func(t *testing.T) {
		test(t, func(logs ...store.LogConfig) *store.Store {
			return open(t, store.Config{Dir: t.TempDir(), Logs: logs})
		})
	})
	t.Run("remote", func(t *testing.T) {
		test(t, func(logs ...store.LogConfig) *store.Store {
			srv := serve(t, t.TempDir(), -1)
			return open(t, store.Config{URL: srv.ClientURL(), Logs: logs})
		})
	})
}

// open opens a store that is closed at the end of the test.
func open(t testing.TB, c store.Config) *store.Store {
	t.Helper()
	if c.Logger == nil {
		c.Logger = logger(t)
	}
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serve starts a server like those of others, at a port or, for -1, any.
func serve(t testing.TB, dir string, port int) *server.Server {
	t.Helper()
	srv, err := server.NewServer(&server.Options{
		Host: "127.0.0.1", Port: port, NoLog: true, NoSigs: true,
		JetStream: true, StoreDir: dir, SyncAlways: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the server is not ready")
	}
	t.Cleanup(func() { srv.Shutdown(); srv.WaitForShutdown() })
	return srv
}

func record(key, data string) store.Record { return store.Record{Key: key, Data: []byte(data)} }

func appendTo(t testing.TB, l *store.Log, records ...store.Record) uint64 {
	t.Helper()
	seq, err := l.Append(t.Context(), records...)
	if err != nil {
		t.Fatal(err)
	}
	return seq
}

// wantKeys fails unless Read returns records of these keys.
func wantKeys(t testing.TB, l *store.Log, filter string, after uint64, keys ...string) []store.Record {
	t.Helper()
	records, err := l.Read(t.Context(), filter, after, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, r := range records {
		got = append(got, r.Key)
	}
	if strings.Join(got, " ") != strings.Join(keys, " ") {
		t.Errorf("Read(%q, %d): got %q, want %q", filter, after, got, keys)
	}
	return records
}

func TestAppendIsRead(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		l := open(store.LogConfig{Name: "commands"}).Log("commands")
		began := time.Now()
		if seq := appendTo(t, l, record("q/board.7/1", "one")); seq != 1 {
			t.Errorf("the first record has number %d", seq)
		}
		if seq := appendTo(t, l, record("q/board.7/2", "two"), record("q/b:8/1", ""), record("x", "four")); seq != 4 {
			t.Errorf("the last of the next three has number %d", seq)
		}
		all := wantKeys(t, l, "", 0, "q/board.7/1", "q/board.7/2", "q/b:8/1", "x")
		for i, r := range all {
			if r.Seq != uint64(i+1) || r.At.Before(began.Add(-time.Second)) || r.At.After(time.Now().Add(time.Second)) {
				t.Errorf("record %d has number %d and time %v", i, r.Seq, r.At)
			}
		}
		if string(all[1].Data) != "two" || len(all[2].Data) != 0 {
			t.Errorf("got data %q and %q", all[1].Data, all[2].Data)
		}
		wantKeys(t, l, ">", 2, "q/b:8/1", "x")
		wantKeys(t, l, "q/*/*", 0, "q/board.7/1", "q/board.7/2", "q/b:8/1")
		wantKeys(t, l, "q/board.7/*", 1, "q/board.7/2")
		wantKeys(t, l, "q/>", 2, "q/b:8/1")
		wantKeys(t, l, "*", 0, "x")
		wantKeys(t, l, "q/*", 0)
		wantKeys(t, l, "", 4)
		if records, err := l.Read(t.Context(), "", 0, 2); err != nil || len(records) != 2 {
			t.Errorf("with a limit of 2: got %d records, %v", len(records), err)
		}
	})
}

func TestGetReturnsTheLatest(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "all"}, store.LogConfig{Name: "latest", Latest: true})
		for _, name := range []string{"all", "latest"} {
			l := s.Log(name)
			if _, err := l.Get(t.Context(), "a/b"); !errors.Is(err, store.ErrNotFound) {
				t.Errorf("a key without a record: got %v", err)
			}
			for i := range 5 {
				appendTo(t, l, record("a/b", fmt.Sprint(i)), record("a.b", "another"))
				r, err := l.Get(t.Context(), "a/b")
				if err != nil || string(r.Data) != fmt.Sprint(i) || r.Key != "a/b" {
					t.Errorf("after writing %d: got %+v, %v", i, r, err)
				}
			}
		}
		wantKeys(t, s.Log("latest"), "", 0, "a/b", "a.b")
		wantKeys(t, s.Log("all"), "a/b", 0, "a/b", "a/b", "a/b", "a/b", "a/b")
	})
}

func TestDelete(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		l := open(store.LogConfig{Name: "log"}).Log("log")
		var keys []string
		for i := range 600 {
			keys = append(keys, fmt.Sprintf("k/%d", i))
			if !l.Submit(nil, record(keys[i], "1"), record(keys[i], "2")) {
				t.Fatal("not taken")
			}
		}
		appendTo(t, l, record("stays", ""))
		if err := l.Delete(t.Context(), keys...); err != nil {
			t.Fatal(err)
		}
		wantKeys(t, l, "", 0, "stays")
		if err := l.Delete(t.Context(), "was/never/there"); err != nil {
			t.Error(err)
		}
		if last, err := l.Last(t.Context()); err != nil || last != 1201 {
			t.Errorf("the last number is %d, %v", last, err)
		}
	})
}

func TestWait(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		l := open(store.LogConfig{Name: "log"}).Log("log")
		for i := range uint64(3) {
			waited := make(chan error, 1)
			go func() { waited <- l.Wait(t.Context(), i) }()
			appendTo(t, l, record("k", ""))
			if err := <-waited; err != nil {
				t.Error(err)
			}
			if err := l.Wait(t.Context(), i); err != nil {
				t.Error(err)
			}
		}
		if err := l.Delete(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := l.Wait(ctx, 0); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("where all was deleted: got %v", err)
		}
	})
}

func TestSettle(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		l := open(store.LogConfig{Name: "log"}).Log("log")
		held, release := make(chan struct{}), make(chan struct{})
		l.Submit(func(uint64, error) {
			close(held)
			<-release
		}, record("k", "first"))
		<-held
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		l.Submit(nil, record("k", "second"))
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if err := l.Settle(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("while a record waits: got %v", err)
		}
		close(release)
		if err := l.Settle(t.Context()); err != nil {
			t.Error(err)
		}
		if r, err := l.Get(t.Context(), "k"); err != nil || string(r.Data) != "second" {
			t.Errorf("got %q, %v", r.Data, err)
		}
	})
}

func TestTTL(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		l := open(store.LogConfig{Name: "log"}).Log("log")
		soon := store.Record{Key: "soon", TTL: 5 * time.Second}
		late := store.Record{Key: "late", TTL: time.Hour}
		appendTo(t, l, soon, late)
		appendTo(t, l, soon)
		wantKeys(t, l, "", 0, "soon", "late", "soon")
		for deadline := time.Now().Add(20 * time.Second); ; {
			_, err := l.Get(t.Context(), "soon")
			if errors.Is(err, store.ErrNotFound) {
				break
			}
			if err != nil || time.Now().After(deadline) {
				t.Fatalf("a record outlives its time: %v", err)
			}
		}
		wantKeys(t, l, "", 0, "late")
		if _, err := l.Append(t.Context(), store.Record{Key: "k", TTL: time.Millisecond}); err == nil {
			t.Error("a TTL under a second was accepted")
		}
	})
}

func TestRefused(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "log"})
		l := s.Log("log")
		for _, key := range []string{"", "/", "a//b", "a/", "/a", "a b", "a/*", ">", "ä", "a\n", strings.Repeat("a", 129), strings.Repeat("aaaaaaaaa/", 110) + "a"} {
			if _, err := l.Append(t.Context(), record(key, "")); err == nil {
				t.Errorf("key %.20q was accepted", key)
			}
			if _, err := l.Get(t.Context(), key); err == nil || errors.Is(err, store.ErrNotFound) {
				t.Errorf("Get of key %.20q: %v", key, err)
			}
		}
		for _, filter := range []string{"a//b", "a/", ">/a", "a*", " "} {
			if _, err := l.Read(t.Context(), filter, 0, 0); err == nil {
				t.Errorf("filter %q was accepted", filter)
			}
		}
		for name, records := range map[string][]store.Record{
			"many":  make([]store.Record, 501),
			"large": {{Key: "k", Data: make([]byte, 9<<20)}},
			"much":  {{Key: "k", Data: make([]byte, 1<<19)}},
		} {
			for len(records) < 40 && name == "much" {
				records = append(records, records[0])
			}
			if _, err := l.Append(t.Context(), records...); !errors.Is(err, store.ErrTooLarge) {
				t.Errorf("%s: got %v", name, err)
			}
		}
		if _, err := l.Append(t.Context()); err == nil {
			t.Error("no records were accepted")
		}
		wantKeys(t, l, "", 0)
		if s.Log("other") != nil {
			t.Error("a log that was not configured is there")
		}
	})
}

// TestManyAppend has many write at once, some of them several records, and looks
// whether each was told the truth.
func TestManyAppend(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "log"})
		l := s.Log("log")
		const writers, rounds = 32, 20
		var mu sync.Mutex
		want := map[uint64]string{}
		var wg sync.WaitGroup
		for w := range writers {
			wg.Go(func() {
				for i := range rounds {
					var records []store.Record
					for n := range w%4*w/2 + 1 {
						records = append(records, record(fmt.Sprintf("w/%d/%d/%d", w, i, n), strings.Repeat("x", w)))
					}
					seq, err := l.Append(t.Context(), records...)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					for n, r := range records {
						want[seq-uint64(len(records)-1-n)] = r.Key
					}
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		got := map[uint64]string{}
		for after := uint64(0); ; {
			records, err := l.Read(t.Context(), "", after, 0)
			if err != nil {
				t.Fatal(err)
			}
			if len(records) == 0 {
				break
			}
			for _, r := range records {
				got[r.Seq], after = r.Key, r.Seq
			}
		}
		if len(got) != len(want) {
			t.Errorf("got %d records, want %d", len(got), len(want))
		}
		for seq, key := range want {
			if got[seq] != key {
				t.Fatalf("record %d is %q, want %q", seq, got[seq], key)
			}
		}
		st := s.Stats().Logs[0]
		if st.Committed != uint64(len(want)) || st.Records != st.Committed || st.Keys != st.Records || st.Last != st.Records || st.Commits >= writers*rounds {
			t.Errorf("got %+v", st)
		}
	})
}

func TestLargeRecord(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "log"}}})
	l := s.Log("log")
	data := bytes.Repeat([]byte("0123456789abcdef"), 7<<20/16)
	appendTo(t, l, store.Record{Key: "large", Data: data})
	appendTo(t, l, store.Record{Key: "large", Data: data}, record("small", ""))
	for _, after := range []uint64{0, 1} {
		records, err := l.Read(t.Context(), "", after, 0)
		if err != nil || len(records) != 1 || !bytes.Equal(records[0].Data, data) {
			t.Errorf("behind %d: %d records, %v", after, len(records), err)
		}
	}
}

func TestClosed(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		s := open(store.LogConfig{Name: "log"})
		l := s.Log("log")
		written := make(chan error, 100)
		for range cap(written) {
			if !l.Submit(func(_ uint64, err error) { written <- err }, record("k", "")) {
				t.Fatal("not taken")
			}
		}
		waited := make(chan error)
		go func() { waited <- l.Wait(t.Context(), 1000) }()
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		for range cap(written) {
			if err := <-written; err != nil {
				t.Errorf("what was submitted before: got %v", err)
			}
		}
		if err := <-waited; !errors.Is(err, store.ErrClosed) {
			t.Errorf("Wait: got %v", err)
		}
		_, errAppend := l.Append(t.Context(), record("k", ""))
		_, errGet := l.Get(t.Context(), "k")
		_, errRead := l.Read(t.Context(), "", 0, 0)
		for _, err := range []error{errAppend, errGet, errRead, l.Delete(t.Context(), "k"), s.Err()} {
			if !errors.Is(err, store.ErrClosed) {
				t.Errorf("after Close: got %v", err)
			}
		}
		s.Stats()
	})
}
