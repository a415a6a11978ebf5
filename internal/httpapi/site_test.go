package httpapi_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
	"github.com/longwire/longwire/longwiretest"
)

// A site is a gateway at work, its HTTP side and a network in memory that both are on.
type site struct {
	t       testing.TB
	g       *gateway.Gateway
	api     *httpapi.Server
	network longwiretest.Network
	client  *http.Client
	log     logbook
	stopAPI func() // and wait
}

const (
	boardAddr = "127.0.0.1:10302"
	httpAddr  = "127.0.0.1:10380"
)

// start begins to serve, until the test ends.
func start(t testing.TB, gc gateway.Config, hc httpapi.Config) *site {
	t.Helper()
	return startWith(t, gc, hc, nil)
}

// startWith is start, and has a look at the gateway before it serves.
func startWith(t testing.TB, gc gateway.Config, hc httpapi.Config, prepare func(*site, *httpapi.Config)) *site {
	t.Helper()
	s := &site{t: t}
	boards, err := s.network.Listen(boardAddr)
	if err != nil {
		t.Fatal(err)
	}
	web, err := s.network.Listen(httpAddr)
	if err != nil {
		t.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(&s.log, nil))
	if gc.Listeners == nil {
		gc.Listeners = []gateway.Listener{{Name: "boards"}}
	}
	gc.Listeners[0].Socket = boards
	gc.Listeners[0].Library.PoisonData = true
	if s.g, err = gateway.New(&gc, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	if prepare != nil {
		prepare(s, &hc)
	}
	if hc.Tokens == nil {
		hc.Loopback = true
	}
	hc.Logger = logger
	if s.api, err = httpapi.New(s.g, hc); err != nil {
		t.Fatal(err)
	}
	stopBoards := s.serve(func(ctx context.Context) error { return s.g.Serve(ctx, ctx) })
	s.stopAPI = s.serve(func(ctx context.Context) error { return s.api.Serve(ctx, web) })
	transport := &http.Transport{DialContext: s.network.DialContext, MaxIdleConnsPerHost: 2000}
	s.client = &http.Client{Transport: transport}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		stopBoards()
		s.stopAPI()
	})
	return s
}

// serve runs something until the function that it returns is called.
func (s *site) serve(run func(context.Context) error) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			s.t.Error(err)
		}
	})
}

// bubble runs a test with a site in fake time.
func bubble(t *testing.T, gc gateway.Config, hc httpapi.Config, test func(t *testing.T, s *site)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { test(t, start(t, gc, hc)) })
}

// A reply is a response that has been read.
type reply struct {
	status int
	header http.Header
	body   string
	closed bool // the server hangs up
}

// do sends a request. What it changes beforehand is for the tests of other headers.
func (s *site) do(method, path, body string, change ...func(*http.Request)) reply {
	s.t.Helper()
	r := s.request(method, path, body)
	for _, f := range change {
		f(r)
	}
	got, err := s.client.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	b, err := io.ReadAll(got.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return reply{got.StatusCode, got.Header, string(b), got.Close}
}

func (s *site) request(method, path, body string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, "http://"+httpAddr+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

// want sends a request whose response must have a status and be as the API is described. It
// returns the body, decoded.
func (s *site) want(status int, method, path, body string, change ...func(*http.Request)) map[string]any {
	s.t.Helper()
	got := s.do(method, path, body, change...)
	if got.status != status {
		s.t.Fatalf("%s %s: %d %s, want %d", method, path, got.status, got.body, status)
	}
	s.described(method, path, got)
	if status == http.StatusNoContent {
		if got.body != "" {
			s.t.Errorf("%s %s: %q", method, path, got.body)
		}
		return nil
	}
	var fields map[string]any
	if err := json.Unmarshal([]byte(got.body), &fields); err != nil {
		s.t.Fatalf("%s %s: %q: %v", method, path, got.body, err)
	}
	if status >= 400 {
		detail, _ := fields["detail"].(string)
		if fields["type"] != "about:blank" || fields["title"] != http.StatusText(status) || fields["status"] != float64(status) || !strings.HasSuffix(detail, ".") || len(fields) != 4 {
			s.t.Errorf("%s %s: %s", method, path, got.body)
		}
	}
	return fields
}

// described checks a response against the description of the API.
func (s *site) described(method, path string, got reply) {
	s.t.Helper()
	path, _, _ = strings.Cut(path, "?")
	pattern := path
	if rest, is := strings.CutPrefix(path, "/v1/devices/"); is {
		_, after, deeper := strings.Cut(rest, "/")
		if pattern = "/v1/devices/{id}"; deeper {
			pattern += "/" + after
			if strings.HasPrefix(after, "commands/") {
				pattern = "/v1/devices/{id}/commands/{cid}"
				if strings.HasSuffix(after, "/retry") {
					pattern += "/retry"
				}
			}
		}
	}
	if strings.HasPrefix(path, "/nowhere") || got.status == http.StatusMethodNotAllowed {
		return
	}
	if err := s.api.WrongResponse(method, pattern, got.status, got.header.Get("Content-Type"), []byte(got.body)); err != nil {
		s.t.Error(err)
	}
}

// wantProblem is want for what must fail, and for a part of the reason.
func (s *site) wantProblem(status int, detail, method, path, body string, change ...func(*http.Request)) {
	s.t.Helper()
	if got, _ := s.want(status, method, path, body, change...)["detail"].(string); !strings.Contains(got, detail) {
		s.t.Errorf("%s %s %s: %q, want %q in it", method, path, body, got, detail)
	}
}

// board connects a board that says hello.
func (s *site) board(hello longwire.Hello, h longwire.Handler) *longwire.Conn {
	s.t.Helper()
	cl := &longwire.Client{Addr: boardAddr, DialContext: s.network.DialContext, Hello: &hello, Handler: h}
	c, err := cl.Dial(s.t.Context())
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	})
	return c
}

// plainBoard connects a board that says nothing of itself, and returns its id.
func (s *site) plainBoard() (c net.Conn, id string) {
	s.t.Helper()
	after := s.g.LastEvent()
	c, err := s.network.Dial(s.t.Context(), boardAddr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	events, _, err := s.g.Events(after).Next(s.t.Context(), 1)
	if err != nil {
		s.t.Fatal(err)
	}
	return c, events[0].Device
}

// named is a hello with no more than an id.
func named(id string) longwire.Hello { return longwire.Hello{ID: id} }

func handler(f func(m *longwire.Message) (any, error)) longwire.Handler {
	return longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) { return f(m) })
}

// echo answers with the question's data.
var echo = handler(func(m *longwire.Message) (any, error) { return json.RawMessage(bytes.Clone(m.Payload())), nil })

func hashes(of ...string) map[string][sha256.Size]byte {
	hashed := make(map[string][sha256.Size]byte)
	for _, token := range of {
		hashed["who has "+token] = sha256.Sum256([]byte(token))
	}
	return hashed
}

func header(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if name == "Host" {
			r.Host = value
		} else {
			r.Header.Set(name, value)
		}
	}
}

// A logbook is a log that may be read while it is written.
type logbook struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logbook) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
