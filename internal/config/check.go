package config

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
)

// A checker looks at what single values do not tell: what contradicts each other,
// what is missing, and what would let in whom nobody means to.
type checker struct {
	*Config
	problems Problems
	known    map[string]bool // sections in which something is wrong already
}

// check returns what is wrong with a Config that is complete. Where it is wrong
// already how something is written, the rest of that section is left alone: what it
// says now is not what is meant.
func (c *Config) check(found Problems) Problems {
	ch := &checker{Config: c, known: make(map[string]bool)}
	for _, p := range found {
		ch.known[section(p.Setting)] = true
	}
	if ch.known[""] { // the file as a whole
		return nil
	}
	ch.checkListeners()
	ch.checkHTTP()
	ch.checkTypes()
	ch.checkDevices()
	ch.checkLog()
	ch.checkKept()
	return ch.problems
}

// section returns the first part of a path, as in http or listeners[1].
func section(path string) string {
	first, _, _ := strings.Cut(path, ".")
	if first == onlyListener {
		return listenerPath(0)
	}
	return first
}

func (c *checker) problemf(path, format string, args ...any) {
	if c.known[section(path)] || c.known["listeners"] && strings.HasPrefix(path, "listeners") {
		return
	}
	o := c.originOf(path)
	p := &Problem{File: c.name, Line: o.line, From: o.from, Setting: path, Text: fmt.Sprintf(format, args...)}
	if o.from != "" {
		p.File = ""
	}
	c.problems = append(c.problems, p)
}

func (c *checker) checkHTTP() {
	h := &c.HTTP
	c.checkTokens("http.tokens", h.Tokens, "name")
	if h.TLS != nil {
		c.checkCertificate("http.tls", h.TLS.CertFile, h.TLS.KeyFile)
	}
	for i, host := range h.AllowedHosts {
		if !isHost(host) {
			c.problemf(fmt.Sprintf("http.allowed_hosts[%d]", i), "%.64q is no name of a host; write it without a port, as in gateway.example.com", host)
		}
	}
	for i := range c.Listeners {
		if c.Listeners[i].Address.overlaps(h.Address) {
			c.problemf("http.address", "%s is taken by %s.address, which is %s; choose another port", h.Address, listenerPath(i), c.Listeners[i].Address)
		}
	}
	if h.Address != "" && !h.Address.Loopback() && len(h.Tokens) == 0 && h.TokensFile == "" {
		c.problemf("http.address", "others can reach %s, and there is no token to keep them out; set http.tokens or http.tokens_file, or listen on 127.0.0.1", h.Address)
	}
}

var typeName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_-]{0,63}$`)

func (c *checker) checkTypes() {
	named := make(map[longwire.Type]string)
	for _, name := range slices.Sorted(maps.Keys(c.Types)) {
		t, path := c.Types[name], join("types", name)
		if !typeName.MatchString(name) {
			c.problemf(path, "is no name of a type; begin it with a letter and write letters, digits, - and _, at most 64")
		}
		if t.Type == noType {
			c.problemf(path, "has no type; write the number, as in type: 0x10")
			continue
		}
		if other, twice := named[t.Type]; twice {
			c.problemf(path+".type", "%v is called %s already; leave one of them out", t.Type, other)
		}
		named[t.Type] = name
		if !slices.ContainsFunc(c.Listeners, func(l Listener) bool { return canSay(&l, t.Type) }) {
			c.problemf(path+".type", "%v is more than the type of a frame can say on any listener; choose a smaller number", t.Type)
		}
	}
}

// canSay reports whether a frame of the listener can be of a type.
func canSay(l *Listener, t longwire.Type) bool {
	codec, err := frame.NewCodec(l.Frame.Format())
	return err != nil || t <= codec.MaxType()
}

var (
	groupName     = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,64}$`)
	attributeName = groupName
	deviceID      = regexp.MustCompile(`^[A-Za-z0-9_.:-]{1,128}$`)
)

// IsID reports whether text can be the id of a device. A path of the API that ends in . or ..
// means another one to many programs, so these are none.
func IsID(text string) bool { return deviceID.MatchString(text) && text != "." && text != ".." }

// BadID says what is wrong with a text that is no id.
const BadID = "is no id; " + writeID

const (
	writeID   = "write 1 to 128 of A-Z a-z 0-9 _ . : -, not . or .. alone"
	badName   = "is no name; write 1 to 64 of A-Z a-z 0-9 _ . : -"
	mostValue = 256 // bytes of an attribute
)

func (c *checker) checkDevices() {
	d := &c.Devices
	for _, name := range slices.Sorted(maps.Keys(d.Groups)) {
		path := join("devices.groups", name)
		if !groupName.MatchString(name) {
			c.problemf(path, badName)
		}
		seen := make(map[string]bool)
		for i, id := range d.Groups[name] {
			switch item := fmt.Sprintf("%s[%d]", path, i); {
			case !IsID(id):
				c.problemf(item, "%.64q "+BadID, id)
			case seen[id]:
				c.problemf(item, "%s is in the group already; leave one of them out", id)
			}
			seen[id] = true
		}
	}
	for _, id := range slices.Sorted(maps.Keys(d.Attributes)) {
		path := join("devices.attributes", id)
		if !IsID(id) {
			c.problemf(path, BadID)
		}
		for _, name := range slices.Sorted(maps.Keys(d.Attributes[id])) {
			switch item := join(path, name); {
			case !attributeName.MatchString(name):
				c.problemf(item, badName)
			case len(d.Attributes[id][name]) > mostValue:
				c.problemf(item, "has %d bytes, and may have %d", len(d.Attributes[id][name]), mostValue)
			}
		}
	}
	if d.FrameData && d.Frames == 0 {
		c.problemf("devices.frame_data", "is true, and devices.frames is off: there are no frames to keep the data of; set devices.frames to how many, or leave this out")
	}
}

func (c *checker) checkLog() {
	if c.Log.MaxSize%MiB != 0 {
		c.problemf("log.max_size", "%v is not a whole number of MiB", c.Log.MaxSize)
	}
	if time.Duration(c.Log.MaxAge)%Day != 0 {
		c.problemf("log.max_age", "%v is not a whole number of days", c.Log.MaxAge)
	}
}

// checkTokens looks at the names in a list of tokens.
func (c *checker) checkTokens(path string, tokens map[string]Hash, what string) {
	for _, name := range slices.Sorted(maps.Keys(tokens)) {
		if !IsID(name) {
			c.problemf(join(path, name), "is no %s; "+writeID, what)
		}
	}
}

func (c *checker) checkCertificate(path, certFile, keyFile string) {
	if certFile == "" {
		c.problemf(path, "has no cert_file; name the file with the certificate")
	}
	if keyFile == "" {
		c.problemf(path, "has no key_file; name the file with the certificate's key")
	}
}
