package httpapi_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
	"github.com/longwire/longwire/internal/store"
)

// keeping begins to serve with a store. The disk is a real one, and so is the time.
func keeping(t *testing.T, gc gateway.Config, sizes gateway.Sizes) *site {
	t.Helper()
	var err error
	gc.Store, err = store.Open(t.Context(), store.Config{Dir: filepath.Join(t.TempDir(), "data"), Logs: gateway.Logs(sizes)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := gc.Store.Close(); err != nil {
			t.Error(err)
		}
	})
	gc.Commands.Unknown = true
	return start(t, gc, httpapi.Config{})
}

// key is a request that may be repeated.
func key(k string) func(*http.Request) { return header("Idempotency-Key", k) }

// becomes waits until a command is in a state.
func (s *site) becomes(state, device, id string) map[string]any {
	s.t.Helper()
	reader := s.g.Events(0)
	for {
		events, _, err := reader.Next(s.t.Context(), 100)
		if err != nil {
			s.t.Fatal(err)
		}
		for _, e := range events {
			if e.Device == device && e.Command != nil && e.Command.ID == id && string(e.Command.State) == state {
				return s.want(200, "GET", "/v1/devices/"+device+"/commands/"+id, "")
			}
		}
	}
}

func TestCommand(t *testing.T) {
	s := keeping(t, gateway.Config{Types: []gateway.Type{{Name: "valve", Type: 16}}}, gateway.Sizes{})
	const path = "/v1/devices/meter-7/commands"
	s.wantProblem(404, "No device", "GET", path, "")
	c := s.want(202, "POST", path, `{"type":"valve","data":{"open":true},"ttl":"1h","timeout":"20s","attempts":3}`)
	id, _ := c["id"].(string)
	for name, want := range map[string]string{
		"device": "meter-7", "type": "16", "state": "queued", "data": "map[open:true]", "match": "key", "timeout": "20s",
		"attempts": "0", "max_attempts": "3", "answer": "<nil>", "sent_at": "<nil>",
	} {
		if got := fmt.Sprint(c[name]); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	created, err := time.Parse(time.RFC3339Nano, c["created_at"].(string))
	expires, err2 := time.Parse(time.RFC3339Nano, c["expires_at"].(string))
	if left := expires.Sub(created); err != nil || err2 != nil || left < 59*time.Minute || left > time.Hour || len(id) < 20 {
		t.Errorf("%v", c)
	}
	if got := s.want(200, "GET", path+"/"+id, ""); fmt.Sprint(got) != fmt.Sprint(c) {
		t.Errorf("%v, want %v", got, c)
	}
	list := func(query string) (states []string) {
		for _, one := range s.want(200, "GET", path+query, "")["commands"].([]any) {
			states = append(states, one.(map[string]any)["state"].(string))
		}
		return states
	}

	// It waits for its board, and others behind it.
	other := s.want(202, "POST", path, `{"type":16,"raw":""}`)["id"].(string)
	if got := s.want(200, "DELETE", path+"/"+other, ""); got["state"] != "cancelled" || got["raw"] != "" || got["match"] != "type" {
		t.Errorf("%v", got)
	}
	s.wantProblem(409, "ended already: it is cancelled", "DELETE", path+"/"+other, "")
	if got := fmt.Sprint(list("")); got != "[cancelled queued]" {
		t.Errorf("listed %s", got)
	}
	if got := fmt.Sprint(list("?state=queued")); got != "[queued]" {
		t.Errorf("listed %s", got)
	}

	// It is there, and answers.
	s.board(named("meter-7"), handler(func(m *longwire.Message) (any, error) {
		switch m.Type {
		case 17:
			return longwire.NoAnswer, nil
		case 18:
			return nil, &longwire.Error{Status: "418", Message: "no\u202e"}
		}
		return json.RawMessage(m.Payload()), nil
	}))
	done := s.want(200, "GET", path+"/"+id+"?wait=20s", "")
	answer, _ := done["answer"].(map[string]any)
	if done["state"] != "done" || answer["call_back_key"] != id || answer["status"] != "200" || fmt.Sprint(answer["data"]) != "map[open:true]" || done["attempts"] != 1.0 {
		t.Errorf("%v", done)
	}
	s.wantProblem(409, "ended already: it is done", "DELETE", path+"/"+id, "")
	if got := s.want(200, "POST", path+"?wait=20s", `{"type":16,"data":7}`); got["state"] != "done" {
		t.Errorf("%v", got)
	}
	refused := s.do("POST", path+"?wait=20s", `{"type":18}`)
	if refused.status != 200 || !strings.Contains(refused.body, `"state":"failed"`) || !strings.Contains(refused.body, `"message":"no\u202e"`) {
		t.Errorf("%+v", refused)
	}

	// What the board has may be carried out.
	mute := s.want(202, "POST", path, `{"type":17,"timeout":"1h"}`)["id"].(string)
	s.becomes("sent", "meter-7", mute)
	s.wantProblem(409, "has been sent", "DELETE", path+"/"+mute, "")
	if got := s.want(202, "POST", path+"?wait=10ms", `{"type":16}`); got["state"] != "queued" {
		t.Errorf("%v", got)
	}
	for _, where := range []string{path + "/nothing", path + "/a%20b", "/v1/devices/meter-8/commands/" + id, "/v1/devices/a%20b/commands/x"} {
		s.wantProblem(404, "no command", "GET", where, "")
		s.wantProblem(404, "no command", "DELETE", where, "")
	}
}

func TestCommandThatMayBeRepeated(t *testing.T) {
	s := keeping(t, gateway.Config{}, gateway.Sizes{})
	const path = "/v1/devices/a/commands"
	first := s.want(202, "POST", path, `{"type":16,"data":1}`, key("k 1"))
	if again := s.want(200, "POST", path, `{"type":16,"data":1}`, key("k 1")); again["id"] != first["id"] || again["digest"] != nil {
		t.Errorf("%v", again)
	}
	s.wantProblem(422, "another request", "POST", path, `{"type":16,"data":2}`, key("k 1"))
	if other := s.want(202, "POST", "/v1/devices/b/commands", `{"type":16,"data":1}`, key("k 1")); other["id"] == first["id"] {
		t.Error("two devices have one command")
	}
	s.want(202, "POST", path, `{"type":16,"data":1}`, key(strings.Repeat("k", 255)))
	for _, bad := range []string{"", strings.Repeat("k", 256), "a\tb", "ü"} {
		s.wantProblem(400, "Idempotency-Key", "POST", path, `{"type":16}`, key(bad))
	}
	s.wantProblem(400, "there once", "POST", path, `{"type":16}`, func(r *http.Request) {
		r.Header["Idempotency-Key"] = []string{"a", "b"}
	})
	many := s.want(202, "POST", "/v1/commands", `{"to":{"ids":["a","c"]},"type":16,"data":1}`, key("k 1"))
	if many["queued"] != 1.0 || many["repeated"] != 1.0 || many["refused"] != 0.0 {
		t.Errorf("%v", many)
	}
	if again := s.want(200, "POST", "/v1/commands", `{"to":{"ids":["a","c"]},"type":16,"data":1}`, key("k 1")); again["repeated"] != 2.0 {
		t.Errorf("%v", again)
	}
}

func TestCommandRefuses(t *testing.T) {
	small := gateway.Listener{Name: "small", Library: longwire.Config{MaxFrame: 3000}}
	small.Library.Format = frame.Format{Head: "\xC8", Length: frame.Length{Offset: 1, Width: 2}, Type: frame.TypeField{Offset: 3, Width: 2}, Tail: "\xC9"}
	s := keeping(t, gateway.Config{Listeners: []gateway.Listener{small}, Commands: gateway.Commands{Max: 2, MaxBytes: 2500}}, gateway.Sizes{})
	const path = "/v1/devices/a/commands"
	for _, test := range []struct {
		body   string
		status int
		detail string
	}{
		{`{}`, 400, "type is needed"},
		{`{"type":"led"}`, 400, `type "led"`},
		{`{"type":16,"data":1,"raw":""}`, 400, "data and raw"},
		{`{"type":16,"raw":"","match":"key"}`, 400, "matched by key"},
		{`{"type":16,"match":"guess"}`, 400, "match"},
		{`{"type":16,"ttl":"soon"}`, 400, "ttl must be"},
		{`{"type":16,"ttl":"-1s"}`, 400, "ttl must be"},
		{`{"type":16,"ttl":"8785h"}`, 400, "at most 8784h"},
		{`{"type":16,"timeout":"0s"}`, 400, "timeout must be"},
		{`{"type":16,"timeout":"61m"}`, 400, "at most 1h"},
		{`{"type":16,"attempts":0}`, 400, "attempts"},
		{`{"type":16,"attempts":1001}`, 400, "attempts"},
		{`{"type":16,"attempts":"2"}`, 400, `"attempts"`},
		{`{"type":16,"colour":1}`, 400, `"colour"`},
		{`{"type":65536}`, 400, "larger than 0xffff"},
		{``, 400, "body is required"},
		{`{"type":16,"data":"` + strings.Repeat("x", 3000) + `"}`, 413, "the device's listener allows 3000"},
		{`{"type":16,"data":"` + strings.Repeat("x", 2400) + `"}`, 413, "larger than all that may wait"},
	} {
		s.wantProblem(test.status, test.detail, "POST", path, test.body)
		many := strings.Replace(test.body, "{", `{"to":{"ids":["a"]},`, 1)
		if many = strings.Replace(many, ",}", "}", 1); test.status == 400 && test.body != `{"type":65536}` {
			s.wantProblem(test.status, test.detail, "POST", "/v1/commands", many)
		}
	}
	s.wantProblem(404, "ever been connected", "POST", "/v1/devices/a%20b/commands", `{"type":16}`)
	s.wantProblem(415, "application/json", "POST", path, `{"type":16}`, header("Content-Type", "text/plain"))
	s.wantProblem(400, "wait must be", "POST", path+"?wait=61s", `{"type":16}`)
	s.wantProblem(400, "wait must be", "GET", path+"/x?wait=0", "")
	s.wantProblem(400, "state", "GET", path+"?state=lost", "")
	s.wantProblem(400, "limit", "GET", path+"?limit=0", "")
	s.wantProblem(400, "cursor", "GET", path+"?cursor=nonsense", "")
	s.wantProblem(400, "for whom", "POST", "/v1/commands", `{"to":{},"type":16}`)
	s.wantProblem(400, `"a b" in ids`, "POST", "/v1/commands", `{"to":{"ids":["a b"]},"type":16}`)

	s.want(202, "POST", path, `{"type":16}`)
	s.want(202, "POST", path, `{"type":16}`)
	s.wantProblem(429, "As many commands wait", "POST", path, `{"type":16}`)
	got := s.do("POST", "/v1/commands", `{"to":{"ids":["a","b"]},"type":16}`)
	if want := `{"device":"a","error":{"status":429,"detail":"As many commands wait for the device as may (commands.max, commands.max_bytes)."}}`; got.status != 202 || !strings.Contains(got.body, want) || !strings.Contains(got.body, `"queued":1,"repeated":0,"refused":1}`) {
		t.Errorf("%+v", got)
	}
}

func TestCommandForUnknownDevice(t *testing.T) {
	s := keeping(t, gateway.Config{}, gateway.Sizes{})
	reloaded := gateway.Config{Listeners: []gateway.Listener{{Name: "boards"}}}
	if err := s.g.Reload(&reloaded); err != nil { // and now it may not
		t.Fatal(err)
	}
	s.wantProblem(404, "ever been connected", "POST", "/v1/devices/a/commands", `{"type":16}`)
	got := s.want(200, "POST", "/v1/commands", `{"to":{"ids":["a"]},"type":16}`)
	if got["refused"] != 1.0 || !strings.Contains(fmt.Sprint(got["commands"]), "status:404") {
		t.Errorf("%v", got)
	}
	if got := s.want(200, "POST", "/v1/commands", `{"to":{"groups":["none"]},"type":16}`); fmt.Sprint(got["commands"]) != "[]" {
		t.Errorf("%v", got)
	}
}

func TestCommandsArePaged(t *testing.T) {
	s := keeping(t, gateway.Config{}, gateway.Sizes{})
	const path = "/v1/devices/a/commands"
	var want, got []string
	for range 7 {
		want = append(want, s.want(202, "POST", path, `{"type":16}`)["id"].(string))
	}
	for cursor := ""; ; {
		page := s.want(200, "GET", path+"?limit=3&cursor="+cursor, "")
		for _, c := range page["commands"].([]any) {
			got = append(got, c.(map[string]any)["id"].(string))
		}
		if cursor = page["next"].(string); cursor == "" {
			break
		}
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q, want %q", got, want)
	}
}

func TestNothingIsKept(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		for _, request := range [][3]string{
			{"POST", "/v1/devices/a/commands", `{"type":16}`},
			{"POST", "/v1/commands", `{"type":16,"to":{"all":true}}`},
			{"GET", "/v1/devices/a/commands", ""},
			{"GET", "/v1/devices/a/commands/x", ""},
			{"GET", "/v1/devices/a/commands/x?wait=1s", ""},
			{"DELETE", "/v1/devices/a/commands/x", ""},
			{"GET", "/v1/store", ""},
		} {
			s.wantProblem(503, "data is off", request[0], request[1], request[2])
		}
	})
}

