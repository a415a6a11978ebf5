package config_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/config"
)

// inDir makes a directory with files the working directory.
func inDir(t *testing.T, files map[string]string) {
	t.Helper()
	t.Chdir(t.TempDir())
	for name, text := range files {
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// certificate returns a certificate and its key in PEM.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})),
		string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}))
}

const allFiles = `
listeners:
  - name: a
    tls: {cert_file: crt, key_file: key, client_ca_file: ca}
    login:
      tokens: {one: "` + hash + `"}
      tokens_file: tokens
http: {tokens_file: http-tokens, tls: {cert_file: crt, key_file: key}}
forward: {token_file: bearer}
events: {deliver: {token_file: other-bearer}}
`

func TestLoad(t *testing.T) {
	cert, key := certificate(t)
	inDir(t, map[string]string{
		"f.yaml": allFiles, "crt": cert, "key": key, "ca": cert,
		"tokens":      "# boards\r\n\n  two " + config.HashOf("2").Reveal() + "\r\nthree\t" + config.HashOf("3").Reveal(),
		"http-tokens": "ops " + config.HashOf("4").Reveal() + "\n",
		"bearer":      " let-me-in\n", "other-bearer": "events\n",
	})
	c, err := config.Load("f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings()) > 0 {
		t.Errorf("%v", c.Warnings())
	}
	want := map[string][32]byte{"one": {31: 1}, "two": config.HashOf("2"), "three": config.HashOf("3")}
	if got := c.Listeners[0].Login.Hashes(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	if got := c.HTTP.Hashes(); !reflect.DeepEqual(got, map[string][32]byte{"ops": config.HashOf("4")}) {
		t.Errorf("%v", got)
	}
	if got, other := c.Forward.Token(), c.Events.Deliver.Token(); got != "let-me-in" || other != "events" {
		t.Errorf("%q, %q", got, other)
	}
	for i := range c.Listeners {
		conf, tls := c.Library(&c.Listeners[i])
		wantTaken(t, conf)
		if err := tls.Reload(); err != nil {
			t.Error(err)
		}
	}

	// What stands in the files can change while all else stays.
	if err := os.WriteFile("tokens", []byte("two "+config.HashOf("5").Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile("other-bearer", []byte("more"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := config.Load("f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if applied, restart := config.Changes(c, again); !reflect.DeepEqual(applied, []string{"listeners[0].login.tokens_file"}) ||
		!reflect.DeepEqual(restart, []string{"events.deliver.token_file"}) {
		t.Errorf("%q %q", applied, restart)
	}
	merged, err := config.Merge(c, again)
	if err != nil {
		t.Fatal(err)
	}
	if got := merged.Listeners[0].Login.Hashes(); len(got) != 2 || got["two"] != config.HashOf("5") {
		t.Errorf("in force is %v", got)
	}
}

func TestLoadBrokenFiles(t *testing.T) {
	cert, key := certificate(t)
	_, otherKey := certificate(t)
	inDir(t, map[string]string{
		"f.yaml": allFiles, "crt": cert, "key": key, "ca": cert, "tokens": "", "http-tokens": "ops " + hash, "bearer": "x", "other-bearer": "x", "other": otherKey,
	})
	for _, test := range []struct {
		file, text string
		want       []string
	}{
		{"tokens", "a\n", []string{"tokens:1 listeners[0].login.tokens_file"}},
		{"tokens", "#\na b c\n", []string{"tokens:2 listeners[0].login.tokens_file"}},
		{"tokens", "a secret\n", []string{"tokens:1 listeners[0].login.tokens_file"}},
		{"tokens", "a/b " + hash + "\n", []string{"tokens:1 listeners[0].login.tokens_file"}},
		{"tokens", "\none " + hash + "\n", []string{"tokens:2 listeners[0].login.tokens_file"}},
		{"tokens", "a " + hash + "\nb " + hash + "\na " + hash + "\n", []string{"tokens:3 listeners[0].login.tokens_file"}},
		{"tokens", strings.Repeat("x", 1<<17), []string{"tokens:1 listeners[0].login.tokens_file"}},
		{"http-tokens", "# none yet\n", []string{"f.yaml:8 http.tokens_file"}},
		{"http-tokens", "ops\n", []string{"http-tokens:1 http.tokens_file"}},
		{"bearer", "\n", []string{"f.yaml:9 forward.token_file"}},
		{"bearer", "a\nb\n", []string{"f.yaml:9 forward.token_file"}},
		{"key", "", []string{"f.yaml:4 listeners[0].tls.cert_file", "f.yaml:8 http.tls.cert_file"}},
		{"key", otherKey, []string{"f.yaml:4 listeners[0].tls.cert_file", "f.yaml:8 http.tls.cert_file"}},
		{"ca", "x", []string{"f.yaml:4 listeners[0].tls.client_ca_file"}},
		{"f.yaml", strings.ReplaceAll(allFiles, "crt", "none"), []string{"f.yaml:4 listeners[0].tls.cert_file", "f.yaml:8 http.tls.cert_file"}},
		{"f.yaml", strings.ReplaceAll(allFiles, ": bearer", ": ."), []string{"f.yaml:9 forward.token_file"}},
		{"f.yaml", strings.Repeat("#", 1<<20+1), []string{"f.yaml:0"}},
	} {
		before, err := os.ReadFile(test.file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(test.file, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err = config.Load("f.yaml")
		t.Log(err)
		wantProblems(t, err, test.want...)
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("tells a secret: %v", err)
		}
		if err := os.WriteFile(test.file, before, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	_, err := config.Load("none.yaml")
	wantProblems(t, err, "none.yaml:0")
}

func TestWarnings(t *testing.T) {
	cert, key := certificate(t)
	inDir(t, map[string]string{
		"f.yaml": strings.Replace(allFiles, "name: a", "name: a\n    allow_anonymous: true", 1), "crt": cert, "key": key, "ca": cert,
		"tokens": "a " + hash, "http-tokens": "a " + hash, "bearer": "x", "other-bearer": "x",
	})
	want := []string{"listeners[0].allow_anonymous"}
	if runtime.GOOS != "windows" {
		want = []string{"listeners[0].tls.key_file", "listeners[0].allow_anonymous", "listeners[0].login.tokens_file", "http.tls.key_file"}
	}
	for name, mode := range map[string]os.FileMode{"key": 0o644, "tokens": 0o660, "bearer": 0o640, "crt": 0o666} {
		if err := os.Chmod(name, mode); err != nil {
			t.Fatal(err)
		}
	}
	c, err := config.Load("f.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings() {
		got = append(got, w.Setting)
		if w.File != "f.yaml" || w.Line == 0 {
			t.Errorf("%+v", w)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	c, err = config.Load("", config.Flag("http-address", ":10380"), config.Flag("http-tokens-file", "tokens"))
	if err != nil {
		t.Fatal(err)
	}
	if w := c.Warnings(); w[len(w)-1].From != "--http-address" {
		t.Errorf("%v", w)
	}
}

// The examples are what people begin with.
func TestExamples(t *testing.T) {
	examples, err := filepath.Glob("../../examples/config/*.yaml")
	if err != nil || len(examples) < 4 {
		t.Fatalf("%q, %v", examples, err)
	}
	for i := range examples {
		if examples[i], err = filepath.Abs(examples[i]); err != nil {
			t.Fatal(err)
		}
	}
	cert, key := certificate(t)
	tokens := "meter-7 " + hash + "\n"
	inDir(t, map[string]string{
		"server.crt": cert, "server.key": key, "boards-ca.crt": cert,
		"tokens": tokens, "http-tokens": tokens, "service-token": "x\n",
	})
	for _, name := range examples {
		c, err := config.Load(name)
		if err != nil {
			t.Error(err)
			continue
		}
		if w := c.Warnings(); len(w) > 0 {
			t.Errorf("%v", w)
		}
		for i := range c.Listeners {
			conf, _ := c.Library(&c.Listeners[i])
			wantTaken(t, conf)
		}
	}
}
