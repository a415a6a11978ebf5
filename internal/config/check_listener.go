package config

import (
	"fmt"
	"regexp"

	"github.com/longwire/longwire/frame"
)

func listenerPath(i int) string { return fmt.Sprintf("listeners[%d]", i) }

var listenerName = regexp.MustCompile(`^[a-z0-9_-]{1,32}$`)

func (c *checker) checkListeners() {
	if len(c.Listeners) == 0 {
		c.problemf("listeners", "is empty; write at least one, or leave the setting out")
	}
	for i := range c.Listeners {
		l, path := &c.Listeners[i], listenerPath(i)
		switch {
		case l.Name == "" && i > 0:
			c.problemf(path, "has no name; listeners after the first need one")
		case !listenerName.MatchString(l.Name):
			c.problemf(path+".name", "%.64q is no name of a listener; write 1 to 32 of a-z 0-9 _ -", l.Name)
		}
		if l.Address == "" {
			c.problemf(path, "has no address; listeners after the first need one")
		}
		for j := range i {
			if other := &c.Listeners[j]; other.Name == l.Name {
				c.problemf(path+".name", "%s is the name of %s already; choose another", l.Name, listenerPath(j))
			} else if l.Address.overlaps(other.Address) {
				c.problemf(path+".address", "%s is taken by %s, which listens on %s; choose another port", l.Address, listenerPath(j), other.Address)
			}
		}
		if l.TLS != nil {
			c.checkCertificate(path+".tls", l.TLS.CertFile, l.TLS.KeyFile)
		}
		codec, err := frame.NewCodec(l.Frame.Format())
		if err != nil {
			setting, problem := formatProblem(err)
			c.problemf(join(path+".frame", setting), "%s", problem)
			codec = frame.Default
		} else {
			c.checkFrameSizes(path, l, codec)
		}
		c.checkTokens(path+".login.tokens", l.Login.Tokens, "id")
		c.checkLogin(path, l, codec)
		c.checkOpen(path, l)
	}
}

// smallestMaxFrame leaves room for the envelope of an answer.
const smallestMaxFrame = KiB

func (c *checker) checkFrameSizes(path string, l *Listener, codec *frame.Codec) {
	least := min(int(smallestMaxFrame), codec.MaxSize())
	switch n := int(l.MaxFrame); {
	case n == 0: // off
	case n < least:
		c.problemf(path+".max_frame", "%v is too little for an answer; it must be at least %v", l.MaxFrame, Size(least))
	case n > codec.MaxSize():
		c.problemf(path+".max_frame", "%v is more than the length of a frame can say, which is %v; write that or less", l.MaxFrame, Size(codec.MaxSize()))
	}
	if l.Resync > 0 && !codec.CanResync() {
		c.problemf(path+".resync", "needs a frame with a head, and a tail or a checksum, to find the next one by; leave it off")
	}
}

// checkLogin looks whether those who may connect are those who are meant.
func (c *checker) checkLogin(path string, l *Listener, codec *frame.Codec) {
	in, tokens := &l.Login, l.Login.knowsTokens()
	path += ".login"
	switch {
	case in.Hello && !tokens:
		c.problemf(path+".hello", "is true, and there is no token that a hello could be compared with; set tokens, tokens_file or token_url")
	case in.Hello && codec.MaxType() < lastReserved:
		c.problemf(path+".hello", "is a message of type 0xff00, and the type of a frame cannot say that; give it 2 bytes, or use fleet")
	case tokens && !in.Hello && in.Fleet == nil:
		c.problemf(path, "has tokens, and nothing that brings one; set hello to true, or fleet")
	}
	if in.Certificate && (l.TLS == nil || l.TLS.ClientCAFile == "") {
		c.problemf(path+".certificate", "is true, and boards are not asked for one; set tls.client_ca_file")
	}
	if in.Fleet != nil {
		c.checkFleet(path+".fleet", l, codec)
	}
}

func (c *checker) checkFleet(path string, l *Listener, codec *frame.Codec) {
	f := l.Login.Fleet
	switch {
	case f.Type == noType:
		c.problemf(path, "has no type; write the number of the login's type, as in type: 0x01")
	case f.Type > codec.MaxType():
		c.problemf(path+".type", "%v is more than the type of a frame can say, which is %v", f.Type, codec.MaxType())
	}
	if f.ID == "" {
		c.problemf(path, "has no id; write where it stands in the message, as in id: /device/id")
	}
	switch {
	case f.Token == "":
		c.problemf(path, "has no token; write where it stands in the message, as in token: /device/token")
	case !l.Login.knowsTokens():
		c.problemf(path+".token", "has nothing to be compared with; set tokens, tokens_file or token_url")
	}
}

// closed reports whether who connects has to prove something.
func (l *Listener) closed() bool {
	return !l.AllowAnonymous && l.Login.knowsTokens() || l.asksForCertificates()
}

func (l *Listener) asksForCertificates() bool { return l.TLS != nil && l.TLS.ClientCAFile != "" }

// checkOpen refuses an address that is open to others without anybody having said so.
func (c *checker) checkOpen(path string, l *Listener) {
	if l.Address != "" && !l.Address.Loopback() && !l.AllowAnonymous && !l.closed() {
		c.problemf(path+".address", "others can reach %s, and there is no login to keep them out; set login, or listen on 127.0.0.1, or let anybody connect with allow_anonymous: true", l.Address)
	}
}
