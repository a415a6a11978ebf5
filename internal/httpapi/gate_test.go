package httpapi_test

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// Without a token what a browser would send for a page of others is refused.
func TestHostAndOrigin(t *testing.T) {
	conf := httpapi.Config{AllowedHosts: []string{"gateway.internal"}}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		for _, test := range []struct {
			name, value string
			status      int
		}{
			{"Host", "localhost", 200},
			{"Host", "LOCALHOST:10380", 200},
			{"Host", "127.0.0.1", 200},
			{"Host", "127.9.9.9:80", 200},
			{"Host", "[::1]", 200},
			{"Host", "[::1]:10380", 200},
			{"Host", "gateway.internal:10380", 200},
			{"Host", "Gateway.Internal", 200},
			{"Host", "evil.example", 403},
			{"Host", "localhost.evil.example", 403},
			{"Host", "evil.localhost", 403},
			{"Host", "127.0.0.1.evil.example:10380", 403},
			{"Host", "localhost:10380.evil.example", 403},
			{"Host", "128.0.0.1", 403},
			{"Host", "127.1", 403},
			{"Host", "0.0.0.0:10380", 403},
			{"Host", "[::]:10380", 403},
			{"Host", "192.0.2.1:10380", 403},
			{"Host", ":10380", 403},
			{"Host", "localhost.", 403},
			{"Origin", "http://localhost:3000", 200},
			{"Origin", "https://127.0.0.1", 200},
			{"Origin", "http://[::1]:8080", 200},
			{"Origin", "https://gateway.internal", 200},
			{"Origin", "https://evil.example", 403},
			{"Origin", "http://localhost.evil.example", 403},
			{"Origin", "http://localhost@evil.example", 403},
			{"Origin", "null", 403},
			{"Origin", "file://", 403},
			{"Origin", "localhost", 403},
			{"Sec-Fetch-Site", "cross-site", 403},
			{"Sec-Fetch-Site", "same-site", 200},
			{"Sec-Fetch-Site", "same-origin", 200},
			{"Sec-Fetch-Site", "none", 200},
		} {
			for _, path := range []string{"/v1/devices", "/healthz", "/v1/openapi.json"} {
				got := s.do("GET", path, "", header(test.name, test.value))
				if got.status != test.status || strings.Contains(got.body, "evil") {
					t.Errorf("%s with %s: %q: %d %s, want %d", path, test.name, test.value, got.status, got.body, test.status)
				}
			}
			if test.status != 403 {
				continue
			}
			// Nothing that changes something comes through either.
			s.wantProblem(403, "", "POST", "/v1/drain", "", header(test.name, test.value))
			s.want(200, "GET", "/readyz", "")
		}
		if got := s.do("GET", "/v1/devices", "", header("Origin", "http://localhost:3000")); got.header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%v", got.header)
		}
	})
}

func TestTokens(t *testing.T) {
	conf := httpapi.Config{Tokens: hashes("secret-1", "secret-2"), Metrics: http.NotFoundHandler()}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		for _, path := range []string{"/healthz", "/readyz"} {
			if got := s.do("GET", path, ""); got.status != 200 || !got.closed {
				t.Errorf("%s: %+v", path, got)
			}
		}
		routes := append(s.api.Routes(), "GET /v1/openapi.json", "GET /metrics", "GET /debug/pprof/", "GET /nowhere", "BREW /v1/devices")
		for _, route := range routes {
			method, path, _ := strings.Cut(route, " ")
			if path == "/healthz" || path == "/readyz" || path == "/v1/session" {
				continue
			}
			path = strings.ReplaceAll(path, "{id}", "a")
			for _, authorization := range []string{"", "Bearer", "Bearer ", "Basic c2VjcmV0LTE6", "secret-1", "Bearer secret", "Bearer secret-1 x", "Bearer SECRET-1"} {
				got := s.do(method, path, "", header("Authorization", authorization))
				challenge := got.header.Get("WWW-Authenticate")
				if got.status != 401 || !got.closed || !strings.HasPrefix(challenge, `Bearer realm="longwire"`) || strings.Contains(got.body, "secret") {
					t.Errorf("%s with %q: %d %s %s", route, authorization, got.status, got.body, challenge)
				}
			}
		}
		// A browser may come from anywhere: it cannot send a token that it has not been given.
		for _, authorization := range []string{"Bearer secret-1", "bearer secret-2", "BEARER  secret-1"} {
			s.want(200, "GET", "/v1/devices", "", header("Authorization", authorization), header("Host", "gateway.example"))
		}
		s.want(202, "POST", "/v1/drain", "", header("Authorization", "Bearer secret-2"))
		log := s.log.String()
		if !strings.Contains(log, `"drain over HTTP","by":"who has secret-2"`) || !strings.Contains(log, `"msg":"wrong token"`) {
			t.Error(log)
		}
		if n := strings.Count(log, "wrong token"); n != 1 { // in one second
			t.Errorf("%d lines", n)
		}

		// Others may be right from the next request on.
		if err := s.api.SetTokens(hashes("secret-3")); err != nil {
			t.Error(err)
		}
		s.want(200, "GET", "/v1/devices", "", header("Authorization", "Bearer secret-3"))
		s.want(401, "GET", "/v1/devices", "", header("Authorization", "Bearer secret-1"))
		if err := s.api.SetTokens(nil); err == nil {
			t.Error("no token, and no error")
		}
		s.want(200, "GET", "/v1/devices", "", header("Authorization", "Bearer secret-3"))
	})
}

