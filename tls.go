package longwire

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// TLS is what a [Server] or a [Client] needs for TLS, in files, which are read when it
// is used first and again by Reload. TLS 1.3 is preferred, 1.2 the least. Its fields
// must not be changed after that.
type TLS struct {
	// CertFile and KeyFile hold this side's certificate, with what its chain needs,
	// and its key, both in PEM. A Server must have them; a Client has them where the
	// server asks for its certificate.
	CertFile, KeyFile string

	// CAFile holds, in PEM, the authorities whose certificates the other side may
	// have. A Server that has one asks for certificates and takes nobody without;
	// see Conn.Certificate. For a Client, none means those of the system.
	CAFile string

	// ServerName is the name that the server's certificate must be for; none means
	// the host of Client.Addr. A Server ignores it.
	ServerName string

	// InsecureSkipVerify makes a Client talk to whoever answers: anybody on the way
	// can read and change everything. A Server ignores it.
	InsecureSkipVerify bool

	mu     sync.Mutex // held while files are read
	loaded atomic.Pointer[tls.Config]
}

// Reload reads the files again. Connections that are up stay as they are; those that
// begin later have what is new, and no earlier session can be resumed. An error names
// the file, and what was there before stays in use.
func (t *TLS) Reload() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	conf, err := t.read()
	if err != nil {
		return fmt.Errorf("longwire: TLS: %w", err)
	}
	t.loaded.Store(conf)
	return nil
}

// config returns what the files say.
func (t *TLS) config() (*tls.Config, error) {
	if conf := t.loaded.Load(); conf != nil {
		return conf, nil
	}
	err := t.Reload()
	return t.loaded.Load(), err
}

func (t *TLS) read() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: t.ServerName, InsecureSkipVerify: t.InsecureSkipVerify}
	if t.CertFile != "" || t.KeyFile != "" {
		cert, err := tls.LoadX509KeyPair(t.CertFile, t.KeyFile)
		if err != nil {
			return nil, fmt.Errorf("CertFile %q, KeyFile %q: %w", t.CertFile, t.KeyFile, err)
		}
		conf.Certificates = []tls.Certificate{cert}
	}
	if t.CAFile != "" {
		pem, err := os.ReadFile(t.CAFile)
		if err != nil {
			return nil, fmt.Errorf("CAFile: %w", err)
		}
		authorities := x509.NewCertPool()
		if !authorities.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("CAFile %q: there is no certificate in it", t.CAFile)
		}
		conf.RootCAs, conf.ClientCAs = authorities, authorities
		conf.ClientAuth = tls.RequireAndVerifyClientCert
	}
	sessions := new(tls.Config) // has the keys of tickets; the listener's would outlive what was read
	conf.WrapSession, conf.UnwrapSession = sessions.EncryptTicket, sessions.DecryptTicket
	return conf, nil
}

// server returns a listener that speaks TLS over l.
func (t *TLS) server(l net.Listener, handshakes slots) (net.Listener, error) {
	conf, err := t.config()
	if err != nil {
		return nil, err
	}
	if len(conf.Certificates) == 0 {
		return nil, errors.New("longwire: TLS.CertFile: a Server needs a certificate")
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetConfigForClient: func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			if err := handshakes.take(hello.Context()); err != nil {
				return nil, err
			}
			return t.config()
		},
	}), nil
}

// client speaks TLS over nc, to the server of that address.
func (t *TLS) client(ctx context.Context, nc net.Conn, addr string) (net.Conn, error) {
	conf, err := t.config()
	if err != nil {
		return nil, err
	}
	if conf.ServerName == "" {
		conf = conf.Clone()
		if conf.ServerName, _, err = net.SplitHostPort(addr); err != nil {
			return nil, fmt.Errorf("longwire: Client.Addr: %w", err)
		}
	}
	tc := tls.Client(nc, conf)
	if err := tc.HandshakeContext(ctx); err != nil {
		return nil, fmt.Errorf("longwire: TLS: %w", err)
	}
	return tc, nil
}

// slots bounds how many handshakes cost processor time at once. A handshake takes one
// when the peer has said its hello, so that peers which say nothing take none, and has
// it for a second at most, so that those which stop in the middle do not keep it.
type slots chan struct{}

const mostSlotTime = time.Second

// take takes a slot until ctx, which is the handshake's, ends.
func (s slots) take(ctx context.Context) error {
	select {
	case s <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	limited, cancel := context.WithTimeout(ctx, mostSlotTime)
	context.AfterFunc(limited, func() {
		cancel()
		<-s
	})
	return nil
}

// Certificate returns the peer's certificate, when it came over TLS and has been
// verified against TLS.CAFile; otherwise nil. Server.Admit finds in it whose connection
// this is: a name counts only when one of DNSNames, URIs, IPAddresses or EmailAddresses
// is exactly that name.
func (c *Conn) Certificate() *x509.Certificate {
	l, ok := c.link.(*netLink)
	if !ok {
		return nil
	}
	tc, ok := l.nc.(*tls.Conn)
	if !ok {
		return nil
	}
	state := tc.ConnectionState()
	if len(state.VerifiedChains) == 0 {
		return nil
	}
	return state.VerifiedChains[0][0]
}
