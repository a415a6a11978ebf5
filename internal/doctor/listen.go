package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"strings"
	"syscall"
	"time"

	"github.com/longwire/longwire/internal/config"
)

// addresses looks at whether the ports of the configuration are to be had.
func (l *look) addresses() {
	for i := range l.c.Listeners {
		l.address("listener "+l.c.Listeners[i].Name, l.c.Listeners[i].Address)
	}
	if l.c.HTTP.Address != "" {
		l.address("http", l.c.HTTP.Address)
	}
}

func (l *look) address(who string, a config.Address) {
	if strings.HasSuffix(string(a), ":0") {
		l.say("ports", OK, who+" takes a free port", "", "")
		return
	}
	if l.m.Bind == nil {
		l.cannot("ports", "whether "+string(a)+" is free")
		return
	}
	err := l.m.Bind(string(a))
	switch {
	case err == nil:
		l.say("ports", OK, string(a)+" is free for "+who, "", "")
	case errors.Is(err, syscall.EADDRINUSE):
		l.say("ports", Note, string(a)+", for "+who+", is in use", "by a gateway that runs already, or by something else; serve could not start here now", "ss -ltnp shows by whom")
	case errors.Is(err, syscall.EACCES):
		l.say("ports", Problem, "this user may not listen on "+string(a)+", for "+who, "serve does not start", "take a port above 1023, or AmbientCapabilities=CAP_NET_BIND_SERVICE in systemd")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		l.say("ports", Problem, string(a)+", for "+who+", is no address of this machine", "serve does not start", "take one that ip address shows, or leave the host out")
	default:
		if e, ok := errors.AsType[*net.DNSError](err); ok {
			err = errors.New(e.Err)
		}
		l.say("ports", Problem, fmt.Sprintf("nothing can listen on %s, for %s: %v", a, who, err), "serve does not start", "take another address")
	}
}

// soon is when a certificate should have been replaced.
const soon = 30 * 24 * time.Hour

// certificates looks at those of the configuration, which has seen to it that they can
// be read, that the keys are theirs, and that others cannot read those.
func (l *look) certificates() {
	n := len(l.found)
	for i := range l.c.Listeners {
		if t := l.c.Listeners[i].TLS; t != nil {
			l.certificate("listener "+l.c.Listeners[i].Name, t.CertFile, true)
			if t.ClientCAFile != "" {
				l.certificate("the authorities of listener "+l.c.Listeners[i].Name, t.ClientCAFile, false)
			}
		}
	}
	if t := l.c.HTTP.TLS; t != nil {
		l.certificate("http", t.CertFile, true)
	}
	if len(l.found) == n {
		l.say("certificates", OK, "none are configured", "", "")
	}
}

// certificate looks at all certificates in a file. The first is the server's own when
// own is true.
func (l *look) certificate(who, file string, own bool) {
	b, err := l.m.ReadFile(file)
	if err != nil {
		l.say("certificates", Problem, fmt.Sprintf("%s cannot be read: %v", file, cause(err)), "serve does not start", "")
		return
	}
	n := 0
	for block, rest := pem.Decode(b); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		n++
		l.valid(who, file, c, own && n == 1)
	}
	if n == 0 {
		l.say("certificates", Problem, file+" has no certificate in it", "serve does not start", "")
	}
}

func (l *look) valid(who, file string, c *x509.Certificate, own bool) {
	now := l.m.Now()
	left := c.NotAfter.Sub(now)
	name := c.Subject.CommonName
	if name == "" && len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	}
	found := fmt.Sprintf("%s, for %s (%.64q)", file, who, name)
	day := c.NotAfter.UTC().Format(time.DateOnly)
	renew := "put a new one in that file, and longwire reload; connections stay up"
	switch {
	case left <= 0:
		l.say("certificates", Problem, found+" ended on "+day, "who checks it cannot connect", renew)
	case now.Before(c.NotBefore):
		l.say("certificates", Problem, found+" begins on "+c.NotBefore.UTC().Format(time.DateOnly), "who checks it cannot connect yet", "look at the clock of this machine, or wait")
	case own && len(c.DNSNames)+len(c.IPAddresses)+len(c.URIs) == 0:
		l.say("certificates", Warning, found+" has no names (SAN) but its common name", "clients have not looked at that for years: they refuse it", "make one with subjectAltName")
	case left < soon:
		l.say("certificates", Warning, fmt.Sprintf("%s ends on %s, in %d days", found, day, int(left/(24*time.Hour))), "after that, who checks it cannot connect", renew)
	default:
		l.say("certificates", OK, found+" is good until "+day, "", "")
	}
}