// A gateway without room keeps what it has, says what it has no room for, and goes on with all
// else.
func TestStoreIsFull(t *testing.T) {
	s := keeping(t, gateway.Config{}, gateway.Sizes{Commands: 20 << 10})
	var last reply
	for i := range 40 {
		last = s.do("POST", fmt.Sprintf("/v1/devices/a%d/commands", i), `{"type":16,"data":"`+strings.Repeat("x", 1000)+`"}`)
		if last.status != 202 {
			break
		}
	}
	if last.status != 507 || !strings.Contains(last.body, "no room") {
		t.Fatalf("%+v", last)
	}
	s.wantProblem(507, "no room", "POST", "/v1/commands", `{"to":{"ids":["b","c"]},"type":16,"data":"`+strings.Repeat("x", 1000)+`"}`)
	s.want(200, "GET", "/readyz", "")
	if got := s.want(200, "GET", "/v1/devices/a0/commands", ""); len(got["commands"].([]any)) != 1 {
		t.Errorf("%v", got)
	}
}

func TestStore(t *testing.T) {
	s := keeping(t, gateway.Config{}, gateway.Sizes{})
	s.want(202, "POST", "/v1/devices/a/commands", `{"type":16}`)
	b := s.want(202, "POST", "/v1/devices/b/commands", `{"type":16}`)
	s.want(200, "DELETE", "/v1/devices/b/commands/"+b["id"].(string), "")
	got := s.want(200, "GET", "/v1/store", "")
	commands := got["commands"].(map[string]any)
	if commands["put"] != 2.0 || commands["waiting"] != 1.0 || commands["devices"] != 1.0 || commands["ended"].(map[string]any)["cancelled"] != 1.0 {
		t.Errorf("%v", commands)
	}
	logs := got["logs"].([]any)
	first := logs[0].(map[string]any)
	if len(logs) != 4 || first["name"] != "commands" || first["records"].(float64) < 2 || first["commits"].(float64) < 3 || first["commit_seconds"].(float64) <= 0 {
		t.Errorf("%v", logs)
	}
	if got["error"] != "" || got["free_bytes"].(float64) <= 0 || got["delivery"] != nil {
		t.Errorf("%v", got)
	}
	stats := s.want(200, "GET", "/v1/stats", "")
	short := stats["store"].(map[string]any)
	if !reflect.DeepEqual(stats["commands"], got["commands"]) || short["error"] != "" || short["records"].(float64) < first["records"].(float64) || short["bytes"].(float64) <= 0 || short["free_bytes"].(float64) <= 0 {
		t.Errorf("%v", stats)
	}
}

