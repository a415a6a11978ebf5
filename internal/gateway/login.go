package gateway

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net"

	"github.com/longwire/longwire"
)

// An identity is who a board is, and how that is known.
type identity struct {
	id         string
	byAddress  bool // the board has said nothing, and its id is its address
	kind       Identity
	groups     []string
	attributes map[string]string
}

// Identity says how it is known who a device is.
type Identity string

const (
	Anonymous     Identity = "anonymous" // it is not
	ByToken       Identity = "token"     // by a token of the configuration
	ByService     Identity = "service"   // by the user's own service
	ByCertificate Identity = "certificate"
)

// How much a board may say of itself.
const (
	maxID         = 128
	maxGroups     = 32
	maxAttributes = 64
	maxSaid       = 4 << 10 // bytes of all of them
)

// ValidID reports whether id may be a device's: 1 to 128 of A-Z a-z 0-9 _ . : - and neither
// . nor .. alone, which many programs take out of the path of a request, so that another
// device would be meant than the one that is named, or none.
func ValidID(id string) bool {
	if id == "" || len(id) > maxID || id == "." || id == ".." {
		return false
	}
	for i := range len(id) {
		if !isIDByte(id[i]) {
			return false
		}
	}
	return true
}

func isIDByte(b byte) bool {
	return 'a' <= b && b <= 'z' || 'A' <= b && b <= 'Z' || '0' <= b && b <= '9' ||
		b == '_' || b == '.' || b == ':' || b == '-'
}

// admit is the longwire.Server's Admit: it finds out who the board is and makes it known
// as connected.
func (p *port) admit(ctx context.Context, c *longwire.Conn) (leave func(error), err error) {
	who, err := p.identify(ctx, c)
	var s *session
	if err == nil {
		s, err = p.g.connect(p, c, who)
	}
	if err != nil {
		p.refused.Add(1)
		return nil, err
	}
	return s.left, nil
}

// identify finds out who a board is.
func (p *port) identify(ctx context.Context, c *longwire.Conn) (identity, error) {
	l := p.settings()
	if l.Login.Certificate {
		if cert := c.Certificate(); cert != nil {
			return named(cert.DNSNames, cert.URIs)
		}
	}
	if l.AllowAnonymous || !l.Login.Required() {
		return identity{id: addressID(c.RemoteAddr()), byAddress: true, kind: Anonymous}, nil
	}
	if !l.Login.asked() {
		return identity{}, longwire.Errorf(longwire.StatusUnauthorized, "a certificate is needed")
	}
	m, err := c.Receive(ctx)
	if err != nil {
		return identity{}, err
	}
	said, err := l.Login.read(m)
	if err != nil {
		return identity{}, err
	}
	return p.prove(ctx, c, said)
}

// named returns the identity in a certificate.
func named[URI interface{ String() string }](names []string, uris []URI) (identity, error) {
	for _, uri := range uris {
		names = append(names[:len(names):len(names)], uri.String())
	}
	if len(names) == 0 || !ValidID(names[0]) {
		return identity{}, longwire.Errorf(longwire.StatusUnauthorized, "the certificate has no name that can be an id")
	}
	return identity{id: names[0], kind: ByCertificate}, nil
}

// read reads a login.
func (l *Login) read(m *longwire.Message) (said longwire.Hello, err error) {
	switch {
	case l.Fleet != nil && m.Type == l.Fleet.Type:
		if said.ID, err = l.Fleet.ID.in(m.Payload()); err == nil {
			said.Token, err = l.Fleet.Token.in(m.Payload())
		}
		if err != nil {
			err = longwire.Errorf(longwire.StatusBadRequest, "login: %v", err)
		}
	case m.Type == longwire.TypeHello && !l.NoHello:
		err = m.Decode(&said)
	default:
		err = longwire.Errorf(longwire.StatusUnauthorized, "a login is needed first")
	}
	return said, err
}

