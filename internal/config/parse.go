package config

import (
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/longwire/longwire/frame"
)

// Default returns the configuration of a gateway that is told nothing: one listener
// and HTTP, both for this machine alone.
func Default() *Config {
	c, err := Parse("", nil)
	if err != nil {
		panic(err) // a test parses the same
	}
	return c
}

// Parse reads the text of a configuration file, with what overrides say over it, the
// last one first, and defaults under it. Name is what errors call the file; files that
// settings name are not looked at. The error is [Problems], with all of them.
func Parse(name string, data []byte, over ...Override) (*Config, error) {
	d := &decoder{name: name, origins: make(map[string]origin)}
	c := new(Config)
	c.setDefaults()
	c.name, c.origins, c.contents = name, d.origins, make(map[string]digest)
	root, problem := parseYAML(data)
	if problem != nil {
		problem.File = name
		return nil, Problems{problem}
	}
	if root != nil {
		d.decode(root, root.Line, reflect.ValueOf(c).Elem(), "", setting{})
	}
	d.override(c, over)
	c.complete()
	problems := append(d.problems, c.check(d.problems)...)
	if err := problems.err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) setDefaults() {
	var l Listener
	l.setDefaults()
	*c = Config{
		Listeners: []Listener{l},
		HTTP: HTTP{
			Address:   "127.0.0.1:10380",
			Dashboard: true,
			MaxBody:   MiB,
			Timeout:   Duration(time.Minute),
		},
		Ack:     AckAlways,
		Forward: Forward{Timeout: Duration(10 * time.Second), InFlight: 64},
		Devices: Devices{Max: 100_000, KnownFor: Duration(30 * Day)},
		Data:    "./longwire-data",
		Store:   Store{Replicas: 1, Reserve: 64 * MiB},
		Commands: Commands{
			Max:      1000,
			MaxBytes: MiB,
			MaxSize:  256 * MiB,
			TTL:      Duration(Day),
			Timeout:  Duration(10 * time.Second),
			Attempts: 5,
			Window:   1,
			InFlight: 4096,
			Rate:     500,
			Keep:     Duration(Day),
		},
		Events: Events{
			MaxSize: 256 * MiB,
			MaxAge:  Duration(7 * Day),
			Deliver: Deliver{Timeout: Duration(10 * time.Second), InFlight: 16},
		},
		Log: Log{
			Format:   Text,
			Level:    Info,
			MaxSize:  100 * MiB,
			MaxAge:   Duration(28 * Day),
			MaxFiles: 7,
		},
		Heartbeat:    Duration(time.Minute),
		DrainTimeout: Duration(10 * time.Second),
	}
}

func (l *Listener) setDefaults() {
	*l = Listener{
		Policy:   Takeover,
		MaxFrame: frame.DefaultMaxFrame,
		Login:    Login{TokenTimeout: Duration(5 * time.Second)},
		Limits: Limits{
			Connections: Auto,
			Strangers:   1000,
			Handshakes:  64,
			Questions:   1024,
			Waiting:     Auto,
			Unfinished:  Auto,
			Unsent:      Auto,
		},
		Times: Times{
			Admit: Duration(10 * time.Second),
			Frame: Duration(10 * time.Second),
			Write: Duration(10 * time.Second),
			Ping:  Duration(30 * time.Second),
		},
		MaxInbox:        MiB,
		MaxOutbox:       MiB,
		MaxOutboxFrames: 64 << 10,
		SoftOutboxTime:  Duration(time.Minute),
		MinRate:         16 * KiB,
	}
	l.Frame.setDefaults()
}

func (f *Fleet) setDefaults() { f.Type = noType }
func (t *Type) setDefaults()  { t.Type, t.Overflow = noType, Wait }

// given reports whether somebody has said a setting.
func (c *Config) given(path string) bool {
	_, ok := c.origins[path]
	return ok
}

// complete fills in the defaults that depend on other settings.
func (c *Config) complete() {
	for i := range c.Listeners {
		l, path := &c.Listeners[i], listenerPath(i)
		if i == 0 && !c.given(join(path, "name")) {
			l.Name = "boards"
		}
		if i == 0 && !c.given(join(path, "address")) {
			l.Address = "127.0.0.1:10302"
		}
		l.Frame.complete(func(setting string) bool { return c.given(path + ".frame." + setting) })
		if codec, err := frame.NewCodec(l.Frame.Format()); err == nil && !c.given(path+".max_frame") {
			l.MaxFrame = min(l.MaxFrame, Size(codec.MaxSize()))
		}
		tokens := l.Login.knowsTokens()
		if !c.given(path + ".login.hello") {
			l.Login.Hello = tokens && l.Frame.Type.Width >= 2
		}
		if !c.given(path + ".login.certificate") {
			l.Login.Certificate = l.asksForCertificates() && !tokens && l.Login.Fleet == nil
		}
	}
	for name, t := range c.Types {
		path := join("types", name)
		if !c.given(path + ".ack") {
			t.Ack = c.Ack
		}
		if !c.given(path + ".forward") {
			t.Forward = c.Forward.URL
		}
		c.Types[name] = t
	}
}

// knowsTokens reports whether there is something to compare tokens with.
func (l *Login) knowsTokens() bool {
	return len(l.Tokens) > 0 || l.TokensFile != "" || l.TokenURL != ""
}

// Problem returns the problem that a setting turned out to have when it was used: it names
// where the value is from.
func (c *Config) Problem(setting, format string, args ...any) *Problem {
	o := c.originOf(setting)
	p := &Problem{From: o.from, Setting: setting, Text: fmt.Sprintf(format, args...)}
	if o.from == "" && o.line > 0 {
		p.File, p.Line = c.name, o.line
	}
	return p
}

// originOf returns where a setting has its value from, or else the section that it is
// in.
func (c *Config) originOf(path string) origin {
	for path != "" {
		if o, ok := c.origins[path]; ok {
			return o
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return origin{}
}
