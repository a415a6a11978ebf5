package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/config"
)

// A gatewayRun is "longwire serve" at work on free ports, in a folder of its own.
type gatewayRun struct {
	t      *testing.T
	file   string   // its configuration
	boards []string // the addresses that boards connect to
	api    string   // where its API is
	token  string   // that the API wants, "" for none
	client *http.Client
	stderr lines
}

// address matches what an example listens on.
var address = regexp.MustCompile(`(address|url): \S*:(10\d+)\b`)

// serveConfig starts serve with a configuration, whose addresses are replaced by free ones.
func serveConfig(t *testing.T, yaml string) *gatewayRun {
	t.Helper()
	g := &gatewayRun{t: t, file: "longwire.yaml", client: http.DefaultClient}
	g.write(yaml)
	ctx, cancel := context.WithCancel(t.Context())
	stdout, listening := io.Pipe()
	exit := make(chan int, 1)
	go func() {
		exit <- run(ctx, []string{"serve", "--config", g.file}, nil, listening, &g.stderr)
		listening.Close()
	}()
	t.Cleanup(func() {
		cancel()
		go io.Copy(io.Discard, stdout)
		if got := <-exit; got != exitDone {
			t.Errorf("serve: exit status %d\n%s", got, g.stderr.String())
		}
	})
	buf := make([]byte, 1000)
	for g.api == "" {
		n, err := stdout.Read(buf)
		if err != nil {
			t.Fatalf("serve ended: %s", g.stderr.String())
		}
		for line := range strings.Lines(string(buf[:n])) {
			if at, is := strings.CutPrefix(strings.TrimSpace(line), "longwire: listening on "); is {
				g.boards = append(g.boards, at)
			}
			if at, is := strings.CutPrefix(strings.TrimSpace(line), "longwire: API on "); is {
				g.api = at
			}
		}
	}
	return g
}

// write replaces the configuration.
func (g *gatewayRun) write(yaml string) {
	g.t.Helper()
	yaml = address.ReplaceAllString(yaml, "$1: 127.0.0.1:0")
	if !strings.Contains(yaml, "\nhttp:") {
		yaml += "\nhttp: {address: 127.0.0.1:0}\n"
	}
	if err := os.WriteFile(g.file, []byte(yaml), 0o600); err != nil {
		g.t.Fatal(err)
	}
}

// do calls the API, and decodes its response into v.
func (g *gatewayRun) do(method, path, body string, v any) (status int) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), method, g.api+path, strings.NewReader(body))
	if err != nil {
		g.t.Fatal(err)
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	if g.token != "" {
		r.Header.Set("Authorization", "Bearer "+g.token)
	}
	response, err := g.client.Do(r)
	if err != nil {
		g.t.Fatal(err)
	}
	defer response.Body.Close()
	b, _ := io.ReadAll(response.Body)
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			g.t.Fatalf("%s %s: %s: %v", method, path, b, err)
		}
	}
	return response.StatusCode
}

// wantAnswer asks a board over HTTP, and wants its answer.
func (g *gatewayRun) wantAnswer(id, typ, data, want string) {
	g.t.Helper()
	var answer struct {
		Status string
		Data   json.RawMessage
	}
	status := g.do("POST", "/v1/devices/"+id+"/ask", fmt.Sprintf(`{"type":%q,"data":%s,"timeout":"5s"}`, typ, data), &answer)
	if status != 200 || string(answer.Data) != want {
		g.t.Errorf("asked %s: %d, %+v, want %s", id, status, answer, want)
	}
}

