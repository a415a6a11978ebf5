package client_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/internal/client"
	"github.com/longwire/longwire/internal/gateway"
)

func newClient(t *testing.T, c client.Config) *client.Client {
	t.Helper()
	cl, err := client.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return cl
}

// serve serves requests until the test ends.
func serve(t *testing.T, h http.HandlerFunc) *httptest.Server {
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	return s
}

func TestParseAddress(t *testing.T) {
	for text, want := range map[string]string{
		"http://127.0.0.1:10380":          "http://127.0.0.1:10380",
		"http://127.0.0.1:10380/":         "http://127.0.0.1:10380",
		"https://gateway.example":         "https://gateway.example",
		"HTTPS://gateway.example/plant//": "https://gateway.example/plant",
		"http://[::1]:10380":              "http://[::1]:10380",
	} {
		if got, err := client.ParseAddress(text); err != nil || got != want {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
	for _, text := range []string{
		"", "127.0.0.1:10380", "localhost", "ftp://localhost", "http://", "http://:10380", "http://a b", "http:///v1",
		"http://name:secret@localhost", "http://localhost?token=secret", "http://localhost/#secret", "http://localhost?", "http://\x1b[31m",
	} {
		if got, err := client.ParseAddress(text); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %q, %v", text, got, err)
		}
	}
}

func TestIsToken(t *testing.T) {
	for _, text := range []string{"t", "kPm3_-~+/=.", strings.Repeat("x", 4096)} {
		if !client.IsToken(text) {
			t.Errorf("%q is none", text)
		}
	}
	for _, text := range []string{"", "a b", "a\n", "a\r\nX-Other: b", "ä", strings.Repeat("x", 4097)} {
		if _, err := client.New(client.Config{Address: "http://localhost", Token: text}); client.IsToken(text) || err == nil && text != "" {
			t.Errorf("%q is one", text)
		}
	}
}

// Every request says who asks; the token goes into the header and nowhere else.
func TestRequestHeader(t *testing.T) {
	var got *http.Request
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		got = r
		io.WriteString(w, "{}")
	})
	c := newClient(t, client.Config{Address: s.URL + "/plant/", Token: "secret", UserAgent: "longwire/1"})
	if _, err := c.Device(t.Context(), "a/../b"); err != nil {
		t.Fatal(err)
	}
	if got.RequestURI != "/plant/v1/devices/a%2F..%2Fb" || got.Header.Get("Authorization") != "Bearer secret" || got.UserAgent() != "longwire/1" {
		t.Errorf("%s %v", got.RequestURI, got.Header)
	}
}

// All pages are read, whatever their size.
func TestDevicesPages(t *testing.T) {
	const all = 2500
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if q.Get("online") != "false" || q.Get("group") != "line 1" || q.Get("prefix") != "meter-" || q.Has("listener") {
			t.Errorf("query %v", q)
		}
		limit, _ := strconv.Atoi(q.Get("limit"))
		first, _ := strconv.Atoi(q.Get("cursor"))
		last, next := min(first+limit, all), ""
		if last < all {
			next = strconv.Itoa(last)
		}
		ids := []map[string]any{}
		for i := first; i < last; i++ {
			ids = append(ids, map[string]any{"id": strconv.Itoa(i), "new": true})
		}
		json.NewEncoder(w).Encode(map[string]any{"devices": ids, "next": next})
	})
	c := newClient(t, client.Config{Address: s.URL})
	n, online := 0, false
	for body, err := range c.Devices(t.Context(), client.Filter{Online: &online, Group: "line 1", Prefix: "meter-"}) {
		if want := fmt.Sprintf(`{"id":"%d","new":true}`, n); err != nil || string(body) != want {
			t.Fatalf("%s, %v; want %s", body, err, want)
		}
		n++
	}
	if n != all {
		t.Errorf("%d devices", n)
	}
}

