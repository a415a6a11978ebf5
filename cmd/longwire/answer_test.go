package main

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/client"
)

// An answer is a success when its status says so. What is no envelope has no status.
func TestAskStatus(t *testing.T) {
	at := newAPITest(t)
	for _, test := range []struct {
		answer, stdout string
		status         int
	}{
		{`{"status":"200","data":{"a":1}}`, `{"a":1}`, exitDone},
		{`{"status":"204","data":null}`, `null`, exitDone},
		{`{"status":"299","data":null}`, `null`, exitDone},
		{`{"status":"199","data":null}`, `null`, exitFailed},
		{`{"status":"300","data":null}`, `null`, exitFailed},
		{`{"status":"2","data":null}`, `null`, exitFailed},
		{`{"status":"2000","data":null}`, `null`, exitFailed},
		{`{"status":"2x0","data":null}`, `null`, exitFailed},
		{`{"status":"","data":null}`, `null`, exitFailed},
		{`{}`, `null`, exitFailed},
		{`{"raw":"eyAiYSI6IDF9"}`, `{"a":1}`, exitDone},
		{`{"raw":"b24="}`, `{"text":"on"}`, exitDone},
		{`{"raw":""}`, `{"text":""}`, exitDone},
		{`{"raw":"/w=="}`, `{"base64":"/w=="}`, exitDone},
	} {
		address := at.gateway(responds(200, "application/json", test.answer))
		stdout, _ := at.want(test.status, "ask", "m", "1", "1", "--api", address)
		if stdout != test.stdout+"\n" {
			t.Errorf("%s: %s", test.answer, stdout)
		}
		if stdout, _ = at.want(test.status, "ask", "m", "1", "1", "--json", "--api", address); stdout != test.answer+"\n" {
			t.Errorf("%s: %s", test.answer, stdout)
		}
	}
	address := at.gateway(responds(200, "application/json", `[]`))
	if _, stderr := at.want(exitFailed, "ask", "m", "1", "1", "--api", address); !strings.Contains(stderr, "is no gateway") {
		t.Error(stderr)
	}
}

func TestEventText(t *testing.T) {
	long := strings.Repeat("x", 300)
	for _, test := range []struct{ name, data, want string }{
		{"message", `{"device":"meter-7","type":16,"type_name":"rom","data":{"a": 1},"size":8}`, `message     meter-7           rom {"a":1}`},
		{"message", `{"device":"meter-7","type":16,"raw":"b24="}`, `message     meter-7           0x0010 on`},
		{"message", `{"device":"meter-7","type":16,"raw":"/wA="}`, `message     meter-7           0x0010 hex ff00`},
		{"message", `{"device":"meter-7","type":16,"size":100000}`, `message     meter-7           0x0010 100000 bytes`},
		{"message", `{"device":"meter-7","type":16}`, `message     meter-7           0x0010`},
		{"message", `{"device":"meter-7","type":16,"data":"` + long + `"}`, `message     meter-7           0x0010 "` + long[:199] + `…`},
		{"connect", `{"device":"m","listener":"boards","remote_addr":"10.0.0.7:1"}`, `connect     m                 boards 10.0.0.7:1`},
		{"disconnect", `{"device":"m","listener":"boards","remote_addr":"10.0.0.7:1","reason":"kicked"}`, `disconnect  m                 boards 10.0.0.7:1 kicked`},
		{"restart", `{"device":"m"}`, `restart     m`},
	} {
		_, got, _ := strings.Cut(string(eventText(&client.Event{Name: test.name, Data: []byte(test.data)})), "  ")
		if got != test.want+"\n" {
			t.Errorf("%s %s\n%q, want\n%q", test.name, test.data, got, test.want)
		}
	}
	for _, test := range []struct{ name, data, want string }{
		{"lost", `{"count":37}`, "                         lost        up to 37 events are missing\n"},
		{"news", `plain`, "news plain\n"},
	} {
		if got := string(eventText(&client.Event{Name: test.name, Data: []byte(test.data)})); got != test.want {
			t.Errorf("%q, want %q", got, test.want)
		}
	}
}

func TestTraceText(t *testing.T) {
	raw := func(text string) string { return base64.StdEncoding.EncodeToString([]byte(text)) }
	for _, test := range []struct{ name, data, want string }{
		{"frame", `{"direction":"in","type":16,"type_name":"rom","size":7,"data":"` + raw(`{"a":1}`) + `"}`, `in   rom                  7 bytes  {"a":1}`},
		{"frame", `{"direction":"out","type":16,"size":2,"data":"/wA="}`, `out  0x0010               2 bytes  hex ff00`},
		{"frame", `{"direction":"in","type":16,"size":1,"data":"Cg=="}`, `in   0x0010                1 byte  "\n"`},
		{"frame", `{"direction":"in","type":16,"size":5000,"data":"` + raw(strings.Repeat("x", 4096)) + `"}`, `in   0x0010            5000 bytes  ` + strings.Repeat("x", maxShown) + "…"},
		{"frame", `{"direction":"in","type":16,"size":300,"data":"` + raw("x"+strings.Repeat("ä", 150)) + `"}`, `in   0x0010             300 bytes  x` + strings.Repeat("ä", 99) + "…"},
		{"frame", `{"direction":"in","type":16,"size":201,"data":"` + raw(strings.Repeat("\xff", 201)) + `"}`, `in   0x0010             201 bytes  hex ` + strings.Repeat("ff", 100) + "…"},
		{"frame", `{"direction":"in","type":16,"size":8}`, `in   0x0010               8 bytes`},
		{"lost", `{"count":37}`, `                       lost        up to 37 frames are missing`},
	} {
		line, err := traceText(&client.Event{Name: test.name, Data: []byte(test.data)})
		if _, got, _ := strings.Cut(string(line), "  "); err != nil || got != test.want+"\n" {
			t.Errorf("%s %s\n%q, %v, want\n%q", test.name, test.data, got, err, test.want)
		}
	}
	for _, data := range []string{"", "plain", `{"size":"many"}`} {
		if got, err := traceText(&client.Event{Name: "frame", Data: []byte(data)}); err == nil {
			t.Errorf("%q: %s", data, got)
		}
	}
}

func TestEventJSON(t *testing.T) {
	for _, test := range []struct {
		e    client.Event
		want string
	}{
		{client.Event{ID: "7", Name: "connect", Data: []byte(`{"device": "m"}`)}, `{"id":7,"event":"connect","device":"m"}`},
		{client.Event{Name: "lost", Data: []byte(`{"count":37}`)}, `{"event":"lost","count":37}`},
		{client.Event{ID: "7", Name: "x", Data: []byte(`{}`)}, `{"id":7,"event":"x"}`},
		{client.Event{ID: "a-7", Name: "x", Data: []byte(`{}`)}, `{"event":"x"}`},
	} {
		got, err := eventJSON(&test.e)
		if err != nil || string(got) != test.want+"\n" || !json.Valid(got) {
			t.Errorf("%+v: %s, %v; want %s", test.e, got, err, test.want)
		}
	}
	for _, data := range []string{"", "1", "[]", "{"} {
		if got, err := eventJSON(&client.Event{Name: "x", Data: []byte(data)}); err == nil {
			t.Errorf("%q: %s", data, got)
		}
	}
}
