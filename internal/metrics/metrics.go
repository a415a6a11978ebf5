// Package metrics shows what a gateway has counted to Prometheus.
//
// Labels have values of ours and of the configuration alone: listener, direction, reason, outcome,
// log and state. What a peer can choose is never one, or peers could make as many series as they
// like.
package metrics

import (
	"errors"
	"net/http"
	"strings"
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

// reasons are all that a connection can end for. Those that have not occurred are there with
// zero, so that the first one shows as an increase.
var reasons = func() (all []longwire.Reason) {
	for r := longwire.Reason(1); !strings.HasPrefix(r.String(), "reason_"); r++ {
		all = append(all, r)
	}
	return all
}()

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("longwire_"+name, help, labels, nil)
}

var (
	devices       = describe("devices", "Devices that are known.")
	online        = describe("devices_online", "Devices that are connected.")
	forwardFailed = describe("forward_failed_total", "Messages that the user's service has not answered.")
	closed        = describe("connections_closed_total", "Connections that are over, by the reason.", "listener", "reason")
	frames        = describe("frames_total", "Frames, by whether they came in or went out.", "listener", "direction")
	bytes         = describe("bytes_total", "Bytes of connections, by whether they came in or went out.", "listener", "direction")
)

// A series is a number that there is for each listener.
type series struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(*gateway.ListenerStats) int64
}

var ofListeners = []series{
	gauge("connections", "Connections that are open.", func(s *gateway.ListenerStats) int64 { return s.Open }),
	counter("connections_opened_total", "Connections that began.", func(s *gateway.ListenerStats) int64 { return s.Opened }),
	counter("late_answers_total", "Answers that nobody waited for any more.", func(s *gateway.ListenerStats) int64 { return s.LateAnswers }),
	counter("messages_refused_total", "Messages that were refused before they were handled.", func(s *gateway.ListenerStats) int64 { return s.Refused }),
	counter("messages_dropped_total", "Messages to devices that were dropped, because they read too slowly.", func(s *gateway.ListenerStats) int64 { return s.Dropped }),
	counter("logins_refused_total", "Logins that were refused.", func(s *gateway.ListenerStats) int64 { return s.LoginsRefused }),
	counter("takeovers_total", "Connections that were replaced by a newer one of the same device.", func(s *gateway.ListenerStats) int64 { return s.Takeovers }),
	gauge("connections_unadmitted", "Connections that wait to be let in.", func(s *gateway.ListenerStats) int64 { return s.Strangers }),
	gauge("waiting_bytes", "Bytes of messages that wait to be handled.", func(s *gateway.ListenerStats) int64 { return s.Waiting }),
	gauge("unfinished_bytes", "Bytes that have arrived of frames that have not ended.", func(s *gateway.ListenerStats) int64 { return s.Unfinished }),
	gauge("unsent_bytes", "Bytes that wait for devices that have stopped reading.", func(s *gateway.ListenerStats) int64 { return s.Unsent }),
}

func gauge(name, help string, value func(*gateway.ListenerStats) int64) series {
	return series{describe(name, help, "listener"), prometheus.GaugeValue, value}
}

func counter(name, help string, value func(*gateway.ListenerStats) int64) series {
	return series{describe(name, help, "listener"), prometheus.CounterValue, value}
}

// Describe implements [prometheus.Collector].
func (counts) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{devices, online, forwardFailed, closed, frames, bytes} {
		to <- d
	}
	for _, s := range ofListeners {
		to <- s.desc
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
		for _, one := range ofListeners {
			send(one.desc, one.kind, one.value(&s), name)
		}
		for _, reason := range reasons {
			send(closed, prometheus.CounterValue, s.Closed[reason], name, reason.String())
		}
		send(frames, prometheus.CounterValue, s.FramesIn, name, "in")
		send(frames, prometheus.CounterValue, s.FramesOut, name, "out")
		send(bytes, prometheus.CounterValue, s.BytesIn, name, "in")
		send(bytes, prometheus.CounterValue, s.BytesOut, name, "out")
	}
}