// Pages of a ranking follow each other by number, and there are no more devices than are wanted.
func TestDevicesRanked(t *testing.T) {
	for _, test := range []struct{ all, limit, want, requests int }{
		{2500, 0, 2500, 3},
		{2000, 0, 2000, 2},
		{0, 0, 0, 1},
		{2500, 10, 10, 1},
		{2500, 1500, 1500, 2},
		{3, 10, 3, 1},
	} {
		requests := 0
		s := serve(t, func(w http.ResponseWriter, r *http.Request) {
			requests++
			q := r.URL.Query()
			if q.Get("sort") != "-bytes_in" || q.Get("search") != "hall 1" || q.Has("cursor") {
				t.Errorf("query %v", q)
			}
			limit, _ := strconv.Atoi(q.Get("limit"))
			first, _ := strconv.Atoi(q.Get("offset"))
			ids := []map[string]any{}
			for i := first; i < min(first+limit, test.all); i++ {
				ids = append(ids, map[string]any{"id": strconv.Itoa(i)})
			}
			json.NewEncoder(w).Encode(map[string]any{"devices": ids, "next": "", "total": test.all})
		})
		n := 0
		for body, err := range newClient(t, client.Config{Address: s.URL}).Devices(t.Context(), client.Filter{Search: "hall 1", Sort: "-bytes_in", Limit: test.limit}) {
			if want := fmt.Sprintf(`{"id":"%d"}`, n); err != nil || string(body) != want {
				t.Fatalf("%s, %v; want %s", body, err, want)
			}
			n++
		}
		if n != test.want || requests != test.requests {
			t.Errorf("%+v: %d devices in %d requests", test, n, requests)
		}
	}
}

// A gateway that never comes to an end does not keep us for ever.
func TestDevicesSamePage(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, `{"devices":[{}],"next":"again"}`) })
	n := 0
	var last error
	for _, last = range newClient(t, client.Config{Address: s.URL}).Devices(t.Context(), client.Filter{}) {
		n++
	}
	if n != 3 || last == nil {
		t.Errorf("%d devices, %v", n, last)
	}
}

func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		about      string
		status     int
		kind, body string
		header     http.Header
		problem    *client.Problem
		strange    *client.StrangeError
	}{
		{about: "a problem", status: 409, kind: "application/problem+json", body: `{"detail":"The device is not connected.","title":"Conflict"}`,
			problem: &client.Problem{Status: 409, Detail: "The device is not connected."}},
		{about: "a problem in a few words", status: 500, kind: "application/problem+json; charset=utf-8", body: `{"title":"Internal Server Error"}`,
			problem: &client.Problem{Status: 500, Detail: "Internal Server Error"}},
		{about: "later", status: 429, kind: "application/problem+json", body: `{"detail":"…"}`, header: http.Header{"Retry-After": {"60"}},
			problem: &client.Problem{Status: 429, Detail: "…", RetryAfter: time.Minute}},
		{about: "something else", status: 502, kind: "text/html", body: `<html>`, strange: &client.StrangeError{Status: 502}},
		{about: "a problem that is none", status: 404, kind: "application/problem+json", body: `[1]`, strange: &client.StrangeError{Status: 404}},
		{about: "a page", status: 200, kind: "text/html", body: `<html>`, strange: &client.StrangeError{Status: 200}},
		{about: "nothing", status: 200, strange: &client.StrangeError{Status: 200}},
		{about: "elsewhere", status: 307, header: http.Header{"Location": {"/there"}}, strange: &client.StrangeError{Status: 307, Location: "/there"}},
	} {
		t.Run(test.about, func(t *testing.T) {
			requests := 0
			s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
				requests++
				maps.Copy(w.Header(), test.header)
				w.Header().Set("Content-Type", test.kind)
				w.WriteHeader(test.status)
				io.WriteString(w, test.body)
			})
			_, err := newClient(t, client.Config{Address: s.URL, Token: "secret"}).Device(t.Context(), "meter-7")
			if requests != 1 {
				t.Errorf("%d requests", requests)
			}
			if p, _ := errors.AsType[*client.Problem](err); test.problem != nil && (p == nil || *p != *test.problem) {
				t.Errorf("%#v", err)
			}
			if p, _ := errors.AsType[*client.StrangeError](err); test.strange != nil && (p == nil || *p != *test.strange) {
				t.Errorf("%#v", err)
			}
		})
	}
}

