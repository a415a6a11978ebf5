package gateway

import (
	"crypto/sha256"
	"fmt"
	"net"
	"net/http"
	"slices"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/internal/store"
)

// A Config says what a [Gateway] serves, and how. Zero fields mean the stated defaults.
type Config struct {
	// Listeners are the ports for boards. Reload may change their Login, Policy and
	// AllowAnonymous, and nothing else of them.
	Listeners []Listener

	// Types has what is special about types of messages. Others have no name but their
	// number, and are treated as Ack and Forward say.
	Types []Type

	// Ack says which messages are answered. Zero means all.
	Ack Ack

	// Forward, if it has a URL, is asked for the answer to every message.
	Forward Forward

	// Store, if not nil, keeps commands, events and what is known of devices, in the logs
	// that [Logs] names. It is the caller's to close, when Serve has returned. Reload
	// does not change it, nor what Commands says but for Unknown, nor Deliver.
	Store    *store.Store
	Commands Commands
	Deliver  Delivery

	// Groups and Attributes of devices, beside those that they name themselves.
	Groups     map[string][]string          // the ids in a group
	Attributes map[string]map[string]string // by id

	// MaxDevices is how many devices are known at most. When there are more, those that
	// have been away the longest are forgotten. Zero means 100,000.
	MaxDevices int

	// KnownFor is how long a device is remembered that is away. Zero means 30 days.
	KnownFor time.Duration

	// Frames is how many of the latest frames of each device are remembered: time,
	// direction, type and size, and with FrameData also what was in them, up to 1 KiB
	// of each. Zero means none.
	Frames    int
	FrameData bool

	// Heartbeat is how often a line in the log says that the gateway is alive, with what
	// it has counted. Zero means never.
	Heartbeat time.Duration

	// DrainTimeout is how long what is in progress may take when the gateway is told to
	// stop. Zero means not at all.
	DrainTimeout time.Duration
}

// A Listener is a port for boards.
type Listener struct {
	Name   string       // for people; no two have the same
	Socket net.Listener // where it accepts; see Listen

	// Library has the frame, the limits and the times of its connections. Its Logger is
	// the gateway's.
	Library longwire.Config
	TLS     *longwire.TLS // nil means none

	// AllowAnonymous lets boards in that say nothing of themselves; they are known by
	// their address until they say hello. Where nothing in Login is set, everybody is let in.
	AllowAnonymous bool
	Login          Login
	Policy         Policy // zero means Takeover
}

// Policy says what happens when a device connects that is connected already.
type Policy string

const (
	Takeover Policy = "takeover" // the new connection replaces the old one
	Reject   Policy = "reject"   // the new connection is refused
	Single   Policy = "single"   // the newest connection replaces every other one of the listener
)

// A Login says how boards prove who they are. What is set here, any one of it is enough.
type Login struct {
	// Tokens has the SHA-256 of the token of each device that may say hello.
	Tokens map[string][sha256.Size]byte

	// Service, if it has a URL, is asked about the others.
	Service Service

	// NoHello refuses hellos, where there is another login.
	NoHello bool

	// Certificate makes the name in a board's verified certificate its id: the first
	// of its DNS names or, where it has none, of its URIs.
	Certificate bool

	// Fleet, if not nil, is a login that the boards have already, in place of hello.
	Fleet *Fleet
}

// asked reports whether a board must send a login.
func (l *Login) asked() bool { return len(l.Tokens) > 0 || l.Service.URL != "" || l.Fleet != nil }

// Required reports whether a board must prove who it is.
func (l *Login) Required() bool { return l.asked() || l.Certificate }

// A Fleet is a login of the boards' own: a message of a type, with the id and the token
// somewhere in its JSON. It is answered like any question.
type Fleet struct {
	Type  longwire.Type
	ID    Pointer
	Token Pointer
}

// Ack says which messages of a type are answered with status "200" where nothing else
// answers them.
type Ack string

const (
	AckAlways Ack = "always" // all
	AckAsked  Ack = "asked"  // questions
	AckNever  Ack = "never"  // none
)

// A Type is what is special about messages of one type.
type Type struct {
	Name    string // "" means none
	Type    longwire.Type
	Ack     Ack      // zero means Config.Ack
	Forward *Forward // nil means Config.Forward; one without a URL, none

	// Store has its messages kept, and answered only when they are on disk.
	Store bool
}