func TestNewNeedsTokenOffLoopback(t *testing.T) {
	g, err := gateway.New(&gateway.Config{}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := httpapi.New(g, httpapi.Config{}); err == nil {
		t.Error("open to everybody")
	}
	for _, c := range []httpapi.Config{{Loopback: true}, {Tokens: hashes("x")}} {
		if _, err := httpapi.New(g, c); err != nil {
			t.Error(err)
		}
	}
}

// Who guesses is locked out; who has an old token, and whoever shares this machine with a
// guesser, is not.
func TestGuesses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, gateway.Config{}, httpapi.Config{Tokens: hashes("right")})
		try := func(from, token string) int {
			r := httptest.NewRequest("GET", "/v1/devices", nil)
			r.RemoteAddr = from
			r.Header.Set("Authorization", "Bearer "+token)
			w := httptest.NewRecorder()
			s.api.ServeHTTP(w, r)
			return w.Code
		}
		const guesser, neighbour = "192.0.2.1:999", "192.0.2.2:999"
		for range 100 {
			if got := try(guesser, "old"); got != 401 {
				t.Fatalf("the same token again: %d", got)
			}
		}
		if got := try(guesser, "right"); got != 200 {
			t.Error(got)
		}
		counts := make(map[int]int)
		for i := range 100 {
			counts[try(guesser, fmt.Sprint("guess ", i))]++
		}
		if counts[401] != 9 || counts[429] != 91 { // the old one was the first of ten
			t.Errorf("%v", counts)
		}
		if a, b := try(guesser, "right"), try(neighbour, "right"); a != 429 || b != 200 {
			t.Errorf("%d, and the neighbour %d", a, b)
		}
		time.Sleep(time.Minute)
		if got := try(guesser, "right"); got != 200 {
			t.Error(got)
		}

		// One network of IPv6 is one guesser.
		for i := range 10 {
			try(fmt.Sprintf("[2001:db8::%d]:1", i), fmt.Sprint(i))
		}
		if a, b := try("[2001:db8::ffff]:1", "right"), try("[2001:db8:0:1::]:1", "right"); a != 429 || b != 200 {
			t.Errorf("%d, and the other network %d", a, b)
		}
		for _, local := range []string{"127.0.0.1:1", "[::1]:1", "[::ffff:127.0.0.1]:1"} {
			for i := range 100 {
				if got := try(local, fmt.Sprint("guess ", i)); got != 401 {
					t.Fatalf("%s: %d", local, got)
				}
			}
			if got := try(local, "right"); got != 200 {
				t.Errorf("%s: %d", local, got)
			}
		}
		// However many guess, the right token is let in.
		for i := range 5000 {
			try(fmt.Sprintf("10.0.%d.%d:1", i/250, i%250), "guess")
		}
		if got := try(neighbour, "right"); got != 200 {
			t.Error(got)
		}
	})
}

// A secret that was sent stands nowhere.
func TestSecretsStayOut(t *testing.T) {
	const secret = "canary-5f0c"
	conf := httpapi.Config{Tokens: hashes(secret)}
	conf.Tokens["somebody"] = sha256.Sum256([]byte("another"))
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		right := header("Authorization", "Bearer "+secret)
		paths := []string{"/v1/devices", "/v1/openapi.json", "/debug/pprof/", "/debug/pprof/goroutine?debug=2", "/debug/pprof/cmdline", "/v1/devices/" + secret + "x"}
		for _, path := range paths {
			if got := s.do("GET", path, "", right); strings.Contains(got.body, secret) {
				t.Errorf("%s: %s", path, got.body)
			}
			s.do("GET", path, "", header("Authorization", "Bearer "+secret+"-wrong"))
		}
		s.want(400, "POST", "/v1/devices/a/ask", `{"type":1,"`+"x"+`":"`+secret+`"}`, right)
		if log := strings.ReplaceAll(s.log.String(), "who has "+secret, ""); strings.Contains(log, secret) {
			t.Error(log)
		}
	})
}