func example(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("..", "..", "examples", "config", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func writeFile(t *testing.T, name, text string) {
	t.Helper()
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// hearing is a board that answers with what it has heard.
var hearing = longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) {
	return map[string]json.RawMessage{"heard": json.RawMessage(m.Payload())}, nil
})

// Boards with another frame and a login of their own, as the example has them.
func TestExampleWithChecksum(t *testing.T) {
	yaml := example(t, "crc.yaml")
	t.Chdir(t.TempDir())
	token := config.NewToken()
	writeFile(t, "tokens", "meter-7 "+config.HashOf(token).Reveal()+"\n")
	g := serveConfig(t, yaml)
	// By hand, as a board would.
	nc, err := net.Dial("tcp", g.boards[0])
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	send := func(typ byte, data string) {
		b := append([]byte{0xAA, 0x55, byte(len(data)), byte(len(data) >> 8), typ}, data...)
		crc := uint16(0xFFFF)
		for _, c := range b {
			crc ^= uint16(c)
			for range 8 {
				if crc&1 != 0 {
					crc = crc>>1 ^ 0xA001
				} else {
					crc >>= 1
				}
			}
		}
		nc.Write(append(b, byte(crc), byte(crc>>8)))
	}
	receive := func() (typ byte, data string) {
		head := make([]byte, 5)
		if _, err := io.ReadFull(nc, head); err != nil || head[0] != 0xAA || head[1] != 0x55 {
			t.Fatalf("%x, %v", head, err)
		}
		b := make([]byte, int(head[2])+int(head[3])<<8+2)
		if _, err := io.ReadFull(nc, b); err != nil {
			t.Fatal(err)
		}
		return head[4], string(b[:len(b)-2])
	}
	send(1, `{"dev":"meter-7","key":"`+token+`"}`)
	if typ, data := receive(); typ != 1 || !strings.Contains(data, `"status":"200"`) {
		t.Fatalf("login: %d %s", typ, data)
	}
	send(0x20, `{"power":7}`) // a reading, which nobody answers
	asked := make(chan struct{})
	go func() {
		defer close(asked)
		g.wantAnswer("meter-7", "0x21", `"on?"`, `{"on":true}`)
	}()
	typ, data := receive()
	var question struct {
		Key string `json:"call_back_key"`
	}
	if err := json.Unmarshal([]byte(data), &question); err != nil || typ != 0x21 {
		t.Fatalf("%d %s: %v", typ, data, err)
	}
	send(0x21, `{"call_back_key":"`+question.Key+`","status":"200","data":{"on":true}}`)
	<-asked
	var d struct {
		FramesIn int    `json:"frames_in"`
		Listener string `json:"listener"`
	}
	if g.do("GET", "/v1/devices/meter-7", "", &d); d.Listener != "meters" || d.FramesIn != 2 {
		t.Errorf("%+v", d)
	}
}

// Boards that show a certificate, as the example has them, before and after the files have
// been replaced.
func TestExampleWithCertificates(t *testing.T) {
	yaml := example(t, "mtls.yaml")
	t.Chdir(t.TempDir())
	ca := newAuthority(t)
	for _, name := range regexp.MustCompile(`\w+_file: (\S+?)[,}\s]`).FindAllStringSubmatch(yaml, -1) {
		switch file := name[1]; {
		case strings.Contains(file, "ca"):
			writeFile(t, file, ca.pem)
		case strings.HasSuffix(file, ".key"):
		case strings.HasSuffix(file, ".crt"), strings.HasSuffix(file, ".pem"):
			cert, key := ca.issue(t, "localhost")
			writeFile(t, file, cert)
			writeFile(t, strings.NewReplacer(".crt", ".key", "cert", "key").Replace(file), key)
		default:
			writeFile(t, file, "operator "+config.HashOf("secret").Reveal()+"\n")
		}
	}
	g := serveConfig(t, yaml)
	roots := x509.NewCertPool()
	roots.AddCert(ca.cert)
	g.client = &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}}
	defer g.client.CloseIdleConnections()
	g.api, g.token = strings.Replace(g.api, "127.0.0.1", "localhost", 1), "secret"
	cert, key := ca.issue(t, "meter-7")
	writeFile(t, "board.crt", cert)
	writeFile(t, "board.key", key)
	writeFile(t, "ca.crt", ca.pem)
	cl := &longwire.Client{Addr: strings.Replace(g.boards[0], "127.0.0.1", "localhost", 1), Handler: hearing,
		TLS: &longwire.TLS{CertFile: "board.crt", KeyFile: "board.key", CAFile: "ca.crt"}}
	c, err := cl.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(longwire.ReasonClosed)
	if err := c.Ask(t.Context(), 1, "here", nil); err != nil {
		t.Fatal(err)
	}
	g.wantAnswer("meter-7", "16", `"?"`, `{"heard":"?"}`)
	if status := g.do("POST", "/v1/reload", "{}", nil); status != 200 || c.Err() != nil {
		t.Errorf("reload: %d, and the board: %v", status, c.Err())
	}
	stranger := &longwire.Client{Addr: cl.Addr, TLS: &longwire.TLS{CAFile: "ca.crt"}}
	if sc, err := stranger.Dial(t.Context()); err == nil {
		if err := sc.Ask(t.Context(), 1, "me too", nil); err == nil {
			t.Error("a board without a certificate is let in")
		}
		sc.Close(longwire.ReasonClosed)
	}
}

