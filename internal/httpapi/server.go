// Package httpapi is the HTTP side of the gateway: the API that other programs ask boards
// through, below /v1, and what an operator looks at.
//
// Everything is JSON. What cannot be done is told as problem details (RFC 9457). The
// document at /v1/openapi.json is made from the code that serves.
package httpapi

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"path"
	"sync/atomic"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"golang.org/x/net/netutil"
	"golang.org/x/time/rate"

	"github.com/longwire/longwire/internal/gateway"
)

// A Server is the HTTP side of a gateway. It is an [http.Handler].
type Server struct {
	g       *gateway.Gateway
	conf    Config
	mux     *http.ServeMux
	api     huma.API
	openAPI []byte

	tokens   atomic.Pointer[map[string][sha256.Size]byte]
	guesses  guesses
	warn     rate.Sometimes // about wrong tokens
	bodies   atomic.Int64   // bytes of bodies in memory
	streams  atomic.Int64   // that read events
	draining atomic.Bool

	stopping context.Context // ends when the server stops: streams would go on for ever
	stop     context.CancelFunc
}

// New returns the HTTP side of a gateway.
func New(g *gateway.Gateway, c Config) (*Server, error) {
	c.setDefaults()
	if len(c.SessionSecret) < sha256.Size {
		return nil, fmt.Errorf("httpapi: Config.SessionSecret: has %d bytes; it needs %d", len(c.SessionSecret), sha256.Size)
	}
	s := &Server{g: g, conf: c, mux: http.NewServeMux(), warn: rate.Sometimes{Interval: time.Second}}
	s.stopping, s.stop = context.WithCancel(context.Background())
	if err := s.SetTokens(c.Tokens); err != nil {
		return nil, err
	}
	if err := s.routes(); err != nil {
		return nil, err
	}
	return s, nil
}

// SetTokens replaces the tokens, from the next request on.
func (s *Server) SetTokens(hashes map[string][sha256.Size]byte) error {
	if len(hashes) == 0 && !s.conf.Loopback {
		return errors.New("httpapi: others than this machine can reach the API; it needs a token")
	}
	hashes = maps.Clone(hashes)
	s.tokens.Store(&hashes)
	return nil
}

// Drain has the gateway stop, and /readyz say so.
func (s *Server) Drain() {
	s.draining.Store(true)
	s.g.Drain()
}

// Serve serves the requests of a listener until ctx ends, closes it, and returns nil. What
// is in progress then may take 5 seconds more; event streams end at once. A server that has
// stopped cannot serve again. An error means that serving could not go on.
//
// The listener must not speak TLS itself: see Config.TLS.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	srv := &http.Server{
		Handler:           s,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(s.conf.Logger.Handler(), slog.LevelDebug),
		Protocols:         new(http.Protocols),
	}
	srv.Protocols.SetHTTP1(true) // the limits count connections, on which HTTP/2 has many requests
	l = netutil.LimitListener(l, maxConns)
	if s.conf.TLS != nil {
		secure := s.conf.TLS.Clone()
		secure.NextProtos = []string{"http/1.1"}
		l = tls.NewListener(l, secure)
	}
	served := make(chan error, 1)
	go func() { served <- srv.Serve(l) }()
	select {
	case err := <-served:
		s.stop()
		return err
	case <-ctx.Done():
	}
	s.stop()
	grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
	defer cancel()
	if srv.Shutdown(grace) != nil {
		srv.Close()
	}
	<-served
	return nil
}

// ServeHTTP answers a request.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.survive(w, r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")

	// The deadlines of a connection outlive a request.
	rc := http.NewResponseController(w)
	rc.SetWriteDeadline(time.Now().Add(s.conf.MaxWait + writeTimeout))
	who, p := s.gate(w, r)
	if p != nil {
		p.refuse(w, rc)
		return
	}
	if s.isPage(r) {
		s.conf.Dashboard.ServeHTTP(w, r)
		return
	}
	r = r.WithContext(context.WithValue(r.Context(), callerKey{}, who))
	body, p := s.readBody(rc, r)
	defer body.release()
	if p != nil {
		p.refuse(w, rc)
		return
	}
	s.route(w, r)
}

// note logs what somebody has done.
func (s *Server) note(ctx context.Context, what string, attrs ...any) {
	if c := callerOf(ctx); c.name != "" {
		attrs = append(attrs, "by", c.name)
	}
	s.conf.Logger.Info(what, attrs...)
}

// route finds who answers. What nobody does is a problem like any other, where
// ServeMux would answer with text.
func (s *Server) route(w http.ResponseWriter, r *http.Request) {
	if p := r.URL.EscapedPath(); p != path.Clean(p) && p != path.Clean(p)+"/" {
		notFound.write(w) // and not sent elsewhere
		return
	}
	h, pattern := s.mux.Handler(r)
	if pattern != "" {
		s.mux.ServeHTTP(w, r)
		return
	}
	var plain statusOnly
	h.ServeHTTP(&plain, r)
	if allow := plain.Header().Get("Allow"); plain.status == http.StatusMethodNotAllowed {
		w.Header().Set("Allow", allow)
		newProblem(plain.status, "This path knows other methods: %s.", allow).write(w)
		return
	}
	notFound.write(w)
}

// statusOnly is a response of which nobody sees the body.
type statusOnly struct {
	header http.Header
	status int
}

func (w *statusOnly) Header() http.Header {
	if w.header == nil {
		w.header = make(http.Header)
	}
	return w.header
}

func (w *statusOnly) Write(b []byte) (int, error) { return len(b), nil }
func (w *statusOnly) WriteHeader(status int)      { w.status = status }

// survive is deferred: a panic is told as a problem, and logged.
func (s *Server) survive(w http.ResponseWriter, r *http.Request) {
	v := recover()
	switch {
	case v == nil:
	case v == http.ErrAbortHandler:
		panic(v)
	default:
		s.conf.Logger.Error("panic while answering a request", "method", r.Method, "pattern", r.Pattern, "panic", v, "stack", stack())
		w.Header().Set("Connection", "close")
		internal.write(w)
	}
}
