package httpapi

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// gate lets a request in, or says why it may not come. With tokens everything needs one, or a
// session that stands for one, but for what tells whether the process is well, for the page, which
// holds no secrets, and for beginning a session.
func (s *Server) gate(w http.ResponseWriter, r *http.Request) (c caller, p *problem) {
	c.addr = r.RemoteAddr
	tokens := *s.tokens.Load()
	switch {
	case len(tokens) == 0 && s.isPage(r):
		c.in = true
		return c, s.checkHost(r)
	case len(tokens) == 0:
		c.in = true
		return c, s.checkSource(r)
	case s.isPage(r):
		return c, nil
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz":
		w.Header().Set("Connection", "close") // strangers shall not keep one
		return c, nil
	}
	now := time.Now()
	if s.guesses.locked(source(c.addr), now) {
		w.Header().Set("Retry-After", "60")
		return c, newProblem(http.StatusTooManyRequests, "Too many wrong tokens have come from this address; try again in a minute.")
	}
	token, given := bearer(r.Header.Get("Authorization"))
	if given {
		if c.name, c.in = whose(tokens, token); c.in {
			return c, nil
		}
		s.wrongToken(c.addr, token, now)
		w.Header().Set("WWW-Authenticate", `Bearer realm="longwire", error="invalid_token"`)
		return c, newProblem(http.StatusUnauthorized, "The token is not one of those that are configured.")
	}
	name, in := s.session(r, tokens, now)
	switch {
	case (in || r.URL.Path == sessionPath) && !isOurPage(r):
		return c, notOurPage
	case in:
		c.name, c.in = name, true
		return c, nil
	case r.URL.Path == sessionPath:
		return c, nil
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="longwire"`)
	return c, newProblem(http.StatusUnauthorized, "A token is needed, in a header: Authorization: Bearer TOKEN.")
}

const sessionPath = "/v1/session"

// isPage reports whether a request is for the dashboard, which answers what nobody else does.
func (s *Server) isPage(r *http.Request) bool {
	if s.conf.Dashboard == nil || r.Method != http.MethodGet && r.Method != http.MethodHead {
		return false
	}
	first, _, below := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	switch first {
	case "v1", "debug":
		return false
	case "metrics", "healthz", "readyz":
		return below
	}
	return true
}

// wrongToken remembers a token that is none of those that are configured.
func (s *Server) wrongToken(addr string, token [sha256.Size]byte, now time.Time) {
	s.guesses.wrong(source(addr), token, now)
	s.warn.Do(func() { s.conf.Logger.Warn("wrong token", "remote_addr", addr) })
}

// bearer returns the hash of the token in an Authorization header.
func bearer(header string) (hash [sha256.Size]byte, given bool) {
	scheme, token, _ := strings.Cut(header, " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(scheme, "Bearer") || token == "" {
		return hash, false
	}
	return sha256.Sum256([]byte(token)), true
}

// whose returns the name of the token with that hash. It takes the same time whichever it is,
// or none.
func whose(tokens map[string][sha256.Size]byte, hash [sha256.Size]byte) (name string, right bool) {
	for n, want := range tokens {
		if subtle.ConstantTimeCompare(want[:], hash[:]) == 1 {
			name, right = n, true
		}
	}
	return name, right
}

// checkSource keeps web pages out where no token does. A browser sends what a page of others
// tells it to; but it says which host it takes this for, which is the page's own when
// that has a name that leads here (DNS rebinding), and which page it is.
func (s *Server) checkSource(r *http.Request) *problem {
	if p := s.checkHost(r); p != nil {
		return p
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || !s.isOurs(u.Host) {
			return newProblem(http.StatusForbidden, "The Origin of the request is not on the loopback interface, nor one of the allowed hosts.")
		}
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return notOurPage
	}
	return nil
}

func (s *Server) checkHost(r *http.Request) *problem {
	if s.isOurs(r.Host) {
		return nil
	}
	return newProblem(http.StatusForbidden, "The Host of the request is not on the loopback interface, nor one of the allowed hosts.")
}

// isOurs reports whether a host, with or without a port, is this machine's loopback
// interface, or allowed.
func (s *Server) isOurs(hostPort string) bool {
	host := (&url.URL{Host: hostPort}).Hostname() // all of it where the port is none
	if addr, err := netip.ParseAddr(host); err == nil && addr.IsLoopback() && addr.Zone() == "" {
		return true
	}
	same := func(allowed string) bool { return strings.EqualFold(host, allowed) }
	return host != "" && (same("localhost") || slices.ContainsFunc(s.conf.AllowedHosts, same))
}