// The commands for the shell ask a gateway over HTTPS, when its certificate is from an authority that
// they have been told of, and no other.
func TestCommandsOverHTTPS(t *testing.T) {
	at := newAPITest(t)
	t.Chdir(t.TempDir())
	ca := newAuthority(t)
	cert, key := ca.issue(t, "localhost")
	for name, text := range map[string]string{
		"ca.crt": ca.pem, "other.crt": newAuthority(t).pem, "server.crt": cert, "server.key": key,
		"tokens": "operator " + config.HashOf("secret").Reveal() + "\n", "token": "secret\n",
	} {
		writeFile(t, name, text)
	}
	g := serveConfig(t, "\nhttp: {address: 127.0.0.1:0, tokens_file: tokens, tls: {cert_file: server.crt, key_file: server.key}}\n")
	cl := &longwire.Client{Addr: g.boards[0], Hello: &longwire.Hello{ID: "meter-7"}, Handler: hearing}
	board, err := cl.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer board.Close(longwire.ReasonClosed)
	api := strings.Replace(g.api, "127.0.0.1", "localhost", 1)
	if !strings.HasPrefix(api, "https://localhost:") {
		t.Fatalf("the API is on %s", g.api)
	}
	refused := func(want string, args ...string) {
		t.Helper()
		if _, stderr := at.want(exitFailed, append([]string{"devices", "--token-file", "token"}, args...)...); !strings.Contains(stderr, want) {
			t.Errorf("%v: %s, want %q", args, stderr, want)
		}
	}
	refused("signed by unknown authority; --ca-file names", "--api", api)
	refused("signed by unknown authority", "--api", api, "--ca-file", "other.crt")
	refused("does not hold: x509: ", "--api", g.api, "--ca-file", "ca.crt") // it is not for the address
	refused("speaks TLS; write https://", "--api", strings.Replace(api, "https", "http", 1))
	if stderr := g.stderr.String(); strings.Contains(stderr, "secret") {
		t.Error(stderr)
	}

	trusted := func(args ...string) {
		t.Helper()
		if stdout, _ := at.want(exitDone, append([]string{"devices"}, args...)...); !strings.Contains(stdout, "meter-7") {
			t.Errorf("%v: %s", args, stdout)
		}
	}
	trusted("--api", api, "--token-file", "token", "--ca-file", "ca.crt")
	at.want(exitDone, "context", "set", "plant", "--api", api, "--token-file", "token", "--ca-file", "ca.crt")
	trusted("--context", "plant")
	if stdout, _ := at.want(exitDone, "ask", "meter-7", "16", `"?"`, "--context", "plant"); stdout != `{"heard":"?"}`+"\n" {
		t.Errorf("asked: %s", stdout)
	}
	at.want(exitDone, "context", "set", "plant", "--api", api, "--token-file", "token")
	refused("(context plant) does not hold: x509: certificate signed by unknown authority", "--context", "plant")
	t.Setenv("LONGWIRE_CA_FILE", "ca.crt")
	t.Setenv("LONGWIRE_TOKEN_FILE", "token")
	trusted("--api", api)
}

// Messages are answered by a web service, as the example has it.
func TestExampleWithForward(t *testing.T) {
	yaml := example(t, "forward.yaml")
	t.Chdir(t.TempDir())
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var m struct {
			ID, Token string
			Data      json.RawMessage
		}
		json.NewDecoder(r.Body).Decode(&m)
		switch {
		case r.URL.Path == "/login" && m.Token != "good":
			w.WriteHeader(http.StatusForbidden)
		case r.URL.Path == "/login":
			fmt.Fprint(w, `{"groups":["line-1"]}`)
		case r.Header.Get("Authorization") != "Bearer shared":
			w.WriteHeader(http.StatusUnauthorized)
		default:
			w.Header().Set("Content-Type", "application/json")
			fmt.Fprintf(w, `{"path":%q,"id":%q,"data":%s}`, r.URL.Path, m.ID, m.Data)
		}
	}))
	defer service.Close()
	u, _ := url.Parse(service.URL)
	writeFile(t, "service-token", "shared\n")
	g := serveConfig(t, strings.ReplaceAll(yaml, "127.0.0.1:8080", u.Host))
	dial := func(token string) (*longwire.Conn, error) {
		cl := &longwire.Client{Addr: g.boards[0], Handler: hearing, Hello: &longwire.Hello{ID: "meter-7", Token: token}}
		return cl.Dial(t.Context())
	}
	if _, err := dial("bad"); err == nil {
		t.Error("a board with a wrong token is let in")
	}
	c, err := dial("good")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(longwire.ReasonClosed)
	var answer map[string]any
	if err := c.Ask(t.Context(), 0x20, 7, &answer); err != nil || answer["path"] != "/readings" || answer["id"] != "meter-7" || answer["data"] != 7.0 {
		t.Errorf("%v, %v", answer, err)
	}
	if err := c.Ask(t.Context(), 0x30, 7, &answer); err != nil || answer["path"] != "/messages" {
		t.Errorf("%v, %v", answer, err)
	}
	service.Close()
	var e longwire.Envelope
	if c.Ask(t.Context(), 0x20, 7, &e); e.Status != "503" {
		t.Errorf("while the service is down: %+v", e)
	}
	g.wantAnswer("meter-7", "reading", `{"a":[1]}`, `{"heard":{"a":[1]}}`)
}

