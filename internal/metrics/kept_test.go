package metrics_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

func TestMetricsOfWhatIsKept(t *testing.T) {
	taken := make(chan struct{}, 1)
	service := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		select {
		case taken <- struct{}{}:
		default:
		}
	}))
	t.Cleanup(service.Close)
	kept, err := store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "data"), Logs: gateway.Logs(gateway.Sizes{})})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { kept.Close() })
	g, h, network := serveWith(t, &gateway.Config{
		Store:    kept,
		Commands: gateway.Commands{Unknown: true},
		Deliver:  gateway.Delivery{Service: gateway.Service{URL: service.URL}},
	})
	first := scrape(t, h)
	q, err := g.Commands()
	if err != nil {
		t.Fatal(err)
	}
	put := func(id string) *queue.Command {
		results, err := g.Command(t.Context(), gateway.Target{IDs: []string{id}}, queue.Request{Type: 16, Match: "key"})
		if err != nil || results[0].Err != nil {
			t.Fatal(err, results)
		}
		return results[0].Command
	}
	c := put("canary-a")
	put("canary-b")
	board(t, network, longwire.Hello{ID: "canary-a"}, func(context.Context, *longwire.Message) (any, error) { return nil, nil })
	if got, err := q.Wait(t.Context(), "canary-a", c.ID); err != nil || got.State != queue.Done {
		t.Fatal(got, err)
	}
	for delivering := false; !delivering; { // which begins at some time after the start
		put("canary-b")
		select {
		case <-taken:
			delivering = true
		case <-time.After(100 * time.Millisecond):
		}
	}
	got := scrape(t, h)
	n := value(t, got, "longwire_commands_waiting") // those of canary-b
	for name, want := range map[string]float64{
		"longwire_commands_waiting_devices": 1, "longwire_commands_in_flight": 0,
		"longwire_commands_put_total": n + 1, "longwire_command_attempts_total": 1, "longwire_store_up": 1, "longwire_events_not_kept_total": 0,
		"longwire_store_lost_records": 0, "longwire_store_set_aside_logs": 0, "longwire_delivery_failed_attempts_total": 0,
	} {
		if v := value(t, got, name); v != want {
			t.Errorf("%s is %v, want %v", name, v, want)
		}
	}
	for _, name := range []string{"longwire_commands_waiting_bytes", "longwire_store_free_bytes"} {
		if v := value(t, got, name); v <= 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for _, name := range []string{"records", "bytes", "commits_total", "committed_records_total", "commit_seconds_total", "commit_seconds_max"} {
		if v := value(t, got, "longwire_store_"+name, "log=commands"); v <= 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for _, name := range []string{"refused_records_total", "failed_records_total", "damaged_records_total", "queued_bytes"} {
		if v := value(t, got, "longwire_store_"+name, "log=commands"); v != 0 {
			t.Errorf("%s is %v", name, v)
		}
	}
	for state, want := range map[string]float64{"done": 1, "failed": 0, "expired": 0, "dead": 0, "cancelled": 0} {
		if v := value(t, got, "longwire_commands_ended_total", "state="+state); v != want {
			t.Errorf("%s: %v, want %v", state, v, want)
		}
	}
	for _, series := range []string{"outcome=delivered", "outcome=refused", "outcome=gone"} {
		value(t, got, "longwire_delivery_events_total", series)
	}
	value(t, got, "longwire_delivery_ahead")
	// Whoever the commands are for, there are no more series.
	for name, f := range got {
		if before := first[name]; before == nil || len(before.Metric) != len(f.Metric) {
			t.Errorf("%s has become more", name)
		}
	}
}

func TestMetricsWhereNothingIsKept(t *testing.T) {
	_, h, _ := serve(t)
	for name := range scrape(t, h) {
		if strings.HasPrefix(name, "longwire_store") || strings.HasPrefix(name, "longwire_command") {
			t.Errorf("there is %s", name)
		}
	}
}
