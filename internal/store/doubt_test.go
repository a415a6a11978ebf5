package store_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/longwire/longwire/internal/store"
)

// TestInnocentRecords has the engine refuse a record among others that are written
// with it: only that one may fail.
func TestInnocentRecords(t *testing.T) {
	srv := serve(t, t.TempDir(), -1)
	s := open(t, store.Config{URL: srv.ClientURL(), Logs: []store.LogConfig{{Name: "log"}}})
	nc, err := nats.Connect(srv.ClientURL())
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	stream, err := js.Stream(t.Context(), "longwire_log")
	if err != nil {
		t.Fatal(err)
	}
	config := stream.CachedInfo().Config
	config.MaxMsgSize = 1000
	if _, err := js.UpdateStream(t.Context(), config); err != nil {
		t.Fatal(err)
	}
	l := s.Log("log")
	const n = 300
	var wg sync.WaitGroup
	for i := range n {
		wg.Add(1)
		data := make([]byte, 10)
		if i%50 == 7 {
			data = make([]byte, 2000)
		}
		if !l.Submit(func(_ uint64, err error) {
			defer wg.Done()
			if (err != nil) != (len(data) > 1000) {
				t.Errorf("a record of %d bytes: %v", len(data), err)
			}
		}, store.Record{Key: fmt.Sprint(i), Data: data}) {
			t.Fatal("not taken")
		}
	}
	wg.Wait()
	if st := s.Stats().Logs[0]; st.Records != n-n/50 {
		t.Errorf("got %+v", st)
	}
}

// TestQueueIsBounded submits more than the disk takes.
func TestQueueIsBounded(t *testing.T) {
	s := open(t, store.Config{Dir: t.TempDir(), Logs: []store.LogConfig{{Name: "log"}}})
	l := s.Log("log")
	mib := store.Record{Key: "k", Data: make([]byte, 1<<20)}
	taken := 0
	for l.Submit(nil, mib) {
		if taken++; taken > 1000 {
			t.Fatal("everything is taken")
		}
	}
	if q := s.Stats().Logs[0].Queued; q > 16<<20 {
		t.Errorf("%d bytes wait", q)
	}
	appendTo(t, l, mib) // waits for room
	for !l.Submit(nil, mib) {
		appendTo(t, l, record("small", ""))
	}
}

// TestContextEnds has Append return when its context ends, wherever it is.
func TestContextEnds(t *testing.T) {
	every(t, func(t *testing.T, open func(...store.LogConfig) *store.Store) {
		l := open(store.LogConfig{Name: "log"}).Log("log")
		for l.Submit(nil, store.Record{Key: "k", Data: make([]byte, 500_000)}) {
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		began, late := time.Now(), lateness()
		for _, size := range []int{1, 500_000} {
			if _, err := l.Append(ctx, store.Record{Key: "k", Data: make([]byte, size)}); !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		_, errGet := l.Get(ctx, "k")
		_, errRead := l.Read(ctx, "", 0, 0)
		for _, err := range []error{errGet, errRead, l.Wait(ctx, 1000)} {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
		}
		if took := time.Since(began); took > time.Second+late() {
			t.Errorf("it took %v", took)
		}
	})
}

// TestDamageWhileOpen changes bytes of a record that the engine's own checksum does
// not cover, after it was looked at.
func TestDamageWhileOpen(t *testing.T) {
	sp := specimens(t)["closed"]
	s := open(t, store.Config{Dir: sp.dir, Logs: sp.logs})
	path := filepath.Join(sp.dir, "jetstream", "$G", "streams", "longwire_small", "msgs", "1.blk")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[22+len("longwire.small."+hurtKey(1))]++ // the length of the first record's headers
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	records := readAll(t, s.Log("small"))
	for _, r := range records {
		if r.Key != hurtKey(r.Seq) || string(r.Data) != string(hurtData(r.Seq)) {
			t.Errorf("number %d: got %q: %q", r.Seq, r.Key, r.Data)
		}
	}
	if n := uint64(len(records)); n != sp.last-1 {
		t.Errorf("%d records of %d are there", n, sp.last)
	}
	if n := s.Stats().Logs[1].Damaged; n != 1 {
		t.Errorf("%d damaged records were counted", n)
	}
}