func TestNobodyThere(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l.Close()
	_, err = newClient(t, client.Config{Address: "http://" + l.Addr().String()}).Device(t.Context(), "meter-7")
	if e, ok := errors.AsType[*client.TransportError](err); !ok || !e.Dialling {
		t.Errorf("%#v", err)
	}
}

// When a connection ends early, nobody knows what was done.
func TestHangsUp(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { panic(http.ErrAbortHandler) })
	err := newClient(t, client.Config{Address: s.URL}).Drain(t.Context())
	if e, ok := errors.AsType[*client.TransportError](err); !ok || e.Dialling {
		t.Errorf("%#v", err)
	}
}

// A request ends in time, in the time that a device may take besides.
func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		never := func(r *http.Request) (*http.Response, error) {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
		s := &scripted{t: t, responses: []func(*http.Request) (*http.Response, error){never, never, never}}
		c := s.client()
		for _, test := range []struct {
			call func(context.Context) error
			took time.Duration
		}{
			{c.Drain, 15 * time.Second},
			{func(ctx context.Context) error {
				_, err := c.Ask(ctx, "meter-7", client.Message{Type: "16"}, "", 30*time.Second)
				return err
			}, 45 * time.Second},
			{func(ctx context.Context) error {
				return c.Push(ctx, "meter-7", client.Message{Type: "16"}, time.Minute)
			}, 75 * time.Second},
		} {
			began := time.Now()
			if err := test.call(t.Context()); !errors.Is(err, client.ErrSilent) || time.Since(began) != test.took {
				t.Errorf("%v after %v, want after %v", err, time.Since(began), test.took)
			}
		}
	})
}

func TestTLS(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{}") }))
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	roots := x509.NewCertPool()
	roots.AddCert(s.Certificate())

	_, err := newClient(t, client.Config{Address: s.URL, Roots: roots}).Device(t.Context(), "meter-7")
	if err != nil {
		t.Error(err)
	}
	_, err = newClient(t, client.Config{Address: s.URL}).Device(t.Context(), "meter-7")
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); !ok {
		t.Errorf("of an authority that nobody knows: %v", err)
	}
	other := strings.Replace(s.URL, "127.0.0.1", "localhost", 1)
	_, err = newClient(t, client.Config{Address: other, Roots: roots}).Device(t.Context(), "meter-7")
	if _, ok := errors.AsType[x509.HostnameError](err); !ok {
		t.Errorf("under another name: %v", err)
	}
	plain := strings.Replace(s.URL, "https", "http", 1)
	_, err = newClient(t, client.Config{Address: plain}).Device(t.Context(), "meter-7")
	if e, ok := errors.AsType[*client.StrangeError](err); !ok || !e.WantsTLS {
		t.Errorf("without TLS: %v", err)
	}
	p := serve(t, func(http.ResponseWriter, *http.Request) {})
	_, err = newClient(t, client.Config{Address: strings.Replace(p.URL, "http", "https", 1)}).Device(t.Context(), "meter-7")
	if !errors.Is(err, http.ErrSchemeMismatch) {
		t.Errorf("where there is no TLS: %v", err)
	}
}

