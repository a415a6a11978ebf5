package metrics_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/metrics"
	"github.com/longwire/longwire/longwiretest"
)

// scrape returns what Prometheus would read.
func scrape(t *testing.T, h http.Handler) map[string]*dto.MetricFamily {
	t.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(w.Body)
	if err != nil || w.Code != 200 {
		t.Fatalf("%d, %v", w.Code, err)
	}
	return families
}

// value returns the value of the series with these labels, as in "listener=boards".
func value(t *testing.T, families map[string]*dto.MetricFamily, name string, labels ...string) float64 {
	t.Helper()
	f := families[name]
	if f == nil {
		t.Fatalf("there is no %s", name)
	}
	for _, m := range f.Metric {
		if slices.Equal(pairs(m), labels) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	t.Fatalf("%s has no %v", name, labels)
	return 0
}

func pairs(m *dto.Metric) (labels []string) {
	for _, l := range m.Label {
		labels = append(labels, l.GetName()+"="+l.GetValue())
	}
	slices.Sort(labels)
	return labels
}

// serve serves a gateway until the test ends.
func serve(t *testing.T) (g *gateway.Gateway, h http.Handler, network *longwiretest.Network) {
	t.Helper()
	return serveWith(t, &gateway.Config{})
}

// serveWith is serve with a configuration.
func serveWith(t *testing.T, conf *gateway.Config) (g *gateway.Gateway, h http.Handler, network *longwiretest.Network) {
	t.Helper()
	network = new(longwiretest.Network)
	l, err := network.Listen("boards")
	if err != nil {
		t.Fatal(err)
	}
	conf.Listeners = []gateway.Listener{{Name: "hall", Socket: l}}
	if g, err = gateway.New(conf, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	h = metrics.New(g)
	ctx, cancel := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- g.Serve(ctx, ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return g, h, network
}

func board(t *testing.T, network *longwiretest.Network, hello longwire.Hello, h longwire.HandlerFunc) *longwire.Conn {
	t.Helper()
	c, err := (&longwire.Client{Addr: "boards", DialContext: network.DialContext, Hello: &hello, Handler: h}).Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestMetrics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, h, network := serve(t)
		c := board(t, network, longwire.Hello{ID: "a"}, func(_ context.Context, m *longwire.Message) (any, error) {
			switch m.Type {
			case 2:
				return longwire.NoAnswer, nil
			case 3:
				return nil, longwire.Errorf("500", "broken")
			}
			return nil, nil
		})
		ask := func(id string, kind longwire.Type) {
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			defer cancel()
			g.Ask(ctx, id, gateway.Question{Type: kind})
		}
		ask("a", 1)
		ask("a", 2)
		ask("a", 3)
		ask("a", 0xFF00)
		ask("nobody", 1) // no question was asked
		got := scrape(t, h)
		for name, want := range map[string]float64{
			"longwire_devices": 1, "longwire_devices_online": 1, "longwire_forward_failed_total": 0,
		} {
			if v := value(t, got, name); v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		for name, want := range map[string]float64{
			"longwire_connections": 1, "longwire_connections_opened_total": 1, "longwire_logins_refused_total": 0, "longwire_takeovers_total": 0,
			"longwire_late_answers_total": 0, "longwire_messages_refused_total": 0, "longwire_messages_dropped_total": 0,
			"longwire_connections_unadmitted": 0, "longwire_waiting_bytes": 0, "longwire_unfinished_bytes": 0, "longwire_unsent_bytes": 0,
		} {
			if v := value(t, got, name, "listener=hall"); v != want {
				t.Errorf("%s is %v, want %v", name, v, want)
			}
		}
		for outcome, want := range map[string]float64{"ok": 2, "no_answer": 1, "error": 1, "away": 0, "busy": 0} {
			if v := value(t, got, "longwire_ask_duration_seconds", "outcome="+outcome); v != want {
				t.Errorf("%s: %v, want %v", outcome, v, want)
			}
		}
		// The hello and its answer, two questions answered, one not.
		for direction, want := range map[string]float64{"in": 3, "out": 4} {
			frames := value(t, got, "longwire_frames_total", "direction="+direction, "listener=hall")
			bytes := value(t, got, "longwire_bytes_total", "direction="+direction, "listener=hall")
			if frames != want || bytes < 8*frames || bytes > 200*frames {
				t.Errorf("%s: %v frames, want %v; %v bytes", direction, frames, want, bytes)
			}
		}
		c.Close(longwire.ReasonClosed)
		synctest.Wait()
		got = scrape(t, h)
		if v := value(t, got, "longwire_connections_closed_total", "listener=hall", "reason=peer_closed"); v != 1 {
			t.Errorf("closed by the peer: %v", v)
		}
		if v := value(t, got, "longwire_connections_closed_total", "listener=hall", "reason=kicked"); v != 0 {
			t.Errorf("kicked: %v", v)
		}
		if got["go_goroutines"] == nil || got["process_resident_memory_bytes"] == nil {
			t.Error("nothing of the process")
		}
	})
}

func TestOutcomes(t *testing.T) {
	g, h, _ := serve(t)
	for err, outcome := range map[error]string{
		nil: "ok", gateway.ErrNoAnswer: "no_answer", gateway.ErrAway: "away", gateway.ErrBusy: "busy",
		gateway.ErrNoRoom: "error", context.Canceled: "error", errors.New("\x1b[31m"): "error",
	} {
		before := value(t, scrape(t, h), "longwire_ask_duration_seconds", "outcome="+outcome)
		g.Asked(err, time.Second)
		if n := value(t, scrape(t, h), "longwire_ask_duration_seconds", "outcome="+outcome); n != before+1 {
			t.Errorf("%v does not count as %s", err, outcome)
		}
	}
}

// Peers cannot make series, whatever they call themselves and send.
func TestNoLabelIsAPeers(t *testing.T) {
	_, h, network := serve(t)
	series := func(families map[string]*dto.MetricFamily) map[string]bool {
		all := make(map[string]bool)
		for name, f := range families {
			if strings.HasPrefix(name, "go_") {
				continue // the runtime's own
			}
			for _, m := range f.Metric {
				all[fmt.Sprint(name, pairs(m))] = true
			}
		}
		return all
	}
	before := series(scrape(t, h))
	conns := make([]*longwire.Conn, 1000)
	for i := range conns {
		canary := fmt.Sprintf("canary-%d", i)
		c := board(t, network, longwire.Hello{ID: canary, Groups: []string{canary + "\n"}, Attributes: map[string]string{canary: "\x1b" + canary}}, nil)
		if err := c.Push(t.Context(), longwire.Type(i*60), canary); err != nil {
			t.Fatal(err)
		}
		conns[i] = c
	}
	for _, c := range conns {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	}
	got := scrape(t, h)
	after := series(got)
	if !maps.Equal(before, after) {
		t.Errorf("%d series before, %d after", len(before), len(after))
	}
	allowed := []string{"listener", "direction", "reason", "outcome", "version", "quantile"}
	for name, f := range got {
		for _, m := range f.Metric {
			for _, l := range m.Label {
				if !slices.Contains(allowed, l.GetName()) || strings.Contains(l.GetValue(), "canary") {
					t.Errorf("%s has %s=%q", name, l.GetName(), l.GetValue())
				}
			}
		}
	}
	if len(after) > 100 {
		t.Errorf("%d series", len(after))
	}
}