// A hundred broken configurations drop nobody; each says what is wrong, and a good one is
// applied, by request and by signal.
func TestReloadOfServe(t *testing.T) {
	t.Chdir(t.TempDir())
	token := config.NewToken()
	good := func(more string) string {
		return "listeners:\n  - address: 127.0.0.1:10302\n    login: {tokens: {meter-7: \"" + config.HashOf(token).Reveal() + "\"}}\n" +
			"http: {address: 127.0.0.1:10380, tokens: {operator: \"" + config.HashOf("secret").Reveal() + "\"}}\n" + more
	}
	g := serveConfig(t, good(""))
	cl := &longwire.Client{Addr: g.boards[0], Handler: hearing, Hello: &longwire.Hello{ID: "meter-7", Token: token}}
	c, err := cl.Dial(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close(longwire.ReasonClosed)
	if status := g.do("GET", "/v1/devices", "", nil); status != 401 {
		t.Errorf("without a token: %d", status)
	}
	g.token = "secret"
	for i := range 100 {
		broken := []string{"types: {x: -1}\n", "nonsense: 1\n", "x: [\n", "ack: sometimes\n", "http: {}\n", "heartbeat: soon\n", "devices: {max: none}\n"}[i%7]
		g.write(good(broken))
		var problem struct{ Detail string }
		if status := g.do("POST", "/v1/reload", "{}", &problem); status != 422 || !strings.Contains(problem.Detail, "longwire.yaml:") {
			t.Fatalf("%q: %d, %+v", broken, status, problem)
		}
	}
	g.write(good("types: {reading: 0x20}\nmax_frames: 1\n"))
	self, err := os.FindProcess(os.Getpid())
	if err == nil {
		err = self.Signal(syscall.SIGHUP)
	}
	if err != nil {
		t.Fatal(err)
	}
	if !awaits(func() bool { return strings.Contains(g.stderr.String(), "max_frames") }) {
		t.Errorf("the log does not say what was wrong:\n%s", g.stderr.String())
	}
	g.write(good("types: {reading: 0x20}\nlog: {format: json}\n"))
	var done struct{ Applied, Restart []string }
	if status := g.do("POST", "/v1/reload", "{}", &done); status != 200 || fmt.Sprint(done.Applied, done.Restart) != "[types.reading] [log.format]" {
		t.Errorf("%d, %+v", status, done)
	}
	g.wantAnswer("meter-7", "reading", `1`, `{"heard":1}`)
	if c.Err() != nil {
		t.Errorf("the board was dropped: %v", c.Err())
	}
}

// awaits polls until something holds.
func awaits(holds func() bool) bool {
	for began := time.Now(); time.Since(began) < patience; {
		if holds() {
			return true
		}
		time.Sleep(5 * time.Millisecond) // a poll; nothing is decided by its length
	}
	return false
}

// An authority issues certificates.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, _ := x509.ParseCertificate(der)
	return &authority{cert, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))}
}

// issue returns a certificate for a name, and its key.
func (a *authority) issue(t *testing.T, name string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(2), DNSNames: []string{name}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &private.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	var c, k bytes.Buffer
	pem.Encode(&c, &pem.Block{Type: "CERTIFICATE", Bytes: der})
	pem.Encode(&k, &pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return c.String(), k.String()
}
