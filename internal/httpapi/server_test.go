package httpapi_test

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

func TestPathsAndMethods(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		for _, test := range []struct {
			method, path string
			status       int
			allow        string
		}{
			{"GET", "/nowhere", 404, ""},
			{"GET", "/v1/devices/", 404, ""},
			{"GET", "/v1/devices/a/b", 404, ""},
			{"GET", "//v1/devices", 404, ""},
			{"GET", "/v1/./devices", 404, ""},
			{"GET", "/v1/devices/../devices", 404, ""},
			{"GET", "/metrics", 404, ""}, // none are configured
			{"GET", "/v1/devices%2Fa", 404, ""},
			{"POST", "/v1/devices", 405, "GET, HEAD"},
			{"PUT", "/v1/devices/a/ask", 405, "POST"},
			{"GET", "/v1/devices/a/connection", 405, "DELETE"},
			{"OPTIONS", "/v1/broadcast", 405, "POST"},
			{"TRACE", "/healthz", 405, "GET, HEAD"},
			{"BREW", "/v1/drain", 405, "POST"},
		} {
			got := s.do(test.method, test.path, "")
			if got.status != test.status || got.header.Get("Allow") != test.allow || got.header.Get("Content-Type") != "application/problem+json" ||
				!strings.HasPrefix(got.body, fmt.Sprintf(`{"type":"about:blank","title":"%s","status":%d,"detail":"`, http.StatusText(test.status), test.status)) {
				t.Errorf("%s %s: %+v", test.method, test.path, got)
			}
		}
		got := s.do("HEAD", "/v1/devices", "")
		if got.status != 200 || got.body != "" || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%+v", got)
		}
		for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"} {
			if got.header.Get(name) != want {
				t.Errorf("%s: %q", name, got.header.Get(name))
			}
		}
		if got := s.do("GET", "/v1/devices", "", header("Accept", "application/cbor, text/html;q=0.9")); got.header.Get("Content-Type") != "application/json" {
			t.Errorf("%+v", got)
		}
	})
}

// A parameter that is understood in one of two ways, or in none, is nothing to go on with.
func TestParameters(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.board(longwire.Hello{ID: "a"}, nil)
		for query, detail := range map[string]string{
			"online=true&online=false":   `"online" is there twice`,
			"limit=1&limit=1":            `"limit" is there twice`,
			"search=a&search=":           `"search" is there twice`,
			"search=b&se%61rch=a":        `"search" is there twice`,
			"prefix=%zz":                 "cannot be read",
			"online=true&prefix=%a":      "cannot be read",
			"prefix=b;online=false":      "cannot be read",
			"online=true;online=false":   "cannot be read",
			"x=1&x=2":                    `"x" is there twice`,
			"x=1":                        "unknown query parameter",
			"online=true&Online=true":    "unknown query parameter",
			"limit=10&limit%5B%5D=10":    "unknown query parameter",
			"online=maybe":               "online",
			"limit=18446744073709551617": "limit",
		} {
			s.wantProblem(400, detail, "GET", "/v1/devices?"+query, "")
		}
		s.wantProblem(400, "there twice", "GET", "/v1/events?from=0&from=1", "")
		s.wantProblem(400, "there twice", "POST", "/v1/devices/a/commands?wait=1s&wait=2s", `{"type":16}`)
		s.want(200, "GET", "/v1/devices?search=%3B&prefix=&limit=1", "")
	})
}

func TestReload(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.wantProblem(501, "no configuration", "POST", "/v1/reload", "")
	})
	var done httpapi.Reloaded
	var err error
	conf := httpapi.Config{Reload: func() (httpapi.Reloaded, error) { return done, err }}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		if got := s.want(200, "POST", "/v1/reload", ""); fmt.Sprint(got) != "map[applied:[] restart:[]]" {
			t.Errorf("%v", got)
		}
		done = httpapi.Reloaded{Applied: []string{"http.tokens"}, Restart: []string{"listeners.boards.address"}}
		if got := s.want(200, "POST", "/v1/reload", "{}"); fmt.Sprint(got) != "map[applied:[http.tokens] restart:[listeners.boards.address]]" {
			t.Errorf("%v", got)
		}
		err = errors.New("longwire.yaml:3: \x1b[31mack%d\n must be always, asked or never.")
		if got := s.do("POST", "/v1/reload", ""); got.status != 422 || !strings.Contains(got.body, `longwire.yaml:3: \u001b[31mack%d\n must be`) {
			t.Errorf("%+v", got)
		}
	})
}

