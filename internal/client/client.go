// Package client is the other end of the gateway's HTTP API: what the command asks of a
// gateway that runs, on this machine or on another.
//
// What a gateway responds is given back as the JSON that it is, so that nothing is
// lost that a later version of the API adds.
package client

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// A Config says which gateway a [Client] asks, and how.
type Config struct {
	// Address is that of the API, see [ParseAddress].
	Address string

	// Token is the bearer token to send with every request. "" means none.
	Token string

	// Roots are the authorities that the gateway's certificate may be from. Nil means
	// those of the system.
	Roots *x509.CertPool

	// Timeout is how long a request may take, beside the time that it has a device
	// take. Zero means 15 s.
	Timeout time.Duration

	// UserAgent is what the client calls itself. "" means longwire.
	UserAgent string
}

const (
	defaultTimeout = 15 * time.Second
	maxResponse    = 64 << 20 // bytes
)

// A Client asks one gateway. Its methods may be called from any goroutine.
type Client struct {
	conf Config
	base string // of all paths, without a slash at its end
	http *http.Client
}

// New returns a client. It connects to nobody yet.
func New(c Config) (*Client, error) {
	base, err := ParseAddress(c.Address)
	if err != nil {
		return nil, err
	}
	if !IsToken(c.Token) && c.Token != "" {
		return nil, errors.New("the token has characters in it that no token has")
	}
	if c.Timeout == 0 {
		c.Timeout = defaultTimeout
	}
	if c.UserAgent == "" {
		c.UserAgent = "longwire"
	}
	return &Client{conf: c, base: base, http: &http.Client{
		Transport: &http.Transport{
			Proxy:           http.ProxyFromEnvironment,
			TLSClientConfig: &tls.Config{RootCAs: c.Roots},
		},
		// Where the token goes, and what is done there, is nobody's to choose but the user's.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// Close lets go of the connections that are not in use.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// ParseAddress returns the address of an API in the form that all have: without a slash at its
// end. There may be a path in front of the API's own, for a gateway behind a proxy.
func ParseAddress(text string) (string, error) {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		return "", errors.New("is no address of an API; write it as in http://127.0.0.1:10380")
	case u.User != nil:
		return "", errors.New("has a name or a password in it, which does not belong there; the API takes a token")
	case u.RawQuery != "" || u.ForceQuery || u.Fragment != "":
		return "", errors.New("has more behind the path; write it as in http://127.0.0.1:10380")
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// IsToken reports whether text can be a bearer token.
func IsToken(text string) bool {
	return text != "" && len(text) <= 4096 && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' })
}

// A call is one request.
type call struct {
	method, path string
	query        url.Values
	key          string        // Idempotency-Key; "" means none
	body         any           // nil means none
	wait         time.Duration // how long it has a device take
}

// do makes a request and returns the body of the response, nil when it has none.
func (c *Client) do(ctx context.Context, r call) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, c.conf.Timeout+r.wait, ErrSilent)
	defer cancel()
	request, err := c.request(ctx, r)
	if err != nil {
		return nil, err
	}
	response, err := c.http.Do(request)
	if err != nil {
		return nil, c.fault(ctx, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxResponse+1))
	switch {
	case err != nil:
		return nil, c.fault(ctx, err)
	case len(body) > maxResponse:
		return nil, fmt.Errorf("the response has more than %d bytes", maxResponse)
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, refusal(response, body)
	case len(body) == 0 && response.StatusCode == http.StatusNoContent:
		return nil, nil
	case !json.Valid(body):
		return nil, &StrangeError{Status: response.StatusCode}
	}
	return bytes.ToValidUTF8(body, []byte("\uFFFD")), nil
}

func (c *Client) request(ctx context.Context, r call) (*http.Request, error) {
	var body io.Reader
	if r.body != nil {
		b, err := json.Marshal(r.body)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	address := c.base + r.path
	if len(r.query) > 0 {
		address += "?" + r.query.Encode()
	}
	request, err := http.NewRequestWithContext(ctx, r.method, address, body)
	if err != nil {
		return nil, err
	}
	request.Header.Set("User-Agent", c.conf.UserAgent)
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	if r.key != "" {
		request.Header.Set("Idempotency-Key", r.key)
	}
	if c.conf.Token != "" {
		request.Header.Set("Authorization", "Bearer "+c.conf.Token)
	}
	return request, nil
}

// fault returns why there was no whole response: what ended ctx, if that has.
func (c *Client) fault(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*url.Error](err); ok {
		err = e.Err // that names the method and the address again
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	op, isOp := errors.AsType[*net.OpError](err)
	return &TransportError{Err: err, Dialling: isOp && (op.Op == "dial" || op.Op == "proxyconnect")}
}

// decode decodes what a gateway has responded.
func decode(body json.RawMessage, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return &StrangeError{Status: http.StatusOK}
	}
	return nil
}
