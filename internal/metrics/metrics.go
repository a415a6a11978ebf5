// Package metrics shows what a gateway has counted to Prometheus.
//
// Labels have values of ours and of the configuration alone: listener, direction, reason, outcome,
// log and state. What a peer can choose is never one, or peers could make as many series as they
// like.
package metrics

import (
	"errors"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
)

// New returns what answers a scrape. It sets g.Asked, so g must not serve yet.
func New(g *gateway.Gateway) http.Handler {
	asked := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "longwire_ask_duration_seconds",
		Help:    "How long questions to devices took, by what became of them.",
		Buckets: []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60},
	}, []string{"outcome"})
	for _, outcome := range outcomes {
		asked.WithLabelValues(outcome)
	}
	g.Asked = func(err error, took time.Duration) {
		asked.WithLabelValues(outcomeOf(err)).Observe(took.Seconds())
	}
	r := prometheus.NewRegistry()
	r.MustRegister(
		asked,
		counts{g},
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
	)
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{MaxRequestsInFlight: 4})
}

var outcomes = []string{"ok", "no_answer", "away", "busy", "error"}

// outcomeOf says what became of a question: ok also where the device's own status says that
// it could not do it.
func outcomeOf(err error) string {
	switch {
	case err == nil:
		return "ok"
	case errors.Is(err, gateway.ErrNoAnswer):
		return "no_answer"
	case errors.Is(err, gateway.ErrAway):
		return "away"
	case errors.Is(err, gateway.ErrBusy):
		return "busy"
	}
	return "error"
}

// counts collects what the gateway has counted when it is asked to.
type counts struct{ g *gateway.Gateway }

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("longwire_"+name, help, labels, nil)
}

var (
	devices       = describe("devices", "Devices that are known.")
	online        = describe("devices_online", "Devices that are connected.")
	forwardFailed = describe("forward_failed_total", "Messages that the user's service has not answered.")
	loginsRefused = describe("logins_refused_total", "Logins that were refused.", "listener")
	takeovers     = describe("takeovers_total", "Connections that were replaced by a newer one of the same device.", "listener")
)

// ofConns are the numbers that the library has of the connections of each listener, by their names.
var ofConns = func() map[string]*prometheus.Desc {
	all := make(map[string]*prometheus.Desc)
	for m := range (longwire.Stats{}).All() {
		labels := []string{"listener"}
		if m.Label != "" {
			labels = append(labels, m.Label)
		}
		all[m.Name] = describe(m.Name, m.Help, labels...)
	}
	return all
}()

// Describe implements [prometheus.Collector].
func (counts) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{devices, online, forwardFailed, loginsRefused, takeovers} {
		to <- d
	}
	for _, d := range ofConns {
		to <- d
	}
	describeKept(to)
}

// Collect implements [prometheus.Collector].
func (c counts) Collect(to chan<- prometheus.Metric) {
	send := func(d *prometheus.Desc, kind prometheus.ValueType, n int64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, kind, float64(n), labels...)
	}
	all := c.g.Stats()
	send(devices, prometheus.GaugeValue, int64(all.Devices))
	send(online, prometheus.GaugeValue, int64(all.Online))
	send(forwardFailed, prometheus.CounterValue, all.ForwardFailed)
	collectKept(to, &all)
	for name, s := range all.Listeners {
		send(loginsRefused, prometheus.CounterValue, s.LoginsRefused, name)
		send(takeovers, prometheus.CounterValue, s.Takeovers, name)
		for m, n := range s.All() {
			kind, labels := prometheus.GaugeValue, []string{name}
			if m.Counter {
				kind = prometheus.CounterValue
			}
			if m.Label != "" {
				labels = append(labels, m.Value)
			}
			send(ofConns[m.Name], kind, n, labels...)
		}
	}
}