func TestDrain(t *testing.T) {
	bubble(t, gateway.Config{DrainTimeout: 5 * time.Second}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.want(200, "GET", "/readyz", "")
		c := s.board(named("a"), nil)
		if got := s.want(202, "POST", "/v1/drain", ""); len(got) != 0 {
			t.Errorf("%v", got)
		}
		s.wantProblem(503, "draining", "GET", "/readyz", "")
		s.want(200, "GET", "/healthz", "")
		<-c.Done()
		synctest.Wait()
		s.wantProblem(409, "not connected", "POST", "/v1/devices/a/ask", `{"type":1}`)
		s.want(202, "POST", "/v1/drain", "")
	})
}

// What is in progress when the server stops may end.
func TestStop(t *testing.T) {
	for takes, status := range map[time.Duration]int{3 * time.Second: 200, time.Minute: 0} {
		bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
			answered := make(chan struct{})
			s.board(named("a"), handler(func(*longwire.Message) (any, error) {
				defer close(answered)
				time.Sleep(takes)
				return nil, nil
			}))
			got := make(chan int, 1)
			go func() {
				r, err := s.client.Do(s.request("POST", "/v1/devices/a/ask", `{"type":1,"timeout":"1m"}`))
				if err != nil {
					got <- 0
					return
				}
				r.Body.Close()
				got <- r.StatusCode
			}()
			synctest.Wait()
			began := time.Now()
			s.stopAPI()
			if took := time.Since(began); took > 5100*time.Millisecond {
				t.Errorf("stopped after %v", took)
			}
			if status != <-got {
				t.Errorf("a board that takes %v: not status %d", takes, status)
			}
			<-answered
		})
	}
}

// Profiles need a token, also where nothing else does.
func TestProfiles(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.do("GET", "/debug/pprof/", "")
		if got := s.do("GET", "/debug/pprof/heap", ""); got.status != 404 || !strings.Contains(got.body, "where a token is needed") {
			t.Errorf("%+v", got)
		}
	})
	s := start(t, gateway.Config{}, httpapi.Config{Tokens: hashes("t")}) // takes real time
	right := header("Authorization", "Bearer t")
	for path, want := range map[string]string{"/debug/pprof/": "goroutine", "/debug/pprof/goroutine?debug=1": "goroutine profile", "/debug/pprof/profile?seconds=1": "\x1f\x8b", "/debug/pprof/trace?seconds=0.1": "go 1."} {
		if got := s.do("GET", path, "", right); got.status != 200 || !strings.Contains(got.body, want) {
			t.Errorf("%s: %d %.50q", path, got.status, got.body)
		}
	}
	for _, path := range []string{"/debug/pprof/cmdline", "/debug/pprof/nothing"} {
		if got := s.do("GET", path, "", right); got.status != 404 || got.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %+v", path, got)
		}
	}
}

// raw sends bytes over a connection of its own.
func (s *site) raw(text string) net.Conn {
	s.t.Helper()
	c, err := s.network.Dial(s.t.Context(), httpAddr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { c.Close() })
	io.WriteString(c, text)
	return c
}

// Who dribbles is cut off, and nobody else notices.
func TestSlowRequests(t *testing.T) {
	const ask = "POST /v1/devices/a/ask HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
	for name, test := range map[string]struct {
		conf  httpapi.Config
		begin string
		gone  time.Duration
	}{
		"nothing at all":            {httpapi.Config{}, "", 5 * time.Second},
		"header":                    {httpapi.Config{}, "GET /v1/devices HTTP/1.1\r\nHost: localhost\r\nX: ", 5 * time.Second},
		"body":                      {httpapi.Config{}, ask + "Content-Length: 1000\r\n\r\n", 5 * time.Second},
		"chunks":                    {httpapi.Config{}, ask + "Transfer-Encoding: chunked\r\n\r\nFFFF\r\n", 5 * time.Second},
		"body that nobody reads":    {httpapi.Config{}, "GET /v1/devices HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", 5 * time.Second},
		"body of a stranger":        {httpapi.Config{Tokens: hashes("t")}, ask + "Content-Length: 1000\r\n\r\n", time.Second},
		"body of a stranger's form": {httpapi.Config{}, "POST /v1/drain HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n", time.Second},
		"between requests":          {httpapi.Config{}, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, gateway.Config{}, test.conf, func(t *testing.T, s *site) {
				began := time.Now()
				var all sync.WaitGroup
				for range 200 {
					c := s.raw(test.begin)
					all.Go(func() {
						for test.begin != "" && test.gone < time.Minute {
							time.Sleep(300 * time.Millisecond)
							if _, err := c.Write([]byte(" ")); err != nil {
								break
							}
						}
						io.Copy(io.Discard, c)
						if took := time.Since(began); took < test.gone || took > test.gone+time.Second {
							t.Errorf("gone after %v, want %v", took, test.gone)
						}
					})
				}
				for range 10 {
					before := time.Now()
					s.want(200, "GET", "/healthz", "")
					if took := time.Since(before); took > 100*time.Millisecond {
						t.Errorf("another request took %v", took)
					}
					time.Sleep(time.Second)
				}
				all.Wait()
			})
		})
	}
}