// Commands bounds the commands that wait for devices, and says how they are sent. Zero fields mean
// the defaults of [queue.Config].
type Commands struct {
	Max      int           // that may wait for one device
	MaxBytes int64         // and the bytes of them
	TTL      time.Duration // of those that do not say
	Timeout  time.Duration // of those that do not say
	Attempts int           // of those that do not say
	Keep     time.Duration // how long those that have ended are kept
	Window   int           // that one device may have unanswered
	InFlight int           // that all together may
	Rate     int           // that are sent per second, to all together

	// Unknown lets commands wait for devices that have never been connected.
	Unknown bool
}

// A Delivery is an HTTP service of the user's that every event that is kept is posted to, those of one
// device in their order, again and again until it responds.
type Delivery struct {
	Service

	// InFlight is how many events may be with it at a time, of as many devices. Zero
	// means 16.
	InFlight int
}

// A Forward is an HTTP service of the user's that answers messages. Each is posted to it as JSON
// (see Forwarded), and what it responds becomes the answer.
type Forward struct {
	Service

	// InFlight is how many messages may be with it at a time. As many again wait for
	// that, sixteenfold; others are answered with status "503". Zero means 64.
	InFlight int
}

// A Service is an HTTP service of the user's.
type Service struct {
	URL     string
	Token   string        // sent as a bearer token; "" means none
	Timeout time.Duration // zero means 10 s

	// Transport makes the requests. Nil means one of its own.
	Transport http.RoundTripper
}

// settings are what a Config says, in the form that the gateway needs. They are
// replaced as a whole by Reload.
type settings struct {
	*Config
	ports    map[string]*Listener
	byType   map[longwire.Type]*treatment
	byName   map[string]longwire.Type
	other    *treatment          // of types without anything special
	groups   map[string][]string // of an id, sorted
	services map[string]*service // of logins, by listener
}

// A treatment says what happens to messages of a type.
type treatment struct {
	name    string
	store   bool
	ack     Ack
	forward *forwarder // nil means none
}

func newSettings(c *Config) (*settings, error) {
	conf := *c
	orDefault(&conf.Ack, AckAlways)
	orDefault(&conf.MaxDevices, 100_000)
	orDefault(&conf.KnownFor, 30*24*time.Hour)
	s := &settings{
		Config:   &conf,
		ports:    make(map[string]*Listener),
		byType:   make(map[longwire.Type]*treatment),
		byName:   make(map[string]longwire.Type),
		other:    &treatment{ack: conf.Ack, forward: newForwarder(conf.Forward)},
		groups:   make(map[string][]string),
		services: make(map[string]*service),
	}
	conf.Listeners = slices.Clone(conf.Listeners)
	for i := range conf.Listeners {
		l := &conf.Listeners[i]
		if s.ports[l.Name] != nil {
			return nil, fmt.Errorf("gateway: two listeners are called %q", l.Name)
		}
		orDefault(&l.Policy, Takeover)
		s.ports[l.Name] = l
		if l.Login.Service.URL != "" {
			s.services[l.Name] = newService(l.Login.Service, 64)
		}
	}
	for _, t := range conf.Types {
		if s.byType[t.Type] != nil {
			return nil, fmt.Errorf("gateway: type %v is there twice", t.Type)
		}
		if _, taken := s.byName[t.Name]; taken {
			return nil, fmt.Errorf("gateway: two types are called %q", t.Name)
		}
		treat := &treatment{name: t.Name, store: t.Store, ack: t.Ack, forward: s.other.forward}
		orDefault(&treat.ack, conf.Ack)
		if t.Forward != nil {
			treat.forward = newForwarder(*t.Forward)
		}
		s.byType[t.Type] = treat
		if t.Name != "" {
			s.byName[t.Name] = t.Type
		}
	}
	for group, ids := range conf.Groups {
		for _, id := range ids {
			s.groups[id] = append(s.groups[id], group)
		}
	}
	for id := range s.groups {
		slices.Sort(s.groups[id])
	}
	return s, nil
}

// of returns how messages of a type are treated.
func (s *settings) of(t longwire.Type) *treatment {
	if treat := s.byType[t]; treat != nil {
		return treat
	}
	return s.other
}

func orDefault[T comparable](v *T, def T) {
	var zero T
	if *v == zero {
		*v = def
	}
}
