package gateway

import (
	"container/list"
	"maps"
	"slices"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire"
)

// A Device is what is known of a board at one moment.
type Device struct {
	ID         string            `json:"id"`
	Online     bool              `json:"online"`
	Epoch      uint64            `json:"epoch" doc:"grows with every connection of any device; the latest is that of the device's present or last connection"`
	Since      *time.Time        `json:"since" doc:"when it connected; null while it is away"`
	LastSeen   time.Time         `json:"last_seen" doc:"when it last connected, sent something, or went away"`
	RemoteAddr string            `json:"remote_addr"`
	Listener   string            `json:"listener"`
	Identity   Identity          `json:"identity" enum:"anonymous,token,service,certificate" doc:"how it is known who it is"`
	Groups     []string          `json:"groups"`
	Attributes map[string]string `json:"attributes"`
	FramesIn   int64             `json:"frames_in" doc:"messages from the device, without logins and pings"`
	FramesOut  int64             `json:"frames_out" doc:"messages to the device, without pings"`
	BytesIn    int64             `json:"bytes_in"`
	BytesOut   int64             `json:"bytes_out"`
	LastClose  *LastClose        `json:"last_close" doc:"the end of its last connection; null if it never had one"`
}

// LastClose tells of the end of a connection.
type LastClose struct {
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// A device is a board that has been connected, or is. The registry guards what is not
// atomic.
type device struct {
	id         string
	kind       Identity
	epoch      uint64
	session    *session // nil while it is away
	addr       string
	listener   string
	groups     []string // that it named itself
	attributes map[string]string
	lastClose  *LastClose    // never changes; nil if it never had a connection that ended
	away       *list.Element // in registry.away, nil while it is connected
	warned     uint32        // Unix seconds: when two have taken it from each other
	unkept     atomic.Bool   // what is on disk of it is not up to date
	byAddress  bool          // its id is its address, under which it does not come back

	seen                atomic.Int64 // Unix milliseconds
	framesIn, framesOut atomic.Int64
	bytesIn, bytesOut   atomic.Int64
	frames              atomic.Pointer[recorder]
}

// A session is one connection of a device.
type session struct {
	port  *port
	conn  *longwire.Conn
	since time.Time
	epoch uint64

	device atomic.Pointer[device]
	named  atomic.Bool // the board has said who it is, or need not
}

type sessionKey struct{}

// sessionOf returns the session of a connection, nil before it has one.
func sessionOf(c *longwire.Conn) *session {
	s, _ := c.Value(sessionKey{}).(*session)
	return s
}

// left is told why the session is over.
func (s *session) left(reason error) { s.port.g.disconnect(s, reason) }

// in counts a message from the device.
func (s *session) in(t longwire.Type, data []byte, now time.Time) {
	d := s.device.Load()
	d.framesIn.Add(1)
	d.bytesIn.Add(int64(len(data) + s.port.overhead))
	d.seen.Store(now.UnixMilli())
	s.port.g.record(d, In, t, data, now)
}

// out counts a message to the device.
func (s *session) out(t longwire.Type, data []byte) {
	s.count(len(data))
	s.port.g.record(s.device.Load(), Out, t, data, time.Now())
}

// count counts a message to the device with so many bytes of data.
func (s *session) count(size int) {
	d := s.device.Load()
	d.framesOut.Add(1)
	d.bytesOut.Add(int64(size + s.port.overhead))
}

// lookLocked returns what is known of a device.
func (g *Gateway) lookLocked(d *device, s *settings) Device {
	v := Device{
		ID:         d.id,
		Online:     d.session != nil,
		Epoch:      d.epoch,
		LastSeen:   time.UnixMilli(d.seen.Load()).UTC(),
		RemoteAddr: d.addr,
		Listener:   d.listener,
		Identity:   d.kind,
		Groups:     slices.Concat(s.groups[d.id], d.groups),
		Attributes: make(map[string]string),
		LastClose:  d.lastClose,
		FramesIn:   d.framesIn.Load(),
		FramesOut:  d.framesOut.Load(),
		BytesIn:    d.bytesIn.Load(),
		BytesOut:   d.bytesOut.Load(),
	}
	if d.session != nil {
		since := d.session.since.UTC()
		v.Since = &since
	}
	slices.Sort(v.Groups)
	v.Groups = slices.Compact(v.Groups)
	if v.Groups == nil {
		v.Groups = []string{}
	}
	maps.Copy(v.Attributes, d.attributes)
	maps.Copy(v.Attributes, s.Attributes[d.id]) // the operator's word counts
	return v
}
