package httpapi_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

func TestAsk(t *testing.T) {
	bubble(t, gateway.Config{Types: []gateway.Type{{Name: "status", Type: 16}}}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.board(named("meter-7"), handler(func(m *longwire.Message) (any, error) {
			switch m.Type {
			case 16:
				return longwire.Envelope{DataType: "status", Message: "well", Data: json.RawMessage(m.Payload())}, nil
			case 17:
				return nil, &longwire.Error{Status: "418", Message: "no", Data: []int{1}}
			case 18:
				return longwire.Raw{0xC8, 0xC9, 0}, nil
			case 19:
				return longwire.Raw{}, nil
			case 20:
				return longwire.Raw("66666"), nil
			}
			return longwire.Raw(m.Data), nil
		}))
		const path = "/v1/devices/meter-7/ask"
		for _, kind := range []string{`16`, `"16"`, `"0x10"`, `"0X10"`, `"status"`} {
			got := s.want(200, "POST", path, `{"type":`+kind+`,"data":{"x":[1,"<ü>"],"y":null}}`)
			key, _ := got["call_back_key"].(string)
			if got["data_type"] != "status" || got["status"] != "200" || got["message"] != "well" || len(key) < 20 || len(got) != 5 {
				t.Errorf("%s: %v", kind, got)
			}
		}
		// A number is what it was, however long.
		if got := s.do("POST", path, `{"type":16,"data":[9007199254740993,1e400,"\ud800"]}`); !strings.Contains(got.body, `"data":[9007199254740993,1e400,"\ud800"]`) {
			t.Error(got.body)
		}
		if got := s.want(200, "POST", path, `{"type":16}`); got["data"] != nil {
			t.Errorf("%v", got)
		}
		got := s.want(200, "POST", path, `{"type":17,"data":null}`)
		if got["status"] != "418" || got["message"] != "no" || fmt.Sprint(got["data"]) != "[1]" {
			t.Errorf("%v", got)
		}
		for kind, want := range map[int]string{18: "\xC8\xC9\x00", 19: "", 20: "66666"} {
			got = s.want(200, "POST", path, fmt.Sprintf(`{"type":%d,"raw":"%s"}`, kind, base64.StdEncoding.EncodeToString([]byte("q"))))
			raw, err := base64.StdEncoding.DecodeString(got["raw"].(string))
			if err != nil || string(raw) != want || len(got) != 1 {
				t.Errorf("type %d: %v", kind, got)
			}
		}
		got = s.want(200, "POST", path, `{"type":21,"raw":""}`)
		if got["raw"] != "" {
			t.Errorf("%v", got)
		}
	})
}

// A board of the article has no keys and no envelopes.
func TestAskPlainBoard(t *testing.T) {
	bubble(t, gateway.Config{Ack: gateway.AckNever}, httpapi.Config{}, func(t *testing.T, s *site) {
		c, id := s.plainBoard()
		done := make(chan struct{})
		go func() {
			defer close(done)
			w, r := frame.NewWriter(c, nil), frame.NewReader(c, nil)
			for {
				f, err := r.Next()
				if err != nil {
					return
				}
				w.WriteFrame(f.Type, []byte("got "+string(f.Data)))
			}
		}()
		got := s.want(200, "POST", "/v1/devices/"+strings.ReplaceAll(id, ":", "%3A")+"/ask", `{"type":16,"raw":"NjY2NjY=","timeout":"1s"}`)
		if raw, _ := base64.StdEncoding.DecodeString(got["raw"].(string)); string(raw) != "got 66666" {
			t.Errorf("%v: %s", got, raw)
		}
		got = s.want(200, "POST", "/v1/devices/"+id+"/ask", `{"type":16,"data":1,"match":"type"}`)
		if raw, _ := base64.StdEncoding.DecodeString(got["raw"].(string)); !strings.HasPrefix(string(raw), `got {"data_type":""`) {
			t.Errorf("%v: %s", got, raw)
		}
		s.wantProblem(504, "not answered", "POST", "/v1/devices/"+id+"/ask", `{"type":16,"data":1,"match":"key","timeout":"1s"}`)
		c.Close()
		<-done
	})
}

