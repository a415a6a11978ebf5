package main

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// Commands wait for boards, and what matters of what they say comes to a program that is away at
// times, as the example has it.
func TestExampleWithCommands(t *testing.T) {
	yaml := example(t, "commands.yaml")
	t.Chdir(t.TempDir())
	type delivered struct {
		Event   string
		Device  string
		Epoch   uint64
		Data    json.RawMessage
		Command struct{ State string }
	}
	events := make(chan delivered, 100)
	asked := make(chan struct{}, 100)
	var down atomic.Bool
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		var e delivered
		switch err := json.NewDecoder(r.Body).Decode(&e); {
		case err != nil || r.URL.Path != "/events" || r.Header.Get("Authorization") != "Bearer shared":
			t.Errorf("%s %s: %v", r.URL, r.Header, err)
		case down.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			events <- e
		}
	}))
	t.Cleanup(service.Close)
	u, _ := url.Parse(service.URL)
	token := config.NewToken()
	writeFile(t, "service-token", "shared\n")
	writeFile(t, "tokens", "meter-7 "+config.HashOf(token).Reveal()+"\n")
	g := serveConfig(t, strings.ReplaceAll(yaml, "127.0.0.1:8080", u.Host))
	dial := func() *longwire.Conn {
		cl := &longwire.Client{Addr: g.boards[0], Handler: hearing, Hello: &longwire.Hello{ID: "meter-7", Token: token}}
		c, err := cl.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close(longwire.ReasonClosed) })
		return c
	}
	next := func(event, data, state string) {
		t.Helper()
		if e := <-events; e.Event != event || e.Device != "meter-7" || string(e.Data) != data || e.Command.State != state {
			t.Errorf("%+v, want %s %s %s", e, event, data, state)
		}
	}
	// Delivery begins with what happens from some moment on after the start.
	var c *longwire.Conn
	for begun := false; !begun; {
		c = dial()
		select {
		case e := <-events:
			var d struct{ Epoch uint64 }
			for g.do("GET", "/v1/devices/meter-7", "", &d); e.Event != "connect" || e.Epoch != d.Epoch; {
				e = <-events
			}
			begun = true
		case <-time.After(100 * time.Millisecond):
			c.Close(longwire.ReasonClosed)
		}
	}

	// An alarm is kept before it is answered; a reading is neither.
	down.Store(true)
	if err := c.Push(t.Context(), 0x20, 5); err != nil {
		t.Fatal(err)
	}
	if err := c.Ask(t.Context(), 0x21, "smoke", nil); err != nil {
		t.Fatal(err)
	}
	<-asked
	c.Close(longwire.ReasonClosed)
	if !awaits(func() bool {
		var d struct{ Online bool }
		g.do("GET", "/v1/devices/meter-7", "", &d)
		return !d.Online
	}) {
		t.Fatal("the board is still there")
	}
	var command struct {
		ID, State string
		Answer    longwire.Envelope
		Expires   time.Time `json:"expires_at"`
	}
	if status := g.do("POST", "/v1/devices/meter-7/commands", `{"type":"valve","data":{"open":false}}`, &command); status != 202 || time.Until(command.Expires) < 6*24*time.Hour {
		t.Fatalf("%d, %+v", status, command)
	}
	dial()
	if status := g.do("GET", "/v1/devices/meter-7/commands/"+command.ID+"?wait=20s", "", &command); status != 200 || command.State != "done" {
		t.Errorf("%d, %+v", status, command)
	}
	down.Store(false)
	next("message", `"smoke"`, "")
	next("disconnect", "", "")
	next("command", "", "queued")
	next("connect", "", "")
	next("command", "", "sent")
	next("command", "", "done")
}
