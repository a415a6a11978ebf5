package httpapi_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
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

var secret = []byte("0123456789abcdef0123456789abcdef")

// logIn begins a session and returns its cookie.
func (s *site) logIn(token string) *http.Cookie {
	s.t.Helper()
	got := s.do("POST", "/v1/session", fmt.Sprintf(`{"token":%q}`, token), header("Sec-Fetch-Site", "same-origin"))
	cookies := (&http.Response{Header: got.header}).Cookies()
	if got.status != 204 || len(cookies) != 1 {
		s.t.Fatalf("%+v", got)
	}
	return cookies[0]
}

func cookie(c *http.Cookie) func(*http.Request) {
	return func(r *http.Request) { r.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value}) }
}

// A page logs in with a token, which it need not keep: a cookie that scripts cannot read does.
func TestSession(t *testing.T) {
	conf := httpapi.Config{Tokens: hashes("secret-1", "secret-2"), SessionSecret: secret}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		if got := s.want(200, "GET", "/v1/session", ""); got["required"] != true || got["authenticated"] != false || got["name"] != "" {
			t.Errorf("%v", got)
		}
		s.wantProblem(401, "not one of those", "POST", "/v1/session", `{"token":"secret"}`)
		s.wantProblem(400, "token", "POST", "/v1/session", `{}`)
		c := s.logIn("secret-1")
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/" || c.Secure || c.MaxAge != 12*60*60 || strings.Contains(c.Value, "secret") {
			t.Errorf("%+v", c)
		}
		if got := s.want(200, "GET", "/v1/session", "", cookie(c)); got["authenticated"] != true || got["name"] != "who has secret-1" {
			t.Errorf("%v", got)
		}
		s.want(200, "GET", "/v1/devices", "", cookie(c))
		s.want(200, "GET", "/v1/devices", "", cookie(c), header("Sec-Fetch-Site", "same-origin"))
		s.want(202, "POST", "/v1/drain", "", cookie(c), header("Origin", "http://"+httpAddr))
		if log := s.log.String(); !strings.Contains(log, `"drain over HTTP","by":"who has secret-1"`) || strings.Contains(log, c.Value) {
			t.Error(log)
		}

		// Pages of others cannot use it, nor begin a session in somebody's browser.
		for _, site := range []string{"cross-site", "same-site"} {
			s.wantProblem(403, "another site", "GET", "/v1/devices", "", cookie(c), header("Sec-Fetch-Site", site))
			s.wantProblem(403, "another site", "POST", "/v1/session", `{"token":"secret-2"}`, header("Sec-Fetch-Site", site))
		}
		s.wantProblem(403, "another site", "POST", "/v1/drain", "", cookie(c), header("Origin", "http://evil.example"))
		s.wantProblem(403, "another site", "POST", "/v1/session", `{"token":"secret-2"}`, header("Origin", "http://evil.example"))

		// What reads is refused as well, where all that a browser says is Origin.
		for _, origin := range []string{"http://evil.example", "null", "http://" + httpAddr + ".evil.example", "http://127.0.0.1:1", "://", ""} {
			s.wantProblem(403, "another site", "GET", "/v1/devices", "", cookie(c), header("Origin", origin))
		}
		s.want(200, "GET", "/v1/devices", "", cookie(c), header("Origin", "http://"+httpAddr))
		// A proxy in front may have another Host; the browser knows better than the two.
		s.want(200, "GET", "/v1/devices", "", cookie(c), header("Origin", "https://gateway.example"), header("Sec-Fetch-Site", "same-origin"))
		for _, site := range []string{"same-site", "", "SAME-ORIGIN", "same-origin, none"} {
			s.wantProblem(403, "another site", "GET", "/v1/devices", "", cookie(c), header("Origin", "http://"+httpAddr), header("Sec-Fetch-Site", site))
		}
		two := func(r *http.Request) { r.Header["Origin"] = []string{"http://" + httpAddr, "http://evil.example"} }
		s.wantProblem(403, "another site", "GET", "/v1/devices", "", cookie(c), two)

		// It ends when the browser is told to forget it, when its token is no more, and in time.
		got := s.do("DELETE", "/v1/session", "", cookie(c))
		if cleared := (&http.Response{Header: got.header}).Cookies(); got.status != 204 || len(cleared) != 1 || cleared[0].Value != "" || cleared[0].MaxAge != -1 {
			t.Errorf("%+v", got)
		}
		other := s.logIn("secret-2")
		if err := s.api.SetTokens(hashes("secret-2")); err != nil {
			t.Error(err)
		}
		s.want(401, "GET", "/v1/devices", "", cookie(c))
		s.want(200, "GET", "/v1/devices", "", cookie(other))
		time.Sleep(12*time.Hour - time.Second)
		s.want(200, "GET", "/v1/devices", "", cookie(other))
		time.Sleep(2 * time.Second)
		s.want(401, "GET", "/v1/devices", "", cookie(other))
	})
}

