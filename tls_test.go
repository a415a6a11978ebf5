package longwire_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"go/version"
	"io"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/longwiretest"
)

// An authority signs certificates, and keeps them in files.
type authority struct {
	t    *testing.T
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, dir: t.TempDir()}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	a.cert, a.key = a.sign("authority", template, template, nil)
	a.file = filepath.Join(a.dir, "authority.pem")
	return a
}

// sign writes NAME.pem and NAME.key.
func (a *authority) sign(name string, template, parent *x509.Certificate, by *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	if by == nil {
		by = key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		a.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			a.t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		a.t.Fatal(err)
	}
	return cert, key
}

// issue makes a certificate for a name, and returns what uses it.
func (a *authority) issue(name string, serial int64) *longwire.TLS {
	a.t.Helper()
	a.sign(name, &x509.Certificate{
		SerialNumber: big.NewInt(serial),
		Subject:      pkix.Name{CommonName: "not-" + name},
		DNSNames:     []string{name},
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
		NotAfter:     time.Now().Add(time.Hour),
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}, a.cert, a.key)
	return &longwire.TLS{CertFile: filepath.Join(a.dir, name+".pem"), KeyFile: filepath.Join(a.dir, name+".key")}
}

// dialTLS connects to the server, and asks it something.
func (b *bench) dialTLS(conf *longwire.TLS) (*longwire.Conn, error) {
	b.t.Helper()
	cl := &longwire.Client{Addr: b.addr, TLS: conf}
	c, err := cl.Dial(b.t.Context())
	if err != nil {
		return nil, err
	}
	b.t.Cleanup(func() {
		c.Close(longwire.ReasonClosed)
		<-c.Done()
	})
	return c, c.Ask(b.t.Context(), 1, "hello", nil)
}

func TestTLS(t *testing.T) {
	a := newAuthority(t)
	b := serve(t, tcp(), &longwire.Server{Handler: ok, TLS: a.issue("server", 2)})
	c, err := b.dialTLS(&longwire.TLS{CAFile: a.file})
	if err != nil {
		t.Fatal(err)
	}
	if cert := c.Certificate(); cert == nil || cert.DNSNames[0] != "server" {
		t.Errorf("the server's certificate: %v", cert)
	}
	if _, err := b.dialTLS(&longwire.TLS{CAFile: a.file, ServerName: "server"}); err != nil {
		t.Errorf("by its name: %v", err)
	}
	for what, conf := range map[string]*longwire.TLS{
		"an authority that the system does not know": {},
		"another authority":                          {CAFile: newAuthority(t).file},
		"another name":                               {CAFile: a.file, ServerName: "another"},
	} {
		if _, err := b.dialTLS(conf); err == nil {
			t.Errorf("%s: connected", what)
		}
	}
	if _, err := b.dialTLS(&longwire.TLS{InsecureSkipVerify: true}); err != nil {
		t.Errorf("without looking: %v", err)
	}
	b.peer().send(wire(1, "without TLS"))
	b.wantClosed(longwire.ReasonTLS, 4)
	if lines := b.log.lines(`"reason":"tls"`, "connection over"); len(lines) != 4 {
		t.Errorf("the log has %d lines", len(lines))
	}
}

// Faults row 21: a name counts when the certificate was verified and says exactly that.
func TestMutualTLS(t *testing.T) {
	a := newAuthority(t)
	conf := a.issue("server", 2)
	conf.CAFile = a.file
	b := serve(t, tcp(), &longwire.Server{
		TLS: conf,
		Admit: func(ctx context.Context, c *longwire.Conn) (func(error), error) {
			cert := c.Certificate()
			if cert == nil {
				return nil, errors.New("no certificate")
			}
			c.SetID(cert.DNSNames[0])
			return nil, nil
		},
		Handler: longwire.HandlerFunc(func(_ context.Context, m *longwire.Message) (any, error) { return m.Conn().ID(), nil }),
	})
	board := a.issue("board-7", 3)
	board.CAFile = a.file
	c, err := b.dialTLS(board)
	if err != nil {
		t.Fatal(err)
	}
	var id string
	if err := c.Ask(t.Context(), 1, "who am I?", &id); err != nil || id != "board-7" {
		t.Errorf("it is %q, %v", id, err)
	}
	stranger := newAuthority(t).issue("board-7", 3)
	stranger.CAFile = a.file
	for what, conf := range map[string]*longwire.TLS{"no certificate": {CAFile: a.file}, "one of another authority": stranger} {
		if _, err := b.dialTLS(conf); err == nil {
			t.Errorf("%s: let in", what)
		}
	}
	b.wantClosed(longwire.ReasonTLS, 2)
}