// A connection whose response nobody reads does not stay.
func TestResponseThatNobodyReads(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		s.network.BufferSize = 64
		for i := range 50 {
			s.board(named(fmt.Sprint("b", i)), nil)
		}
		began := time.Now()
		c := s.raw("GET /v1/devices HTTP/1.1\r\nHost: localhost\r\n\r\n")
		time.Sleep(2 * time.Minute)
		b, err := io.ReadAll(c)
		if err != nil || len(b) > 100 {
			t.Errorf("%d bytes, %v, after %v", len(b), err, time.Since(began))
		}
		if log := s.log.String(); log != "" { // a stranger cannot fill it
			t.Error(log)
		}
	})
}

func TestConnectionsAreLimited(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		var idle []net.Conn
		for range 1024 {
			idle = append(idle, s.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"))
			synctest.Wait()
		}
		began := time.Now()
		idle[3].Close()
		s.want(200, "GET", "/healthz", "")
		if took := time.Since(began); took > time.Second {
			t.Errorf("after %v", took)
		}
		// One more has to wait until there is room.
		next := s.raw("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
		status, err := bufio.NewReader(next).ReadString('\n')
		if took := time.Since(began); err != nil || !strings.Contains(status, "200") || took < 50*time.Second || took > time.Minute {
			t.Errorf("%q, %v after %v", status, err, took)
		}
	})
}

// What all bodies may hold together is limited by what has arrived of them.
func TestBodiesAreLimited(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		half := strings.Repeat("x", 1<<19)
		for range 127 {
			go s.raw("POST /v1/broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n" + half)
		}
		synctest.Wait()
		s.wantProblem(400, "not JSON", "POST", "/v1/broadcast", half)
		go s.raw("POST /v1/broadcast HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1048576\r\n\r\n" + half)
		synctest.Wait()
		s.wantProblem(503, "too large together", "POST", "/v1/broadcast", half)
		time.Sleep(11 * time.Second)
		s.wantProblem(400, "not JSON", "POST", "/v1/broadcast", half)
	})
}

// The handler of a request may fail without taking the server along.
func TestPanic(t *testing.T) {
	conf := httpapi.Config{Metrics: http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("oops") })}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		got := s.do("GET", "/metrics", "")
		if got.status != 500 || strings.Contains(got.body, "oops") || !strings.Contains(got.body, `"status":500`) {
			t.Errorf("%+v", got)
		}
		s.want(200, "GET", "/healthz", "")
		if log := s.log.String(); !strings.Contains(log, `"panic":"oops"`) || !strings.Contains(log, `"pattern"`) {
			t.Error(log)
		}
	})
}

// Deep JSON is refused before anything of it is in memory a second time.
func TestDeepBody(t *testing.T) {
	deep := slices.Concat([]byte(`{"type":1,"data":`), slices.Repeat([]byte{'['}, 1<<20-100))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	const n = 100
	for range n {
		if err := httpapi.Decode(deep); err == nil || !strings.Contains(err.Error(), "more than 31") {
			t.Fatal(err)
		}
	}
	took := time.Since(began)
	if runtime.ReadMemStats(&after); after.TotalAlloc-before.TotalAlloc > n*4<<10 || took > n*10*time.Millisecond {
		t.Errorf("%d bytes and %v each", (after.TotalAlloc-before.TotalAlloc)/n, took/n)
	}
}