// prove checks what a board says of itself.
func (p *port) prove(ctx context.Context, c *longwire.Conn, said longwire.Hello) (identity, error) {
	l := p.settings()
	size := 0
	for _, group := range said.Groups {
		size += len(group)
	}
	for name, value := range said.Attributes {
		size += len(name) + len(value)
	}
	switch {
	case !ValidID(said.ID):
		return identity{}, longwire.Errorf(longwire.StatusBadRequest, "an id has 1 to 128 of A-Z a-z 0-9 _ . : - and is not . or .. alone")
	case len(said.Groups) > maxGroups || len(said.Attributes) > maxAttributes || size > maxSaid:
		return identity{}, longwire.Errorf(longwire.StatusTooLarge, "at most %d groups and %d attributes, of %d bytes together", maxGroups, maxAttributes, maxSaid)
	}
	who := identity{id: said.ID, kind: Anonymous, groups: said.Groups, attributes: said.Attributes}
	hash := sha256.Sum256([]byte(said.Token))
	want, known := l.Login.Tokens[said.ID]
	right := subtle.ConstantTimeCompare(hash[:], want[:]) == 1
	switch {
	case known && right:
		who.kind = ByToken
		return who, nil
	case known:
	case l.Login.Service.URL != "":
		return p.askService(ctx, c, said)
	case l.AllowAnonymous || !l.Login.Required():
		return who, nil
	}
	return identity{}, longwire.Errorf(longwire.StatusUnauthorized, "id and token do not belong together")
}

// hello is the longwire.Server's Hello: a board that was let in without one says who it is.
func (p *port) hello(ctx context.Context, m *longwire.Message) error {
	s := sessionOf(m.Conn())
	switch {
	case s == nil || s.named.Load():
		return longwire.Errorf(longwire.StatusConflict, "hello has been said")
	case p.settings().Login.NoHello:
		return longwire.Errorf(longwire.StatusNotFound, "nobody wants a hello here")
	}
	var said longwire.Hello
	if err := m.Decode(&said); err != nil {
		return err
	}
	who, err := p.prove(ctx, m.Conn(), said)
	if err == nil {
		err = p.g.rename(s, who)
	}
	if err != nil {
		p.refused.Add(1)
	}
	return err
}

// addressID makes an address an id.
func addressID(a net.Addr) string {
	text := a.String()
	if ValidID(text) { // as a rule
		return text
	}
	var id []byte
	for i := range min(len(text), maxID) {
		switch b := text[i]; {
		case isIDByte(b):
			id = append(id, b)
		case b != '[' && b != ']':
			id = append(id, '-')
		}
	}
	if !ValidID(string(id)) {
		return "unknown"
	}
	return string(id)
}

// login is what the user's service is asked about a board.
type login struct {
	ID         string            `json:"id"`
	Token      string            `json:"token"`
	Listener   string            `json:"listener"`
	RemoteAddr string            `json:"remote_addr"`
	Groups     []string          `json:"groups,omitempty"`
	Attributes map[string]string `json:"attributes,omitempty"`
}

// askService asks the user's service whether a board is who it says. Status 200 means yes, 401,
// 403 and 404 no; the response may give it groups and attributes.
func (p *port) askService(ctx context.Context, c *longwire.Conn, said longwire.Hello) (identity, error) {
	service := p.g.settings.Load().services[p.name]
	unavailable := longwire.Errorf(longwire.StatusUnavailable, "logins cannot be checked at the moment")
	if service == nil {
		return identity{}, unavailable
	}
	var given struct {
		Groups     []string          `json:"groups"`
		Attributes map[string]string `json:"attributes"`
	}
	status, err := service.call(ctx, &login{said.ID, said.Token, p.name, c.RemoteAddr().String(), said.Groups, said.Attributes}, &given)
	switch {
	case err != nil:
		p.g.log.Error("login service", "listener", p.name, "error", err)
		return identity{}, unavailable
	case status == 401 || status == 403 || status == 404:
		return identity{}, longwire.Errorf(longwire.StatusUnauthorized, "id and token do not belong together")
	case status < 200 || status > 299:
		p.g.log.Error("login service", "listener", p.name, "error", errors.New("unexpected status"), "status", status)
		return identity{}, unavailable
	}
	who := identity{id: said.ID, kind: ByService, groups: said.Groups, attributes: said.Attributes}
	if given.Groups != nil {
		who.groups = given.Groups
	}
	if given.Attributes != nil {
		who.attributes = given.Attributes
	}
	return who, nil
}
