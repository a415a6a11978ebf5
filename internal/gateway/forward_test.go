package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

type roundTripper func(r *http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func response(r *http.Request, status int, kind, body string) *http.Response {
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"Content-Type": {kind}},
		Body: io.NopCloser(strings.NewReader(body)), Request: r, ProtoMajor: 1, ProtoMinor: 1}
}

func TestAck(t *testing.T) {
	types := []Type{{Name: "always", Type: 1}, {Name: "asked", Type: 2, Ack: AckAsked}, {Name: "never", Type: 3, Ack: AckNever}}
	bubble(t, &Config{Types: types}, func(t *testing.T, g *running) {
		nc := g.dial()
		defer nc.Close()
		w, r := frame.NewWriter(nc, nil), frame.NewReader(nc, nil)
		for typ := longwire.Type(1); typ <= 4; typ++ {
			w.WriteFrame(typ, []byte("plain"))
			w.WriteFrame(typ, []byte(`{"call_back_key":"asked","data":1}`))
		}
		var got strings.Builder
		for range 5 {
			f, err := r.Next()
			if err != nil {
				t.Fatal(err)
			}
			var e struct {
				Key string `json:"call_back_key"`
			}
			json.Unmarshal(f.Data, &e)
			got.WriteString(fmt.Sprintf("%d%s ", f.Type, e.Key))
		}
		if want := "1 1asked 2asked 4 4asked "; got.String() != want {
			t.Errorf("answers %q, want %q", got.String(), want)
		}
		synctest.Wait()
		if all, _ := g.Devices(Query{Limit: 1}); all[0].FramesIn != 8 || all[0].FramesOut != 5 {
			t.Errorf("%+v", all[0])
		}
	})
}

func TestForward(t *testing.T) {
	var mu sync.Mutex
	var last Forwarded
	service := roundTripper(func(r *http.Request) (*http.Response, error) {
		mu.Lock()
		defer mu.Unlock()
		last = Forwarded{}
		if err := json.NewDecoder(r.Body).Decode(&last); err != nil {
			return nil, err
		}
		if r.Header.Get("Authorization") != "Bearer secret" || r.Method != http.MethodPost {
			return response(r, 401, "text/plain", "who are you?"), nil
		}
		switch what := strings.Trim(string(last.Data), `"`); what {
		case "json":
			return response(r, 200, "application/json", `{"x":[1,2]}`), nil
		case "nothing":
			return response(r, 204, "", ""), nil
		case "text":
			return response(r, 200, "text/plain", "caf\xe9"), nil
		case "bytes":
			return response(r, 200, "application/octet-stream", "\xc8\xc9"), nil
		case "not found":
			return response(r, 404, "application/problem+json", `{"title":"no"}`), nil
		case "own fault":
			return response(r, 500, "text/html", "<html>"), nil
		case "elsewhere":
			return response(r, 302, "", ""), nil
		case "down":
			return nil, errors.New("connection refused")
		case "large":
			return response(r, 200, "application/json", strings.Repeat(" ", maxResponse+1)), nil
		case "slow":
			select {
			case <-r.Context().Done():
				return nil, r.Context().Err()
			case <-time.After(time.Hour):
			}
		}
		return response(r, 200, "application/json", "1"), nil
	})
	types := []Type{{Name: "reading", Type: 0x20, Forward: &Forward{Service: Service{URL: "http://service/reading", Token: "secret", Transport: service}}}}
	bubble(t, &Config{Types: types}, func(t *testing.T, g *running) {
		c := g.wantBoard("meter-7", "", nil)
		for _, test := range []struct {
			what, status, data string
			took               time.Duration
		}{
			{"json", "200", `{"x":[1,2]}`, 0},
			{"nothing", "200", "null", 0},
			{"text", "200", `"caf` + "\uFFFD" + `"`, 0},
			{"not found", "404", `{"title":"no"}`, 0},
			{"own fault", "500", `"<html>"`, 0},
			{"elsewhere", "503", "null", 0},
			{"down", "503", "null", 0},
			{"large", "503", "null", 0},
			{"slow", "503", "null", 10 * time.Second},
		} {
			began := time.Now()
			var e longwire.Envelope
			c.Ask(t.Context(), 0x20, test.what, &e)
			if took := time.Since(began); e.Status != test.status || string(e.Data.(json.RawMessage)) != test.data || took != test.took {
				t.Errorf("%s: status %s, data %s after %v; want %s, %s after %v", test.what, e.Status, e.Data, took, test.status, test.data, test.took)
			}
			if last.ID != "meter-7" || last.TypeName != "reading" || last.Type != 0x20 || last.Key == "" || last.Listener != "boards" {
				t.Errorf("%s: the service received %+v", test.what, last)
			}
		}
		var raw longwire.Raw
		if err := c.AskByType(t.Context(), 0x20, "bytes", &raw); err != nil || string(raw) != "\xc8\xc9" {
			t.Errorf("bytes: %q, %v", raw, err)
		}
		if err := c.AskByType(t.Context(), 0x20, longwire.Raw("\xff\x00"), &raw); err != nil || string(last.Raw) != "\xff\x00" || last.Data != nil {
			t.Errorf("bytes from the board: %+v, %v", last, err)
		}
		if n := g.Stats().ForwardFailed; n != 4 {
			t.Errorf("%d counted as failed, want 4", n)
		}
		var e longwire.Envelope
		if c.Ask(t.Context(), 0x21, "other", &e); e.Status != "200" {
			t.Errorf("another type: %+v", e)
		}
	})
}

// A service that hangs holds up no more than it may: every board is told so in time, and what waits is
// bounded.
func TestForwardToAServiceThatHangs(t *testing.T) {
	var inFlight, most atomic.Int64
	service := roundTripper(func(r *http.Request) (*http.Response, error) {
		for n := inFlight.Add(1); ; {
			if old := most.Load(); n <= old || most.CompareAndSwap(old, n) {
				break
			}
		}
		defer inFlight.Add(-1)
		<-r.Context().Done()
		return nil, r.Context().Err()
	})
	bubble(t, &Config{Forward: Forward{Service: Service{URL: "http://service", Timeout: 2 * time.Second, Transport: service}, InFlight: 4}}, func(t *testing.T, g *running) {
		const boards = 200
		took := make(chan time.Duration, boards)
		for i := range boards {
			c := g.wantBoard(fmt.Sprint("m-", i), "", nil)
			go func() {
				began := time.Now()
				var e longwire.Envelope
				if c.Ask(t.Context(), 1, "?", &e); e.Status != "503" {
					t.Errorf("%+v", e)
				}
				took <- time.Since(began)
			}()
		}
		atOnce := 0
		for range boards {
			switch d := <-took; {
			case d == 0:
				atOnce++
			case d > 2*time.Second:
				t.Errorf("told after %v", d)
			}
		}
		if n := most.Load(); n > 4 || atOnce != boards-4-4*queueFactor {
			t.Errorf("%d at a time, and %d were told at once, want 4 and %d", n, atOnce, boards-4-4*queueFactor)
		}
	})
}
