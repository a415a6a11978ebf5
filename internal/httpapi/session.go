package httpapi

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// A session is a cookie that stands for a token, so that the page need not keep the token
// where scripts can read it. Nothing is remembered of sessions: the cookie says whose token it
// stands for and how long, and is signed with a key that is made of that token's hash, so
// that it ends when the token is taken out of the configuration.

const (
	sessionCookie = "longwire_session"
	sessionTime   = 12 * time.Hour
	maxCookie     = 1024 // bytes of one that is looked at
	maxCookies    = 4    // that are: a neighbour on the same domain may have set another, which comes first
)

// newSecret returns what sessions are signed with, when there is nothing that outlives the process.
func newSecret() []byte {
	b := make([]byte, sha256.Size)
	rand.Read(b)
	return b
}

// sign returns the signature of what a cookie says.
func (s *Server) sign(said []byte, token [sha256.Size]byte) []byte {
	key := hmac.New(sha256.New, s.conf.SessionSecret)
	key.Write(token[:])
	mac := hmac.New(sha256.New, key.Sum(nil))
	mac.Write(said)
	return mac.Sum(nil)
}

// newSession returns a cookie that stands for a token until a time.
func (s *Server) newSession(name string, token [sha256.Size]byte, until time.Time) http.Cookie {
	said := append(binary.BigEndian.AppendUint64(nil, uint64(until.Unix())), name...)
	return s.cookie(base64.RawURLEncoding.EncodeToString(append(said, s.sign(said, token)...)), int(sessionTime/time.Second))
}

func (s *Server) cookie(value string, maxAge int) http.Cookie {
	return http.Cookie{
		Name: sessionCookie, Value: value, Path: "/", MaxAge: maxAge,
		HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: s.conf.TLS != nil,
	}
}

// session returns the name of the token that a request's cookie stands for.
func (s *Server) session(r *http.Request, tokens map[string][sha256.Size]byte, now time.Time) (name string, right bool) {
	cookies := r.CookiesNamed(sessionCookie)
	for _, c := range cookies[:min(len(cookies), maxCookies)] {
		if name, right = s.readSession(c.Value, tokens, now); right {
			return name, true
		}
	}
	return "", false
}

func (s *Server) readSession(value string, tokens map[string][sha256.Size]byte, now time.Time) (name string, right bool) {
	if len(value) > maxCookie {
		return "", false
	}
	b, err := base64.RawURLEncoding.DecodeString(value)
	if err != nil || len(b) < 8+sha256.Size {
		return "", false
	}
	said, signature := b[:len(b)-sha256.Size], b[len(b)-sha256.Size:]
	name = string(said[8:])
	token, known := tokens[name]
	right = subtle.ConstantTimeCompare(s.sign(said, token), signature) == 1 && known &&
		now.Unix() < int64(binary.BigEndian.Uint64(said))
	return name, right
}

// isOurPage reports whether a request is none that a page of another site has a browser send.
// SameSite keeps the cookie from most of those, but not from a neighbour's page on the same
// domain. A browser says which site's page it is or, over plain HTTP, the origin of what changes
// something. What says neither is a program, or a browser that reads: then only our
// own page can see what comes back.
func isOurPage(r *http.Request) bool {
	if sites := r.Header.Values("Sec-Fetch-Site"); len(sites) > 0 {
		return !slices.ContainsFunc(sites, func(site string) bool { return site != "same-origin" && site != "none" })
	}
	for _, origin := range r.Header.Values("Origin") {
		if u, err := url.Parse(origin); err != nil || u.Host == "" || !strings.EqualFold(u.Host, r.Host) {
			return false
		}
	}
	return true
}

var notOurPage = newProblem(http.StatusForbidden, "The request comes from a page of another site.")

// A caller is who has sent a request.
type caller struct {
	name string // of the token, "" where none is needed or given
	in   bool   // a right token was given, or none is needed
	addr string // where it comes from
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

type sessionOutput struct {
	Body struct {
		Required      bool   `json:"required" doc:"whether a token is needed"`
		Authenticated bool   `json:"authenticated" doc:"whether this request may do everything: it has a right token, or a session, or none is needed"`
		Name          string `json:"name" doc:"whose token that is; empty where none is needed"`
	} `nameHint:"Session"`
}

func (s *Server) showSession(ctx context.Context, _ *struct{}) (*sessionOutput, error) {
	c, out := callerOf(ctx), new(sessionOutput)
	out.Body.Required = len(*s.tokens.Load()) > 0
	out.Body.Authenticated, out.Body.Name = c.in, c.name
	return out, nil
}

type loginInput struct {
	Body struct {
		_     struct{} `additionalProperties:"false"`
		Token string   `json:"token" maxLength:"1024" doc:"one of the tokens that are configured"`
	} `nameHint:"Login"`
}

type cookieOutput struct {
	SetCookie http.Cookie `header:"Set-Cookie"`
}

func (s *Server) login(ctx context.Context, in *loginInput) (*cookieOutput, error) {
	tokens := *s.tokens.Load()
	if in.Body.Token == "" {
		return nil, newProblem(http.StatusBadRequest, "The token is missing.")
	}
	if len(tokens) == 0 {
		return nil, newProblem(http.StatusConflict, "No token is needed here.")
	}
	now := time.Now()
	token := sha256.Sum256([]byte(strings.TrimSpace(in.Body.Token)))
	name, right := whose(tokens, token)
	if !right {
		s.wrongToken(callerOf(ctx).addr, token, now)
		return nil, newProblem(http.StatusUnauthorized, "The token is not one of those that are configured.")
	}
	s.conf.Logger.Info("login over HTTP", "by", name)
	return &cookieOutput{s.newSession(name, token, now.Add(sessionTime))}, nil
}

func (s *Server) logout(context.Context, *struct{}) (*cookieOutput, error) {
	return &cookieOutput{s.cookie("", -1)}, nil
}