// Faults row 20 as well: after the authority has changed, sessions that it made possible
// are not resumed.
func TestTLSReload(t *testing.T) {
	a, next := newAuthority(t), newAuthority(t)
	conf := a.issue("server", 2)
	conf.CAFile = filepath.Join(t.TempDir(), "clients.pem")
	use := func(from *authority) {
		t.Helper()
		b, err := os.ReadFile(from.file)
		if err == nil {
			err = os.WriteFile(conf.CAFile, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	use(a)
	b := serve(t, tcp(), &longwire.Server{Handler: ok, TLS: conf})
	board := a.issue("board", 3)
	board.CAFile = a.file
	up, err := b.dialTLS(board)
	if err != nil {
		t.Fatal(err)
	}

	cert, err := tls.LoadX509KeyPair(board.CertFile, board.KeyFile)
	if err != nil {
		t.Fatal(err)
	}
	sessions := &tls.Config{Certificates: []tls.Certificate{cert}, InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(10)}
	resumed := func() (bool, int64, error) {
		nc, err := tls.Dial("tcp", b.addr, sessions)
		if err != nil {
			return false, 0, err
		}
		defer nc.Close()
		nc.Write(wire(1, question("k", "1")))
		_, err = nc.Read(make([]byte, 500)) // with it the ticket comes, or that we are not let in
		state := nc.ConnectionState()
		return state.DidResume, state.PeerCertificates[0].SerialNumber.Int64(), err
	}
	resumed()
	if did, serial, err := resumed(); !did || serial != 2 || err != nil {
		t.Fatalf("resumed %v, serial %d, %v", did, serial, err)
	}

	if err := os.WriteFile(conf.CAFile, []byte("nonsense"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := conf.Reload(); err == nil || !strings.Contains(err.Error(), "clients.pem") {
		t.Errorf("a broken file: %v", err)
	}
	if _, err := b.dialTLS(board); err != nil {
		t.Errorf("what was there before is not in use: %v", err)
	}

	a.issue("server", 20)
	use(next)
	if err := conf.Reload(); err != nil {
		t.Fatal(err)
	}
	if err := up.Ask(t.Context(), 1, "still there?", nil); err != nil {
		t.Errorf("a connection that was up: %v", err)
	}
	if did, _, err := resumed(); did || err == nil {
		t.Errorf("a session of an authority that is gone was resumed: %v, %v", did, err)
	}
	if _, err := b.dialTLS(board); err == nil {
		t.Error("a board of an authority that is gone was let in")
	}
	board2 := next.issue("board", 4)
	board2.CAFile = a.file
	c, err := b.dialTLS(board2)
	if err != nil {
		t.Fatal(err)
	}
	if serial := c.Certificate().SerialNumber.Int64(); serial != 20 {
		t.Errorf("the server has the certificate %d", serial)
	}
}

func TestTLSWithoutItsFiles(t *testing.T) {
	a := newAuthority(t)
	good := a.issue("server", 2)
	for want, conf := range map[string]*longwire.TLS{
		"CertFile":    {},
		"missing.pem": {CertFile: filepath.Join(a.dir, "missing.pem"), KeyFile: good.KeyFile},
		"missing.ca":  {CertFile: good.CertFile, KeyFile: good.KeyFile, CAFile: filepath.Join(a.dir, "missing.ca")},
	} {
		err := (&longwire.Server{Addr: "127.0.0.1:0", TLS: conf}).ListenAndServe()
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v; want it to name %s", err, want)
		}
	}
}

// Faults row 15: peers that say nothing, or stop in the middle of their hello, are gone
// at the deadline, and whoever means it is in at once.
func TestTLSHandshakesThatNeverEnd(t *testing.T) {
	a := newAuthority(t)
	b := serve(t, tcp(), &longwire.Server{Handler: ok, TLS: a.issue("server", 2), Config: &longwire.Config{
		AdmitTimeout: time.Second,
		Limits:       longwire.Limits{Handshakes: 2},
	}})
	const silent = 200
	var peers []*peer
	for i := range silent {
		p := b.peer()
		if i%2 == 0 {
			p.send([]byte("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"))
		}
		peers = append(peers, p)
	}
	start := time.Now()
	if _, err := b.dialTLS(&longwire.TLS{CAFile: a.file}); err != nil {
		t.Error(err)
	}
	if d := time.Since(start); d > time.Second {
		t.Errorf("an honest peer was in after %v", d)
	}
	for _, p := range peers {
		p.wantGone()
	}
	if d := time.Since(start); d > 3*time.Second {
		t.Errorf("they were gone after %v", d)
	}
	b.wantClosed(longwire.ReasonAdmitTimeout, silent)
}

// A peer that has its keys changed without end would cost this side processor time for
// nothing; crypto/tls limits that from Go 1.26.6 on (GO-2026-6090), and go.mod asks for it.
func TestToolchain(t *testing.T) {
	used, _, _ := strings.Cut(runtime.Version(), " ")
	if strings.HasPrefix(used, "devel") {
		t.Skip("built with a development version of Go")
	}
	if version.Compare(used, "go1.26.6") < 0 {
		t.Errorf("built with %s, and its crypto/tls has a known fault; build with Go 1.26.6 or newer", used)
	}
}

// A session that began before Reload would bring the certificate of that time back.
func TestTLSReloadForgetsSessions(t *testing.T) {
	a := newAuthority(t)
	conf := a.issue("server", 2)
	b := serve(t, tcp(), &longwire.Server{Handler: ok, TLS: conf})
	for _, most := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
		sessions := &tls.Config{InsecureSkipVerify: true, MaxVersion: most, ClientSessionCache: tls.NewLRUClientSessionCache(10)}
		resumed := func() bool {
			nc, err := tls.Dial("tcp", b.addr, sessions)
			if err != nil {
				t.Fatal(err)
			}
			defer nc.Close()
			nc.Write(wire(1, question("k", "1")))
			if _, err := nc.Read(make([]byte, 500)); err != nil { // with it the ticket comes
				t.Error(err)
			}
			return nc.ConnectionState().DidResume
		}
		if resumed() || !resumed() {
			t.Error("a session is not resumed, without Reload")
		}
		if err := conf.Reload(); err != nil {
			t.Fatal(err)
		}
		if resumed() {
			t.Errorf("TLS %x: a session from before Reload was resumed", most)
		}
	}
}

// Closing a TLS connection means to tell the peer so, and a peer that has left just no room
// for that must not hold up those who look after all the others.
func TestTLSPeerWithoutRoomForTheEnd(t *testing.T) {
	conf := newAuthority(t).issue("server", 2)
	if err := conf.Reload(); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		const buffer, least = 4 << 10, 24 // bytes, of the last thing that is said over TLS
		b := serve(t, memory(&longwiretest.Network{BufferSize: buffer}), &longwire.Server{
			Handler: echo, TLS: conf, Config: &longwire.Config{FrameTimeout: 3 * time.Second},
		})
		dial := func() net.Conn {
			nc := tls.Client(b.peer().nc, &tls.Config{InsecureSkipVerify: true})
			if err := nc.Handshake(); err != nil {
				t.Fatal(err)
			}
			return nc
		}
		var peers []net.Conn
		for size := buffer * 3 / 4; size < buffer; size += least / 2 { // for some of them, the answer is written and fills the buffer
			nc := dial()
			nc.Write(wire(1, string(make([]byte, size))))
			peers = append(peers, nc)
		}
		synctest.Wait()
		honest, begin := dial(), []byte{0xC8, 0, 0}
		for _, nc := range append(peers, honest) {
			go nc.Write(begin)
		}
		start := time.Now()
		io.Copy(io.Discard, honest)
		if d := time.Since(start); d > 4*time.Second {
			t.Errorf("a frame that was never completed ended its connection after %v", d)
		}
	})
}
