package httpapi_test

import (
	"encoding/base64"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

func TestTrace(t *testing.T) {
	types := []gateway.Type{{Name: "reading", Type: 32, Ack: gateway.AckNever}}
	bubble(t, gateway.Config{Types: types, MaxDevices: 1}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.wantProblem(404, "ever been connected", "GET", "/v1/devices/a/trace", "")
		c := s.board(named("a"), handler(func(*longwire.Message) (any, error) { return 21, nil }))
		s.wantProblem(400, "is a number", "GET", "/v1/devices/a/trace", "", header("Last-Event-ID", "x"))
		trace := s.read("/v1/devices/a/trace")
		synctest.Wait()
		c.Push(t.Context(), 32, map[string]int{"c": 21})
		e := trace.want("frame", map[string]any{"direction": "in", "type": 32, "type_name": "reading", "size": 8, "data": base64.StdEncoding.EncodeToString([]byte(`{"c":21}`))})
		s.want(200, "POST", "/v1/devices/a/ask", `{"type":16,"data":"rom?"}`)
		trace.want("frame", map[string]any{"direction": "out", "type": 16, "type_name": nil})
		last := trace.want("frame", map[string]any{"direction": "in", "type": 16})

		// One that comes back goes on behind what it has read.
		resumed := s.read("/v1/devices/a/trace", header("Last-Event-ID", e.id))
		resumed.want("frame", map[string]any{"direction": "out", "type": 16})
		if got := resumed.want("frame", nil); got.id != last.id {
			t.Errorf("%+v, want %s", got, last.id)
		}

		// It outlives connections, and ends with the device.
		s.want(204, "DELETE", "/v1/devices/a/connection", "")
		synctest.Wait()
		if e, err := trace.next(); err != nil || e.comment != "still here" {
			t.Errorf("%+v, %v", e, err)
		}
		s.board(named("b"), nil) // one device is known at most
		time.Sleep(time.Minute)
		for {
			e, err := trace.next()
			if err == io.EOF {
				break
			}
			if err != nil || e.comment != "still here" {
				t.Fatalf("%+v, %v", e, err)
			}
		}
		s.wantProblem(404, "ever been connected", "GET", "/v1/devices/a/trace", "")
	})
}