func TestAskRefuses(t *testing.T) {
	small := gateway.Listener{Name: "small", Library: longwire.Config{MaxFrame: 300, Limits: longwire.Limits{Questions: 1}}}
	small.Library.Format = frame.Format{Head: "\xC8", Length: frame.Length{Offset: 1, Width: 2}, Type: frame.TypeField{Offset: 3, Width: 2}, Tail: "\xC9"}
	bubble(t, gateway.Config{Listeners: []gateway.Listener{small}}, httpapi.Config{MaxWait: 20 * time.Second}, func(t *testing.T, s *site) {
		c, id := s.plainBoard()
		path := "/v1/devices/" + id + "/ask"
		for _, test := range []struct {
			body   string
			status int
			detail string
		}{
			{`{"type":16,"data":1,"raw":""}`, 400, "data and raw"},
			{`{"type":16,"data":null,"raw":""}`, 400, "data and raw"},
			{`{"type":16,"raw":"%"}`, 400, "raw is not base64"},
			{`{"type":16,"raw":"YQ"}`, 400, "raw is not base64"},
			{`{"type":16,"raw":"","match":"key"}`, 400, "matched by key"},
			{`{"type":16,"match":"guess"}`, 400, "match"},
			{`{}`, 400, "type is needed"},
			{`{"type":""}`, 400, "type is needed"},
			{`{"type":null}`, 400, "type"},
			{`{"type":true}`, 400, "type"},
			{`{"type":[1]}`, 400, "type"},
			{`{"type":"led"}`, 400, `type "led"`},
			{`{"type":1.5}`, 400, `type "1.5"`},
			{`{"type":-1}`, 400, `type "-1"`},
			{`{"type":4294967296}`, 400, `type "4294967296"`},
			{`{"type":65536}`, 400, "larger than 0xffff"},
			{`{"type":"0xff00"}`, 400, "longwire's own"},
			{`{"type":65535}`, 400, "longwire's own"},
			{`{"type":16,"timeout":"soon"}`, 400, "timeout"},
			{`{"type":16,"timeout":"0s"}`, 400, "timeout"},
			{`{"type":16,"timeout":"-1s"}`, 400, "timeout"},
			{`{"type":16,"timeout":"21s"}`, 400, "at most 20s"},
			{`{"type":16,"timeout":5}`, 400, `"timeout"`},
			{`{"type":16,"colour":1}`, 400, `"colour"`},
			{`{"Type":16}`, 400, `"Type"`},
			{`{"type":16,"type":17}`, 400, "twice"},
			{`{"type":16} {}`, 400, "more behind"},
			{`{"type":16,"data":` + strings.Repeat("[", 32) + strings.Repeat("]", 32) + `}`, 400, "more than 31"},
			{`{"type":16`, 400, "not JSON"},
			{`{"type":16,}`, 400, "not JSON"},
			{`[]`, 400, "must be an object"},
			{"{\"type\":16,\"data\":\"\xff\"}", 400, "UTF-8"},
			{``, 400, "body is required"},
			{`{"type":16,"data":"` + strings.Repeat("x", 300) + `"}`, 413, "the device's listener allows 300"},
			{`{"type":16,"raw":"` + strings.Repeat("eHh4", 100) + `"}`, 413, "the device's listener allows 300"},
			{`{"type":16,"data":"` + strings.Repeat("x", 1<<20) + `"}`, 413, "more than 1048576 bytes"},
		} {
			s.wantProblem(test.status, test.detail, "POST", path, test.body)
		}
		deepest := `{"type":16,"timeout":"1s","data":` + strings.Repeat("[", 31) + strings.Repeat("]", 31) + `}`
		s.wantProblem(504, "in time", "POST", path, deepest)
		s.wantProblem(404, "ever been connected", "POST", "/v1/devices/nobody/ask", `{"type":16}`)
		s.wantProblem(415, "application/json", "POST", path, `{"type":16}`, header("Content-Type", "text/plain"))
		s.wantProblem(415, "application/json", "POST", path, `{"type":16}`, header("Content-Type", "application/json; charset=latin1"))
		s.wantProblem(415, "application/json", "POST", path, `{"type":16}`, header("Content-Encoding", "gzip"))
		s.wantProblem(504, "in time", "POST", path, `{"type":16,"timeout":"1s"}`, header("Content-Type", "Application/JSON; charset=UTF-8"))

		// One question waits, and there is no room for another.
		first := make(chan reply, 1)
		go func() { first <- s.do("POST", path, `{"type":16,"timeout":"3s"}`) }()
		synctest.Wait()
		s.wantProblem(429, "Too many questions", "POST", path, `{"type":16}`)
		if got := <-first; got.status != 504 {
			t.Errorf("%+v", got)
		}
		c.Close()
		synctest.Wait()
		s.wantProblem(409, "not connected", "POST", path, `{"type":16}`)
	})
}