// What becomes of a command is an event.
func TestCommandEvents(t *testing.T) {
	s := keeping(t, gateway.Config{}, gateway.Sizes{})
	st := s.listen("?name=command&device=a")
	c := s.want(202, "POST", "/v1/devices/a/commands", `{"type":16}`)
	s.board(named("a"), echo)
	for _, want := range []string{"queued", "sent", "done"} {
		e, err := st.next()
		if err != nil || e.name != "command" || !strings.Contains(e.data, `"command":{"id":"`+c["id"].(string)+`","type":16,"state":"`+want+`"`) {
			t.Errorf("%+v, %v, want %s", e, err, want)
		}
	}
}

func TestRetryCommand(t *testing.T) {
	s := keeping(t, gateway.Config{Commands: gateway.Commands{Max: 2}}, gateway.Sizes{})
	const path = "/v1/devices/meter-7/commands"
	id, _ := s.want(202, "POST", path, `{"type":16,"ttl":"1h"}`)["id"].(string)
	s.wantProblem(409, "has not ended", "POST", path+"/"+id+"/retry", "")
	s.wantProblem(404, "no command", "POST", path+"/nothing/retry", "")
	s.want(200, "DELETE", path+"/"+id, "")
	var waiting []string
	for range 2 {
		waiting = append(waiting, s.want(202, "POST", path, `{"type":17}`)["id"].(string))
	}
	s.wantProblem(429, "as may", "POST", path+"/"+id+"/retry", "")
	s.want(202, "POST", "/v1/devices/meter-8/commands", `{"type":18}`)

	// Of all devices, what changed last first.
	list := func(query string) (types []any) {
		for _, c := range s.want(200, "GET", "/v1/commands"+query, "")["commands"].([]any) {
			types = append(types, c.(map[string]any)["type"])
		}
		return types
	}
	if got := fmt.Sprint(list("")); got != "[18 17 17 16]" {
		t.Error(got)
	}
	if got := fmt.Sprint(list("?state=cancelled,done"), list("?state=dead"), list("?limit=1")); got != "[16] [] [18]" {
		t.Error(got)
	}
	next := s.want(200, "GET", "/v1/commands?limit=3", "")["next"].(string)
	if got := fmt.Sprint(list("?cursor=" + next)); got != "[16]" {
		t.Error(got)
	}
	s.wantProblem(400, "state of a command", "GET", "/v1/commands?state=dead,lost", "")
	s.wantProblem(400, "cursor", "GET", "/v1/commands?cursor=x", "")

	c := s.board(named("meter-7"), handler(func(*longwire.Message) (any, error) { return "done", nil }))
	for _, id := range waiting {
		s.becomes("done", "meter-7", id)
	}
	c.Close(longwire.ReasonClosed)
	if got := s.want(202, "POST", path+"/"+id+"/retry", ""); got["id"] != id || got["state"] != "queued" {
		t.Errorf("%v", got)
	}
	s.board(named("meter-7"), handler(func(*longwire.Message) (any, error) { return "done", nil }))
	done := s.becomes("done", "meter-7", id)
	s.wantProblem(409, "is done", "POST", path+"/"+id+"/retry", "")
	if done["attempts"] != 1.0 {
		t.Errorf("%v", done)
	}
}
