package config

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"regexp"
	"strings"
)

// An Address is a TCP address to listen on, host:port. Empty means none.
type Address string

// Set checks that text is an address with a port.
func (a *Address) Set(text string) error {
	host, port, err := net.SplitHostPort(text)
	if err != nil {
		return fmt.Errorf("%.64q is no address with a port; write it as in 127.0.0.1:10302", text)
	}
	if _, err := net.LookupPort("tcp", port); err != nil || port == "" {
		return fmt.Errorf("%.64q has no usable port; write it as in 127.0.0.1:10302", text)
	}
	if _, err := netip.ParseAddr(host); host != "" && err != nil && !isHost(host) {
		return fmt.Errorf("%.64q has no usable host; write it as in 127.0.0.1:10302", text)
	}
	*a = Address(text)
	return nil
}

// Loopback reports whether nobody but this machine can reach the address. Names other
// than localhost count as addresses that others can.
func (a Address) Loopback() bool {
	host, _, _ := net.SplitHostPort(string(a))
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.Unmap().IsLoopback()
}

// overlaps reports whether only one of both can be listened on.
func (a Address) overlaps(b Address) bool {
	host, port := a.split()
	otherHost, otherPort := b.split()
	return a != "" && b != "" && port == otherPort && port != 0 &&
		(host == otherHost || host == "" || otherHost == "")
}

// split returns host and port in one spelling; the host is empty when it is all.
func (a Address) split() (host string, port int) {
	host, name, _ := net.SplitHostPort(string(a))
	port, _ = net.LookupPort("tcp", name)
	if host == "localhost" {
		host = "127.0.0.1"
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		if host = ip.Unmap().String(); ip.IsUnspecified() {
			host = ""
		}
	}
	return host, port
}

var (
	hostPattern   = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$`)
	numberPattern = regexp.MustCompile(`^[0-9.]*$`)
)

// isHost reports whether text can be the name of a host.
func isHost(text string) bool {
	return hostPattern.MatchString(text) && !numberPattern.MatchString(text)
}

// A URL is that of another program, http or https. Empty means none.
type URL string

// Set checks that text is a URL. Errors do not repeat it: it may have a secret in it.
func (u *URL) Set(text string) error {
	parsed, err := url.Parse(text)
	if err != nil || parsed.Scheme != "http" && parsed.Scheme != "https" || parsed.Hostname() == "" {
		return errors.New("is no URL; write it as in http://127.0.0.1:8080/path")
	}
	if parsed.Fragment != "" {
		return errors.New("has a # in it, and nothing behind that is ever sent; write %23 for one that is meant")
	}
	*u = URL(text)
	return nil
}

// String returns the URL with user, password and the values of its query hidden.
func (u URL) String() string {
	parsed, err := url.Parse(string(u))
	if err != nil {
		return "hidden"
	}
	if parsed.User != nil {
		parsed.User = url.User("hidden")
	}
	if parsed.RawQuery != "" {
		parsed.RawQuery = "hidden"
	}
	return parsed.String()
}

// A Pointer is a JSON pointer (RFC 6901) to a part of a message.
type Pointer string

var pointerPattern = regexp.MustCompile(`^(/([^~/]|~[01])*)+$`)

// Set checks that text is a pointer to a part.
func (p *Pointer) Set(text string) error {
	if !pointerPattern.MatchString(text) {
		return fmt.Errorf("%.64q is no JSON pointer; write it as in /device/id", text)
	}
	*p = Pointer(text)
	return nil
}

// A Hash is the SHA-256 of a token. Tokens must be random: those that people think of
// can be found by trying.
type Hash [sha256.Size]byte

const (
	hashPrefix = "sha256:"
	hashHidden = hashPrefix + "…"
)

// NewToken returns a random token.
func NewToken() string {
	var b [32]byte
	rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// HashOf returns the hash of a token.
func HashOf(token string) Hash { return sha256.Sum256([]byte(token)) }

// Set reads sha256: and the hexadecimal digits. Errors do not repeat text: it may be
// the token itself.
func (h *Hash) Set(text string) error {
	digits, ok := strings.CutPrefix(text, hashPrefix)
	b, err := hex.DecodeString(digits)
	switch {
	case text == hashHidden:
		return errors.New("has been hidden when it was printed; longwire token makes a new one")
	case !ok || err != nil || len(b) != len(h):
		return errors.New("is no hash; write sha256: and 64 hexadecimal digits, as longwire token prints them")
	}
	*h = Hash(b)
	return nil
}

// String returns the beginning alone, so that no hash stands in a log.
func (h Hash) String() string { return hashHidden }

// Reveal returns the hash as it stands in a file.
func (h Hash) Reveal() string { return hashPrefix + hex.EncodeToString(h[:]) }
