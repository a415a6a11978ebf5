package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/store"
)

// writers append records and remember which were acknowledged.
type writers struct {
	log  *store.Log
	wg   sync.WaitGroup
	end  context.CancelFunc
	mu   sync.Mutex
	kept map[string]bool

	refused int
	err     error // the first refusal
	longest time.Duration
}

func (w *writers) start(t *testing.T, n int) {
	ctx, cancel := context.WithCancel(t.Context())
	w.end = cancel
	t.Cleanup(w.stop)
	for i := range n {
		w.wg.Go(func() {
			for k := 0; ctx.Err() == nil; k++ {
				// One record alone is written in another way than several.
				key := fmt.Sprintf("one/%d/%d", i, k)
				records := []store.Record{record(key, data(key))}
				if i%2 == 1 {
					key = fmt.Sprintf("two/%d/%d", i, k)
					records = []store.Record{record(key, data(key)), record(key+"/more", data(key))}
				}
				began := time.Now()
				_, err := w.log.Append(ctx, records...)
				took := time.Since(began)
				w.mu.Lock()
				switch {
				case err == nil:
					w.kept[key] = true
				case ctx.Err() == nil:
					w.refused++
					w.longest = max(w.longest, took)
					if w.err == nil {
						w.err = err
					}
				}
				w.mu.Unlock()
				// No faster than this, or the test's own records fill the disk.
				select {
				case <-ctx.Done():
				case <-time.After(5 * time.Millisecond):
				}
			}
		})
	}
}

func data(key string) string { return fmt.Sprintf("%s %0512d", key, len(key)) }

func (w *writers) stop() { w.end(); w.wg.Wait() }

func (w *writers) first() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *writers) slowest() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.longest
}

// wait waits until something holds, which is called with the lock held.
func (w *writers) wait(t *testing.T, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); ; time.Sleep(time.Millisecond) {
		w.mu.Lock()
		ok := holds()
		w.mu.Unlock()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not come to that")
		}
	}
}

// check looks for every record that was acknowledged.
func (w *writers) check(t *testing.T) {
	t.Helper()
	missing := 0
	for key := range w.kept {
		r, err := w.log.Get(t.Context(), key)
		if err != nil || string(r.Data) != data(key) {
			missing++
		}
	}
	// Also of those that were refused or in doubt, both records are there or none.
	there := map[string]bool{}
	for _, r := range readAll(t, w.log) {
		there[r.Key] = true
	}
	for key := range there {
		if !strings.HasPrefix(key, "two/") {
			continue
		}
		if first, more := strings.CutSuffix(key, "/more"); more && !there[first] || !more && !there[key+"/more"] {
			t.Errorf("of the two records of one Append only %s is there", key)
		}
	}
	if missing > 0 {
		t.Errorf("%d of %d acknowledged records are not there", missing, len(w.kept))
	}
}
