package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/longwire/longwire/internal/config"
	"github.com/longwire/longwire/internal/dashboard"
	"github.com/longwire/longwire/internal/gateway"
	"github.com/longwire/longwire/internal/httpapi"
	"github.com/longwire/longwire/internal/metrics"
	"github.com/longwire/longwire/internal/store"
)

// A serving is the gateway with its HTTP side, as a configuration asks for it.
type serving struct {
	gateway *gateway.Gateway
	store   *store.Store    // nil when nothing is kept
	api     *httpapi.Server // nil when there is none
	boards  map[string]net.Listener
	http    net.Listener
	cert    *certificate // of the HTTP side, nil without TLS
	logger  *slog.Logger
	level   *slog.LevelVar

	mu   sync.Mutex // held while the configuration is read again
	load func() (*config.Config, error)
	conf *config.Config // in force
}

// openServing opens the sockets that the configuration names. Load reads it again.
func openServing(ctx context.Context, c *config.Config, logger *slog.Logger, level *slog.LevelVar, load func() (*config.Config, error)) (*serving, error) {
	p := &serving{boards: make(map[string]net.Listener), logger: logger, level: level, load: load, conf: c}
	if err := p.open(ctx); err != nil {
		p.close()
		return nil, err
	}
	return p, nil
}

func (p *serving) open(ctx context.Context) (err error) {
	c := p.conf
	for i := range c.Listeners {
		l := &c.Listeners[i]
		login := gatewayLogin(&l.Login)
		socket, problem := listenOn(ctx, string(l.Address), l.AllowAnonymous || login.Required())
		if problem != "" {
			return c.Problem(fmt.Sprintf("listeners[%d].address", i), "%s", problem)
		}
		p.boards[l.Name] = socket
	}
	if p.store, err = openStore(ctx, c, p.logger); err != nil {
		return err
	}
	if p.gateway, err = gateway.New(p.gatewayConfig(c), p.logger); err != nil {
		return err
	}
	if c.HTTP.Address == "" {
		return nil
	}
	return p.openHTTP(ctx)
}

func (p *serving) openHTTP(ctx context.Context) (err error) {
	c := &p.conf.HTTP
	tokens := c.Hashes()
	socket, problem := listenOn(ctx, string(c.Address), len(tokens) > 0)
	if problem != "" {
		return p.conf.Problem("http.address", "%s", problem)
	}
	p.http = socket
	var secure *tls.Config
	if c.TLS != nil {
		if p.cert, err = newCertificate(c.TLS); err != nil {
			return fmt.Errorf("http.tls: %w", err)
		}
		secure = &tls.Config{GetCertificate: p.cert.get}
	}
	var secret []byte
	if p.store != nil && p.conf.Store.URL == "" {
		if secret, err = sessionSecret(string(p.conf.Data)); err != nil {
			return p.conf.Problem("data", "%v", err)
		}
	}
	var page http.Handler
	if c.Dashboard {
		page = dashboard.Handler()
	}
	address, _ := p.http.Addr().(*net.TCPAddr)
	p.api, err = httpapi.New(p.gateway, httpapi.Config{
		Tokens:        tokens,
		Loopback:      address != nil && address.IP.IsLoopback(),
		AllowedHosts:  c.AllowedHosts,
		SessionSecret: secret,
		Dashboard:     page,
		Version:       version(),
		TLS:           secure,
		MaxBody:       int64(c.MaxBody),
		MaxWait:       time.Duration(c.Timeout),
		Reload:        p.reload,
		Metrics:       metrics.New(p.gateway),
		Logger:        p.logger,
	})
	return err
}

// listenOn listens on an address, or says what is wrong with it.
func listenOn(ctx context.Context, address string, anybody bool) (l net.Listener, problem string) {
	l, err := gateway.Listen(ctx, address, anybody)
	switch {
	case errors.Is(err, gateway.ErrOpen):
		return nil, fmt.Sprintf("others can reach %s, and there is no login to keep them out; listen on 127.0.0.1, or let anybody connect with --allow-anonymous (LONGWIRE_ALLOW_ANONYMOUS=true)", address)
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, address + " is in use by another program; stop that, or choose another port"
	case err != nil:
		return nil, fmt.Sprintf("cannot listen on %s: %v", address, innermost(err))
	}
	return l, ""
}

