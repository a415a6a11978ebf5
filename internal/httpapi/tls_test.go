package httpapi_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net/http"
	"testing"
	"time"

	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
)

// certificate returns one for gateway.example, and who believes it.
func certificate(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"gateway.example"}, NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(parsed)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestTLS(t *testing.T) {
	cert, pool := certificate(t)
	conf := httpapi.Config{
		Tokens: hashes("t"),
		TLS:    &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"h2", "http/1.1"}},
	}
	s := start(t, gateway.Config{}, conf)
	transport := &http.Transport{
		DialContext:       s.network.DialContext,
		TLSClientConfig:   &tls.Config{RootCAs: pool, ServerName: "gateway.example"},
		ForceAttemptHTTP2: true,
	}
	defer transport.CloseIdleConnections()
	r, err := http.NewRequestWithContext(t.Context(), "GET", "https://"+httpAddr+"/v1/devices", nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer t")
	got, err := (&http.Client{Transport: transport}).Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer got.Body.Close()
	if body, err := io.ReadAll(got.Body); got.StatusCode != 200 || got.ProtoMajor != 1 || got.TLS == nil || err != nil {
		t.Errorf("%s %s %q, %v", got.Proto, got.Status, body, err)
	}
}

// A handshake that never ends does not keep its connection.
func TestTLSHandshakeThatNeverEnds(t *testing.T) {
	cert, _ := certificate(t)
	conf := httpapi.Config{Tokens: hashes("t"), TLS: &tls.Config{Certificates: []tls.Certificate{cert}}}
	bubble(t, gateway.Config{}, conf, func(t *testing.T, s *site) {
		began := time.Now()
		c := s.raw("\x16\x03\x01\x02\x00") // a record begins
		io.Copy(io.Discard, c)
		if took := time.Since(began); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("gone after %v", took)
		}
	})
}
