package store_test

import (
	"errors"
	"net"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// TestServerIsAway takes the server away from under a store, and brings it back.
func TestServerIsAway(t *testing.T) {
	dir := t.TempDir()
	srv := serve(t, dir, -1)
	port := srv.Addr().(*net.TCPAddr).Port
	s := open(t, store.Config{URL: srv.ClientURL(), Logs: []store.LogConfig{{Name: "log"}}})
	w := &writers{log: s.Log("log"), kept: map[string]bool{}}
	w.start(t, 8)
	w.wait(t, func() bool { return len(w.kept) > 20 })

	srv.Shutdown()
	srv.WaitForShutdown()
	w.wait(t, func() bool { return w.refused > 20 })
	if err := w.first(); !errors.Is(err, store.ErrUnavailable) {
		t.Errorf("got %v", err)
	}
	began, late := time.Now(), lateness()
	_, errAppend := w.log.Append(t.Context(), record("k", ""))
	_, errGet := w.log.Get(t.Context(), "k")
	_, errRead := w.log.Read(t.Context(), "", 0, 0)
	for _, err := range []error{errAppend, errGet, errRead, w.log.Delete(t.Context(), "k"), s.Err()} {
		if !errors.Is(err, store.ErrUnavailable) {
			t.Errorf("while the server is away: got %v", err)
		}
	}
	if took := time.Since(began); took > time.Second+late() {
		t.Errorf("it took %v to say so", took)
	}

	serve(t, dir, port)
	began = time.Now()
	select {
	case <-s.Recovered():
		t.Logf("back after %v", time.Since(began))
	case <-time.After(20 * time.Second):
		t.Fatal("nobody was told of the recovery")
	}
	w.mu.Lock()
	before := len(w.kept)
	w.mu.Unlock()
	w.wait(t, func() bool { return len(w.kept) > before+20 })
	w.stop()
	w.check(t)
	if err := s.Err(); err != nil {
		t.Error(err)
	}
}