// close closes the sockets and the store of a program that does not serve.
func (p *serving) close() {
	for _, l := range p.boards {
		l.Close()
	}
	if p.http != nil {
		p.http.Close()
	}
	if p.store != nil {
		p.store.Close()
	}
}

// announce says where the program listens.
func (p *serving) announce(w io.Writer) {
	for i := range p.conf.Listeners {
		fmt.Fprintf(w, "longwire: listening on %v\n", p.boards[p.conf.Listeners[i].Name].Addr())
	}
	if p.http != nil {
		scheme := "http"
		if p.cert != nil {
			scheme = "https"
		}
		fmt.Fprintf(w, "longwire: API on %s://%v\n", scheme, p.http.Addr())
	}
}

// serve serves until stop ends; see gateway.Gateway.Serve. The HTTP side goes on until the
// boards are gone.
func (p *serving) serve(stop, abort context.Context) error {
	hangUp := make(chan os.Signal, 1)
	signal.Notify(hangUp, syscall.SIGHUP)
	background, end := context.WithCancel(context.WithoutCancel(stop))
	var all sync.WaitGroup
	all.Go(func() {
		defer signal.Stop(hangUp)
		for {
			select {
			case <-hangUp:
				p.reload()
			case <-background.Done():
				return
			}
		}
	})
	all.Go(func() { giveBackMemory(background) })
	failed := make(chan error, 1)
	if p.api != nil {
		all.Go(func() {
			if err := p.api.Serve(background, p.http); err != nil {
				failed <- fmt.Errorf("http: %w", err)
				p.gateway.Drain()
			}
		})
	}
	if p.api != nil {
		defer context.AfterFunc(stop, p.api.Drain)() // and /readyz says so
	}
	err := p.gateway.Serve(stop, abort)
	end()
	all.Wait()
	select {
	case broken := <-failed:
		err = errors.Join(err, broken)
	default:
	}
	if p.store != nil {
		err = errors.Join(err, p.store.Close())
	}
	return err
}

// reload reads the configuration again, and applies what can change. On an error everything
// stays as it was.
func (p *serving) reload() (httpapi.Reloaded, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	done, err := p.reloadLocked()
	if err != nil {
		p.logger.Error("the configuration is as it was: the new one has a problem", "problem", err)
		return done, err
	}
	p.logger.Info("configuration read", "applied", done.Applied, "restart", done.Restart)
	return done, nil
}

func (p *serving) reloadLocked() (httpapi.Reloaded, error) {
	later, err := p.load()
	if err != nil {
		return httpapi.Reloaded{}, err
	}
	applied, restart := config.Changes(p.conf, later)
	merged, err := config.Merge(p.conf, later)
	if err != nil {
		return httpapi.Reloaded{}, err
	}
	if p.cert != nil {
		if err := p.cert.reload(); err != nil {
			return httpapi.Reloaded{}, fmt.Errorf("http.tls: %w", err)
		}
	}
	if err := p.gateway.Reload(p.gatewayConfig(merged)); err != nil {
		return httpapi.Reloaded{}, err
	}
	if p.api != nil {
		if err := p.api.SetTokens(merged.HTTP.Hashes()); err != nil {
			return httpapi.Reloaded{}, err
		}
	}
	setLevel(merged, p.level)
	p.conf = merged
	return httpapi.Reloaded{Applied: applied, Restart: restart}, nil
}

// A certificate is read from its files when the program begins, and when it reads its
// configuration again.
type certificate struct {
	files config.Certificate
	now   atomic.Pointer[tls.Certificate]
}

func newCertificate(files *config.Certificate) (*certificate, error) {
	c := &certificate{files: *files}
	return c, c.reload()
}

func (c *certificate) reload() error {
	pair, err := tls.LoadX509KeyPair(c.files.CertFile, c.files.KeyFile)
	if err == nil {
		c.now.Store(&pair)
	}
	return err
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.now.Load(), nil }