// A session survives a restart of the gateway that has the same secret, and no other.
func TestSessionAfterRestart(t *testing.T) {
	var c *http.Cookie
	conf := httpapi.Config{Tokens: hashes("right"), SessionSecret: secret}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) { c = s.logIn("right") })
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) { s.want(200, "GET", "/v1/devices", "", cookie(c)) })
	bubble(t, gateway.Config{}, httpapi.Config{Tokens: hashes("right")}, func(t *testing.T, s *site) {
		s.want(401, "GET", "/v1/devices", "", cookie(c))
	})
	// Whoever has the name of another's token has not its hash.
	bubble(t, gateway.Config{}, httpapi.Config{Tokens: map[string][32]byte{"who has right": {1}}, SessionSecret: secret}, func(t *testing.T, s *site) {
		s.want(401, "GET", "/v1/devices", "", cookie(c))
	})
}

func TestForgedSessions(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{Tokens: hashes("right"), SessionSecret: secret}, func(t *testing.T, s *site) {
		c := s.logIn("right")
		b, err := base64.RawURLEncoding.DecodeString(c.Value)
		if err != nil {
			t.Fatal(err)
		}
		for i := range b {
			b[i] ^= 1
			s.want(401, "GET", "/v1/devices", "", cookie(&http.Cookie{Name: c.Name, Value: base64.RawURLEncoding.EncodeToString(b)}))
			b[i] ^= 1
		}
		for i := range b {
			s.want(401, "GET", "/v1/devices", "", cookie(&http.Cookie{Name: c.Name, Value: base64.RawURLEncoding.EncodeToString(b[:i])}))
		}
		for _, value := range []string{"", "=", strings.Repeat("A", 4000), c.Value + "A", "%" + c.Value} {
			s.want(401, "GET", "/v1/devices", "", cookie(&http.Cookie{Name: c.Name, Value: value}))
		}
		// Another's cookie beside ours does no harm, and a thousand are not all looked at.
		wrong := cookie(&http.Cookie{Name: c.Name, Value: "AAAA"})
		s.want(200, "GET", "/v1/devices", "", wrong, cookie(c))
		s.want(200, "GET", "/v1/devices", "", cookie(c), wrong)
		many := func(r *http.Request) {
			for range 1000 {
				wrong(r)
			}
		}
		s.want(401, "GET", "/v1/devices", "", many, cookie(c))
		// A name that is no text, and one that none has.
		for _, name := range []string{"\xff\xfe\x00", "who has left", "\xed\xa0\x80\n"} {
			forged := append(append(bytes.Clone(b[:8]), name...), b[len(b)-32:]...)
			s.want(401, "GET", "/v1/devices", "", cookie(&http.Cookie{Name: c.Name, Value: base64.RawURLEncoding.EncodeToString(forged)}))
		}
		// A wrong token is not helped by a right cookie.
		s.want(401, "GET", "/v1/devices", "", cookie(c), header("Authorization", "Bearer wrong"))
	})
}

// Who guesses tokens at the login is locked out as elsewhere.
func TestGuessesAtTheLogin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := start(t, gateway.Config{}, httpapi.Config{Tokens: hashes("right")})
		counts := make(map[int]int)
		try := func(token string) int {
			r := httptest.NewRequest("POST", "/v1/session", strings.NewReader(fmt.Sprintf(`{"token":%q}`, token)))
			r.RemoteAddr = "192.0.2.1:999"
			r.Header.Set("Content-Type", "application/json")
			w := httptest.NewRecorder()
			s.api.ServeHTTP(w, r)
			return w.Code
		}
		for i := range 100 {
			counts[try(fmt.Sprint("guess ", i))]++
		}
		if counts[401] != 10 || counts[429] != 90 || try("right") != 429 {
			t.Errorf("%v", counts)
		}
		time.Sleep(time.Minute)
		if got := try("right"); got != 204 {
			t.Error(got)
		}
	})
}