// What is not UTF-8 in a response could be more than text to a terminal.
func TestResponseIsText(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "{\"id\":\"\x9b31m\"}") })
	body, err := newClient(t, client.Config{Address: s.URL}).Device(t.Context(), "meter-7")
	if err != nil || string(body) != "{\"id\":\"\uFFFD31m\"}" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestBodies(t *testing.T) {
	var bodies []string
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies = append(bodies, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("Idempotency-Key")+string(body))
		io.WriteString(w, `{"queued":3,"full":2,"misfit":4,"away":1,"applied":["ack"],"restart":["data"]}`)
	})
	c := newClient(t, client.Config{Address: s.URL})
	ctx := t.Context()
	data := client.Message{Type: "rom", Data: json.RawMessage(`{"a":1}`)}
	_, err := c.Ask(ctx, "m", data, "type", 5*time.Second)
	_, err2 := c.Ask(ctx, "m", client.Message{Type: "16", Raw: []byte{}}, "", 0)
	err3 := c.Push(ctx, "m", client.Message{Type: "0x10", Raw: []byte("on")}, time.Second)
	counts, _, err4 := c.Broadcast(ctx, client.Target{Groups: []string{"a"}, IDs: []string{"b"}}, data)
	_, _, err5 := c.Broadcast(ctx, client.Target{All: true}, data)
	done, _, err6 := c.Reload(ctx)
	command := client.Command{Message: data, Match: "type", TTL: time.Hour, Timeout: time.Second, Attempts: 2, Key: "k 1"}
	_, err7 := c.PutCommand(ctx, "m", command, 5*time.Second)
	_, err8 := c.PutCommand(ctx, "m", client.Command{Message: data}, 0)
	placed, _, err9 := c.PutCommands(ctx, client.Target{All: true}, command)
	_, err10 := c.Command(ctx, "m", "c", time.Second)
	_, err11 := c.CancelCommand(ctx, "m", "c")
	_, err12 := c.Store(ctx)
	_, err13 := c.Stats(ctx, time.Time{})
	_, err14 := c.Stats(ctx, time.Date(2026, 1, 2, 3, 4, 5, 6, time.FixedZone("", 3600)))
	if err := errors.Join(err, err2, err3, err4, err5, err6, err7, err8, err9, err10, err11, err12, err13, err14, c.Drain(ctx), c.Kick(ctx, "m")); err != nil {
		t.Fatal(err)
	}
	if counts != (gateway.BroadcastCounts{Queued: 3, Full: 2, Misfit: 4, Away: 1}) || !slices.Equal(done.Applied, []string{"ack"}) || !slices.Equal(done.Restart, []string{"data"}) || placed.Queued != 3 {
		t.Errorf("%+v, %+v", counts, done)
	}
	want := []string{
		`POST /v1/devices/m/ask {"type":"rom","data":{"a":1},"timeout":"5s","match":"type"}`,
		`POST /v1/devices/m/ask {"type":"16","raw":""}`,
		`POST /v1/devices/m/push {"type":"0x10","raw":"b24=","timeout":"1s"}`,
		`POST /v1/broadcast {"to":{"ids":["b"],"groups":["a"]},"type":"rom","data":{"a":1}}`,
		`POST /v1/broadcast {"to":{"all":true},"type":"rom","data":{"a":1}}`,
		`POST /v1/reload `,
		`POST /v1/devices/m/commands?wait=5s k 1{"type":"rom","data":{"a":1},"timeout":"1s","match":"type","ttl":"1h0m0s","attempts":2}`,
		`POST /v1/devices/m/commands {"type":"rom","data":{"a":1}}`,
		`POST /v1/commands k 1{"to":{"all":true},"type":"rom","data":{"a":1},"timeout":"1s","match":"type","ttl":"1h0m0s","attempts":2}`,
		`GET /v1/devices/m/commands/c?wait=1s `,
		`DELETE /v1/devices/m/commands/c `,
		`GET /v1/store `,
		`GET /v1/stats `,
		`GET /v1/stats?since=2026-01-02T02%3A04%3A05.000000006Z `,
		`POST /v1/drain `,
		`DELETE /v1/devices/m/connection `,
	}
	for i, w := range want {
		if bodies[i] != w {
			t.Errorf("%s\nwant %s", bodies[i], w)
		}
	}
}

// A gateway that does not want a body responds before it has read it.
func TestLargeBody(t *testing.T) {
	s := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Connection", "close")
		w.Header().Set("Content-Type", "application/problem+json")
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		io.WriteString(w, `{"detail":"The body has more than 1048576 bytes."}`)
	})
	err := newClient(t, client.Config{Address: s.URL}).Push(t.Context(), "m", client.Message{Type: "1", Raw: make([]byte, 2<<20)}, 0)
	if p, ok := errors.AsType[*client.Problem](err); !ok || p.Status != http.StatusRequestEntityTooLarge {
		t.Errorf("%v", err)
	}
}
