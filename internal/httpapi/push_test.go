package httpapi_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

func TestPush(t *testing.T) {
	conf := gateway.Config{Listeners: []gateway.Listener{{Name: "boards", Library: longwire.Config{MaxOutbox: 4 << 10, MaxFrame: 4 << 10}}}}
	bubble(t, conf, httpapi.Config{}, func(t *testing.T, s *site) {
		heard := make(chan string, 10)
		s.board(named("a"), handler(func(m *longwire.Message) (any, error) {
			heard <- fmt.Sprint(m.Type, " ", string(m.Data))
			return nil, nil
		}))
		const path = "/v1/devices/a/push"
		if got := s.want(202, "POST", path, `{"type":"0x20","data":{"on":true},"timeout":"1s"}`); len(got) != 0 {
			t.Errorf("%v", got)
		}
		if got := <-heard; got != `0x0020 {"data_type":"","call_back_key":"","data":{"on":true}}` {
			t.Error(got)
		}
		s.want(202, "POST", path, `{"type":32,"raw":"NjY2NjY="}`)
		if got := <-heard; got != "0x0020 66666" {
			t.Error(got)
		}
		for body, detail := range map[string]string{
			`{"type":32,"match":"key"}`:            `"match"`,
			`{"type":32,"timeout":"x"}`:            "timeout",
			`{"type":32,"data":1,"raw":""}`:        "data and raw",
			`{"type":65281}`:                       "longwire's own",
			`{"type":32,"to":{"all":true}}`:        `"to"`,
			`{"type":32,"data":1,"data":{"on":1}}`: "twice",
		} {
			s.wantProblem(400, detail, "POST", path, body)
		}
		s.wantProblem(413, "the device's listener allows 4096", "POST", path, `{"type":32,"data":"`+strings.Repeat("x", 4096)+`"}`)
		s.wantProblem(404, "ever been connected", "POST", "/v1/devices/b/push", `{"type":32}`)

		// A board that reads nothing has room for some, and no more.
		c, id := s.plainBoard()
		full := `{"type":32,"data":"` + strings.Repeat("x", 4000) + `","timeout":"3s"}`
		for range 100 {
			began := time.Now()
			if got := s.do("POST", "/v1/devices/"+id+"/push", full); got.status == 202 {
				continue
			} else if took := time.Since(began); got.status != 504 || !strings.Contains(got.body, "no room in time") || took < 3*time.Second || took > 3050*time.Millisecond {
				t.Errorf("%+v after %v", got, took)
			}
			break
		}
		c.Close()
		synctest.Wait()
		s.wantProblem(409, "not connected", "POST", "/v1/devices/"+id+"/push", `{"type":32}`)
	})
}

func TestBroadcast(t *testing.T) {
	conf := gateway.Config{
		Listeners: []gateway.Listener{{Name: "boards", Library: longwire.Config{MaxFrame: 4 << 10}}},
		Groups:    map[string][]string{"hall": {"b0", "b1"}},
	}
	bubble(t, conf, httpapi.Config{}, func(t *testing.T, s *site) {
		heard := make(chan string, 10)
		for i := range 3 {
			s.board(named(fmt.Sprint("b", i)), handler(func(m *longwire.Message) (any, error) {
				heard <- fmt.Sprint(i, " ", string(m.Data))
				return nil, nil
			}))
		}
		gone := s.board(named("gone"), nil)
		gone.Close(longwire.ReasonClosed)
		synctest.Wait()
		for _, test := range []struct {
			body string
			want string // queued full misfit away
			to   string // each of whom has heard
		}{
			{`{"to":{"all":true},"type":16,"data":"all"}`, "3 0 0 0", "012"},
			{`{"to":{"ids":["b1","b1","gone","nobody","\u001b"]},"type":16,"data":1}`, "1 0 0 3", "1"},
			{`{"to":{"groups":["hall","other"],"ids":["b2","b0"]},"type":16,"raw":"eA=="}`, "3 0 0 0", "012"},
			{`{"to":{"groups":["other"]},"type":16}`, "0 0 0 0", ""},
		} {
			got := s.want(200, "POST", "/v1/broadcast", test.body)
			if sum := fmt.Sprint(got["queued"], " ", got["full"], " ", got["misfit"], " ", got["away"]); sum != test.want || len(got) != 4 {
				t.Errorf("%s: %v, want %s", test.body, got, test.want)
			}
			synctest.Wait()
			var to []string
			for len(heard) > 0 {
				to = append(to, (<-heard)[:1])
			}
			if slices.Sort(to); strings.Join(to, "") != test.to {
				t.Errorf("%s: heard by %v", test.body, to)
			}
		}
		for body, detail := range map[string]string{
			`{"to":{},"type":16}`:                          "to whom",
			`{"type":16}`:                                  "to whom",
			`{"to":null,"type":16}`:                        "to must be an object",
			`{"to":{"all":false,"ids":[]},"type":16}`:      "to whom",
			`{"to":{"all":true,"everyone":1},"type":16}`:   `"to.everyone"`,
			`{"to":{"all":true,"all":true},"type":16}`:     "twice",
			`{"to":{"ids":[1]},"type":16}`:                 `"to.ids"`,
			`{"to":{"all":"yes"},"type":16}`:               `"to.all"`,
			`{"to":{"all":true},"type":16,"timeout":"1s"}`: `"timeout"`,
			`{"to":{"all":true},"type":"x"}`:               `type "x"`,
		} {
			s.wantProblem(400, detail, "POST", "/v1/broadcast", body)
		}
		s.wantProblem(413, "listener allows", "POST", "/v1/broadcast", `{"to":{"all":true},"type":16,"data":"`+strings.Repeat("x", 4<<10)+`"}`)
	})
}
