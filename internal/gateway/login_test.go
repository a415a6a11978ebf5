package gateway

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

// Where anybody may connect, a token that is configured is still needed for its id.
func TestAnonymousBoards(t *testing.T) {
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", AllowAnonymous: true, Login: Login{Tokens: tokens("a", "1")}}}}, func(t *testing.T, g *running) {
		g.wantBoard("anything", "", nil)
		g.wantRefused("a", "", "401")
		g.wantRefused("a", "2", "401")
		c := g.wantBoard("a", "1", nil)
		if d := g.want("a", true); d.Identity != ByToken {
			t.Errorf("%+v", d)
		}
		if d := g.want("anything", true); d.Identity != Anonymous {
			t.Errorf("%+v", d)
		}
		// A second hello changes nothing.
		cl := g.dial()
		defer cl.Close()
		w, r := frame.NewWriter(cl, nil), frame.NewReader(cl, nil)
		for _, status := range []string{"200", "409"} {
			w.WriteFrame(longwire.TypeHello, []byte(`{"id":"twice"}`))
			answer, err := r.Next()
			if err != nil || !strings.Contains(string(answer.Data), `"status":"`+status) {
				t.Errorf("%s, %v; want %s", answer.Data, err, status)
			}
		}
		if c.Err() != nil {
			t.Error(c.Err())
		}
	})
}

// A name that was proved cannot be taken by somebody who proves it in another way.
func TestAnotherPrincipalIsRefused(t *testing.T) {
	service := answer(func(l login) (int, string) { return 200, "" })
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", AllowAnonymous: true,
		Login: Login{Service: Service{URL: "http://service", Transport: service}}}}}, func(t *testing.T, g *running) {
		first := g.wantBoard("a", "", nil)
		if d := g.want("a", true); d.Identity != ByService {
			t.Errorf("%+v", d)
		}
		conf := *g.settings.Load().Config
		conf.Listeners[0].Login = Login{Tokens: tokens("a", "1")}
		if err := g.Reload(&conf); err != nil {
			t.Fatal(err)
		}
		g.wantRefused("a", "1", "409")
		if first.Err() != nil || g.Stats().Listeners["boards"].LoginsRefused != 1 {
			t.Errorf("%v, %+v", first.Err(), g.Stats())
		}
	})
}

func TestHostileIDs(t *testing.T) {
	bubble(t, &Config{}, func(t *testing.T, g *running) {
		for _, id := range []string{" ", "a b", "a/b", "a\nb", "\x1b[31m", "ü", strings.Repeat("x", 129), "a\x00", "<script>", "..\u2028", ".", ".."} {
			g.wantRefused(id, "", "400")
		}
		for _, id := range []string{"...", "a:b", "A-Z_0.9", strings.Repeat("x", 128)} {
			g.wantBoard(id, "", nil)
			g.want(id, true)
		}
		cl := &longwire.Client{Addr: "127.0.0.1:10302", DialContext: g.network.DialContext, Hello: &longwire.Hello{ID: "many", Groups: make([]string, 33)}}
		if _, err := cl.Dial(t.Context()); err == nil || !strings.Contains(err.Error(), "413") {
			t.Errorf("33 groups: %v", err)
		}
		cl.Hello = &longwire.Hello{ID: "large", Attributes: map[string]string{"a": strings.Repeat("x", 5000)}}
		cl2 := &longwire.Client{Addr: cl.Addr, DialContext: cl.DialContext, Hello: cl.Hello}
		if _, err := cl2.Dial(t.Context()); err == nil {
			t.Error("5,000 bytes of attributes are taken")
		}
	})
}

func TestFleetLogin(t *testing.T) {
	id, err := ParsePointer("/device/imei")
	if err != nil {
		t.Fatal(err)
	}
	token, _ := ParsePointer("/auth/0")
	login := Login{Tokens: tokens("356938035643809", "1"), Fleet: &Fleet{Type: 0x01, ID: id, Token: token}}
	bubble(t, &Config{Listeners: []Listener{{Name: "boards", Login: login}}}, func(t *testing.T, g *running) {
		for _, test := range []struct {
			typ          longwire.Type
			data, status string
		}{
			{1, `{"device":{"imei":356938035643809},"auth":["1"]}`, "200"},
			{1, `{"data_type":"login","call_back_key":"k","data":{"device":{"imei":"356938035643809"},"auth":[1]}}`, "200"},
			{1, `{"device":{"imei":"356938035643809"},"auth":["2"]}`, "401"},
			{1, `{"device":{},"auth":["1"]}`, "400"},
			{1, `{"device":{"imei":{}},"auth":["1"]}`, "400"},
			{1, `66666`, "400"},
			{2, `{"device":{"imei":"356938035643809"},"auth":["1"]}`, "401"},
		} {
			nc := g.dial()
			frame.NewWriter(nc, nil).WriteFrame(test.typ, []byte(test.data))
			answer, err := frame.NewReader(nc, nil).Next()
			if err != nil || answer.Type != test.typ || !strings.Contains(string(answer.Data), `"status":"`+test.status) {
				t.Errorf("%s: %s, %v; want %s", test.data, answer.Data, err, test.status)
			}
			if test.status == "200" {
				g.want("356938035643809", true)
			}
			nc.Close()
			synctest.Wait()
		}
	})
}

