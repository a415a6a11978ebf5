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

// gate lets a request in, whose name it returns, or says why it may not come. With tokens
// everything needs one, but for what tells whether the process is well.
func (s *Server) gate(w http.ResponseWriter, r *http.Request) (name string, p *problem) {
	tokens := *s.tokens.Load()
	switch {
	case len(tokens) == 0:
		return "", s.checkSource(r)
	case r.URL.Path == "/healthz" || r.URL.Path == "/readyz":
		w.Header().Set("Connection", "close") // strangers shall not keep one
		return "", nil
	}
	from := source(r.RemoteAddr)
	if s.guesses.locked(from, time.Now()) {
		w.Header().Set("Retry-After", "60")
		return "", newProblem(http.StatusTooManyRequests, "Too many wrong tokens have come from this address; try again in a minute.")
	}
	token, given := bearer(r.Header.Get("Authorization"))
	if name, right := whose(tokens, token); given && right {
		return name, nil
	}
	w.Header().Set("WWW-Authenticate", `Bearer realm="longwire"`)
	if !given {
		return "", newProblem(http.StatusUnauthorized, "A token is needed, in a header: Authorization: Bearer TOKEN.")
	}
	s.guesses.wrong(from, token, time.Now())
	s.warn.Do(func() { s.conf.Logger.Warn("wrong token", "remote_addr", r.RemoteAddr) })
	w.Header().Set("WWW-Authenticate", `Bearer realm="longwire", error="invalid_token"`)
	return "", newProblem(http.StatusUnauthorized, "The token is not one of those that are configured.")
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
	if !s.isOurs(r.Host) {
		return newProblem(http.StatusForbidden, "The Host of the request is not on the loopback interface, nor one of the allowed hosts.")
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || !s.isOurs(u.Host) {
			return newProblem(http.StatusForbidden, "The Origin of the request is not on the loopback interface, nor one of the allowed hosts.")
		}
	}
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		return newProblem(http.StatusForbidden, "The request comes from a page of another site.")
	}
	return nil
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