func TestNoSessionWhereNoneIsNeeded(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{}, func(t *testing.T, s *site) {
		if got := s.want(200, "GET", "/v1/session", ""); got["required"] != false || got["authenticated"] != true {
			t.Errorf("%v", got)
		}
		s.wantProblem(409, "No token is needed", "POST", "/v1/session", `{"token":"x"}`)
	})
}

// The page is for everybody who may send requests at all, and answers what nobody else does.
func TestPage(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "page ", r.URL.Path) })
	test := func(t *testing.T, s *site) {
		for _, path := range []string{"/", "/app.js", "/a/b", "/healthz/x"} {
			if got := s.do("GET", path, "", header("Sec-Fetch-Site", "cross-site")); got.status != 200 || got.body != "page "+path {
				t.Errorf("%s: %+v", path, got)
			}
		}
		for _, path := range []string{"/v1", "/v1/x", "/debug/x", "/metrics"} {
			if got := s.do("GET", path, ""); got.status != 404 && got.status != 401 || strings.Contains(got.body, "page ") {
				t.Errorf("%s: %+v", path, got)
			}
		}
		if got := s.do("POST", "/", ""); got.status != 404 && got.status != 401 {
			t.Errorf("%+v", got)
		}
	}
	bubble(t, gateway.Config{}, httpapi.Config{Dashboard: page, Tokens: hashes("right")}, test)
	bubble(t, gateway.Config{}, httpapi.Config{Dashboard: page}, func(t *testing.T, s *site) {
		test(t, s)
		if got := s.do("GET", "/", "", header("Host", "evil.example")); got.status != 403 {
			t.Errorf("%+v", got)
		}
	})
}

// Events are read with the cookie: a page cannot add a header to that.
func TestEventsOfASession(t *testing.T) {
	bubble(t, gateway.Config{}, httpapi.Config{Tokens: hashes("right"), SessionSecret: secret}, func(t *testing.T, s *site) {
		c := s.logIn("right")
		r := s.request("GET", "/v1/events", "")
		cookie(c)(r)
		r.Header.Set("Sec-Fetch-Site", "same-origin")
		got, err := s.client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer got.Body.Close()
		if got.StatusCode != 200 || got.Header.Get("Content-Type") != "text/event-stream" {
			t.Fatalf("%v", got)
		}
		s.board(named("a"), echo)
		for lines := bufio.NewScanner(got.Body); lines.Scan(); {
			if lines.Text() == "event: connect" {
				return
			}
		}
		t.Error("the stream ended")
	})
}

func TestShortSecret(t *testing.T) {
	for _, secret := range []string{"", "0123456789abcdef0123456789abcde"} {
		if _, err := httpapi.New(nil, httpapi.Config{Loopback: true, SessionSecret: []byte(secret)}); err == nil {
			t.Errorf("%q is taken", secret)
		}
	}
}

// Nothing that was not signed here lets anybody in, and nothing stops the server.
func FuzzSession(f *testing.F) {
	s, err := httpapi.New(nil, httpapi.Config{Tokens: hashes("right"), SessionSecret: secret})
	if err != nil {
		f.Fatal(err)
	}
	f.Add("")
	f.Add(strings.Repeat("A", 54))
	f.Add(base64.RawURLEncoding.EncodeToString(append([]byte("\x7f\xff\xff\xff\xff\xff\xff\xffwho has right"), make([]byte, 32)...)))
	f.Add("a; longwire_session=b")
	f.Fuzz(func(t *testing.T, value string) {
		r := httptest.NewRequest("GET", "/v1/session", nil)
		r.Header.Set("Cookie", "longwire_session="+value)
		w := httptest.NewRecorder()
		s.ServeHTTP(w, r)
		if w.Code != 200 || !strings.Contains(w.Body.String(), `"authenticated":false,"name":""`) {
			t.Errorf("%q: %d %s", value, w.Code, w.Body)
		}
	})
}
