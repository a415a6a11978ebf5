package httpapi_test

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

func TestStats(t *testing.T) {
	gc := gateway.Config{Listeners: []gateway.Listener{{Name: "hall", Library: longwire.Config{Limits: longwire.Limits{Conns: 7, Waiting: 1 << 20, Unsent: -1}}}}}
	bubble(t, gc, httpapi.Config{Version: "v1.2.3"}, func(t *testing.T, s *site) {
		began := time.Now().UTC().Format(time.RFC3339Nano)
		c := s.board(named("a"), echo)
		s.want(200, "POST", "/v1/devices/a/ask", `{"type":16,"data":1}`)
		time.Sleep(gateway.SampleEvery + time.Second)
		got := s.want(200, "GET", "/v1/stats", "")
		l := got["listeners"].([]any)[0].(map[string]any)
		if got["version"] != "v1.2.3" || got["started_at"] != began || got["interval"] != "10s" || got["commands"] != nil || got["store"] != nil || got["delivery"] != nil {
			t.Errorf("%v", got)
		}
		if fmt.Sprint(got["devices"], got["asks"]) != "map[known:1 online:1] map[count:1 failed:0]" {
			t.Errorf("%v", got)
		}
		if l["name"] != "hall" || l["address"] != boardAddr || l["connections"] != 1.0 || l["max_connections"] != 7.0 || l["frames_in"] != 2.0 {
			t.Errorf("%v", l)
		}
		if budgets := fmt.Sprint(l["budgets"]); budgets != "[map[limit:1.048576e+06 name:waiting used:0] map[limit:6.7108864e+07 name:unfinished used:0] map[limit:0 name:unsent used:0]]" {
			t.Error(budgets)
		}
		samples := got["samples"].([]any)
		if len(samples) != 1 {
			t.Fatalf("%v", samples)
		}
		first := samples[0].(map[string]any)
		if first["connections"] != 1.0 || first["frames_in"] != 2.0 || first["asks"] != 1.0 || fmt.Sprint(first["closed"]) != "map[]" || first["memory"] == 0.0 {
			t.Errorf("%v", first)
		}

		c.Close(longwire.ReasonClosed)
		<-c.Done()
		time.Sleep(gateway.SampleEvery)
		got = s.want(200, "GET", "/v1/stats?since="+url.QueryEscape(first["at"].(string)), "")
		samples = got["samples"].([]any)
		if len(samples) != 1 || fmt.Sprint(samples[0].(map[string]any)["closed"]) != "map[peer_closed:1]" {
			t.Errorf("%v", samples)
		}
		for _, since := range []string{"yesterday", "5", "2026-01-02", "x%00"} {
			s.wantProblem(400, "since", "GET", "/v1/stats?since="+since, "")
		}
		if got := s.want(200, "GET", "/v1/stats?since=9999-01-01T00:00:00Z", ""); len(got["samples"].([]any)) != 0 {
			t.Errorf("%v", got["samples"])
		}
	})
}