func TestPointer(t *testing.T) {
	const document = `{"a":{"b/c":[10,"x",{"~":"tilde"}]},"":"empty","n":null,"f":1.5e3,"t":true}`
	for _, test := range []struct{ pointer, want string }{
		{"/a/b~1c/0", "10"}, {"/a/b~1c/1", "x"}, {"/a/b~1c/2/~0", "tilde"}, {"/", "empty"}, {"/f", "1.5e3"},
		{"/a/b~1c/3", ""}, {"/a/b~1c/-1", ""}, {"/a", ""}, {"/n", ""}, {"/t", ""}, {"/a/x", ""}, {"/f/x", ""},
	} {
		p, err := ParsePointer(test.pointer)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := p.in([]byte(document)); got != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%s: %q, %v; want %q", test.pointer, got, err, test.want)
		}
	}
	for _, bad := range []string{"", "a", "a/b", "/~", "/~2", "/a~"} {
		if _, err := ParsePointer(bad); err == nil {
			t.Errorf("%q is taken for a pointer", bad)
		}
	}
}

func TestLoginService(t *testing.T) {
	var mu sync.Mutex
	var last login
	service := answer(func(l login) (int, string) {
		mu.Lock()
		defer mu.Unlock()
		last = l
		switch l.Token {
		case "good":
			return 200, `{"groups":["given"],"attributes":{"site":"north"}}`
		case "plain":
			return 204, ""
		case "broken":
			return 500, "oops"
		case "elsewhere":
			return 302, ""
		case "no json":
			return 200, "<html>"
		}
		return 403, ""
	})
	bubble(t, &Config{Listeners: []Listener{{Name: "boards",
		Login: Login{Tokens: tokens("own", "1"), Service: Service{URL: "http://service", Transport: service}}}}}, func(t *testing.T, g *running) {
		g.wantBoard("a", "good", nil)
		if d := g.want("a", true); d.Attributes["site"] != "north" || fmt.Sprint(d.Groups) != "[given]" {
			t.Errorf("%+v", d)
		}
		if last.ID != "a" || last.Listener != "boards" || last.RemoteAddr == "" {
			t.Errorf("the service was asked %+v", last)
		}
		g.wantBoard("b", "plain", nil)
		g.wantRefused("c", "bad", "401")
		g.wantRefused("c", "broken", "503")
		g.wantRefused("c", "elsewhere", "503")
		g.wantRefused("c", "no json", "503")
		g.wantRefused("own", "good", "401") // its token is configured
		g.wantBoard("own", "1", nil)
		if log := g.log.String(); strings.Contains(log, `"good"`) || strings.Contains(log, `"bad"`) {
			t.Error("tokens are in the log")
		}
	})
}

// answer is a service that answers logins.
type answer func(l login) (status int, body string)

func (a answer) RoundTrip(r *http.Request) (*http.Response, error) {
	var l login
	if err := json.NewDecoder(r.Body).Decode(&l); err != nil {
		return nil, err
	}
	status, body := a(l)
	return response(r, status, "application/json", body), nil
}

// A certificate names a board by the first of its DNS names, or its URIs.
func TestCertificateNames(t *testing.T) {
	uri := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for _, test := range []struct {
		names []string
		uris  []*url.URL
		want  string
	}{
		{[]string{"meter-7", "other"}, nil, "meter-7"},
		{nil, []*url.URL{uri("urn:dev:meter-7")}, "urn:dev:meter-7"},
		{[]string{"*.example"}, nil, ""},
		{[]string{"a b"}, nil, ""},
		{nil, nil, ""},
	} {
		who, err := named(test.names, test.uris)
		if who.id != test.want || (err == nil) != (test.want != "") {
			t.Errorf("%v, %v: %+v, %v", test.names, test.uris, who, err)
		}
	}
}

func TestAddressID(t *testing.T) {
	for _, test := range []struct {
		addr net.Addr
		want string
	}{
		{&net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 5}, "192.0.2.1:5"},
		{&net.TCPAddr{IP: net.ParseIP("2001:db8::1"), Port: 5}, "2001:db8::1:5"},
		{&net.TCPAddr{IP: net.ParseIP("fe80::1"), Zone: "eth0", Port: 5}, "fe80::1-eth0:5"},
		{&net.UnixAddr{Name: "/run/a b"}, "-run-a-b"},
		{&net.UnixAddr{}, "unknown"},
		{&net.UnixAddr{Name: ".."}, "unknown"},
	} {
		if got := addressID(test.addr); got != test.want || !ValidID(got) {
			t.Errorf("%v: %q, want %q", test.addr, got, test.want)
		}
	}
}