func TestAskTakesAsLongAsItMay(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		release := make(chan struct{})
		s.board(named("a"), handler(func(m *longwire.Message) (any, error) {
			switch m.Type {
			case 1:
				return longwire.NoAnswer, nil
			case 2:
				time.Sleep(59 * time.Second) // longer than a header or a body may take
			case 3:
				<-release
			case 4:
				m.Conn().Close(longwire.ReasonClosed)
			}
			return longwire.Envelope{Data: m.Type}, nil
		}))
		const path = "/v1/devices/a/ask"
		for timeout, want := range map[string]time.Duration{`"1s"`: time.Second, `"90ms"`: 90 * time.Millisecond, `"1m"`: time.Minute, `""`: 10 * time.Second} {
			began := time.Now()
			s.wantProblem(504, "not answered in time", "POST", path, `{"type":1,"timeout":`+timeout+`}`)
			if took := time.Since(began); took < want || took > want+50*time.Millisecond {
				t.Errorf("timeout %s: after %v", timeout, took)
			}
		}
		if got := s.want(200, "POST", path, `{"type":2,"timeout":"1m"}`); got["data"] != 2.0 {
			t.Errorf("%v", got)
		}
		// An answer that comes too late reaches nobody, nor does it spoil the next.
		s.wantProblem(504, "in time", "POST", path, `{"type":3,"timeout":"1s"}`)
		close(release)
		if got := s.want(200, "POST", path, `{"type":5}`); got["data"] != 5.0 {
			t.Errorf("%v", got)
		}
		if late := s.g.Stats().Listeners["boards"].LateAnswers; late != 1 {
			t.Errorf("%d late answers", late)
		}
		// A board that leaves is noticed at once.
		began := time.Now()
		s.wantProblem(409, "not connected", "POST", path, `{"type":4,"timeout":"1m"}`)
		if took := time.Since(began); took > 50*time.Millisecond {
			t.Errorf("gone, and told after %v", took)
		}
	})
}

// Who asks and goes away leaves no question behind.
func TestAskerGoesAway(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		s := startWith(t, gateway.Config{}, httpapi.Config{}, func(s *site, _ *httpapi.Config) {
			s.g.Asked = func(err error, took time.Duration) {
				if took != 2*time.Second {
					t.Errorf("ended after %v", took)
				}
				ended <- err
			}
		})
		s.board(named("a"), handler(func(*longwire.Message) (any, error) { return longwire.NoAnswer, nil }))
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		_, err := s.client.Do(s.request("POST", "/v1/devices/a/ask", `{"type":1,"timeout":"1m"}`).WithContext(ctx))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Error(err)
		}
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestThousandAsks(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	s := start(t, gateway.Config{}, httpapi.Config{})
	s.client.Transport.(*http.Transport).MaxConnsPerHost = 500 // both ends are here
	for i := range n {
		s.board(named(fmt.Sprint("b", i)), handler(func(m *longwire.Message) (any, error) {
			return []any{fmt.Sprint("b", i), json.RawMessage(m.Payload())}, nil
		}))
	}
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			got := s.do("POST", fmt.Sprintf("/v1/devices/b%d/ask", i), fmt.Sprintf(`{"type":16,"data":%d}`, i))
			if want := fmt.Sprintf(`"data":["b%d",%d]`, i, i); got.status != 200 || !strings.Contains(got.body, want) {
				t.Errorf("board %d: %d %s", i, got.status, got.body)
			}
		})
	}
	all.Wait()
}
