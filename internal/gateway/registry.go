package gateway

import (
	"container/list"
	"errors"
	"sync"
	"time"

	"github.com/longwire/longwire"
)

// A registry knows the devices. Who is connected is decided here, under one lock: a
// connection that was replaced cannot make its device look away.
type registry struct {
	mu     sync.Mutex
	byID   map[string]*device
	order  order     // the same devices
	away   list.List // of *device, who has been away longest in front
	epoch  uint64    // of the latest session
	online int

	forgotten func(*device) // is told, if not nil, of those that are not known any more
}

// connect makes a board known as connected. What it replaces is closed.
func (g *Gateway) connect(p *port, c *longwire.Conn, who identity) (*session, error) {
	s := &session{port: p, conn: c, since: time.Now()}
	s.named.Store(who.kind != Anonymous)
	c.SetValue(sessionKey{}, s)
	if err := g.attach(s, who); err != nil {
		return nil, err
	}
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	g.registry.trimLocked(g.settings.Load(), time.Now())
	return s, nil
}

// rename gives a session that was known by its address the identity that its board has
// proved.
func (g *Gateway) rename(s *session, who identity) error {
	old := s.device.Load()
	if err := g.attach(s, who); err != nil {
		return err
	}
	s.named.Store(true)
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	if old != s.device.Load() && old.session == s {
		g.registry.forgetLocked(old)
	}
	return nil
}

// attach makes s the session of the device with that identity.
func (g *Gateway) attach(s *session, who identity) error {
	policy := s.port.settings().Policy
	r := &g.registry
	r.mu.Lock()
	d := r.byID[who.id]
	if d != nil && d.session != nil && d.session != s {
		if why := refusal(d, who, policy); why != nil {
			r.mu.Unlock()
			return why
		}
	}
	if d == nil {
		d = &device{id: who.id}
		r.byID[who.id] = d
		r.order.add(d)
	}
	now, replaced, contested := time.Now(), d.session, false
	r.epoch++
	switch replaced {
	case nil:
		r.online++
	case s:
		replaced = nil
	default:
		contested = replaced.isContested(d, now)
		d.lastClose = &LastClose{longwire.ReasonReplaced.String(), now.UTC()}
		g.events.addKept(Event{Name: EventDisconnect, Device: d.id, Listener: d.listener, RemoteAddr: d.addr, Epoch: d.epoch, Reason: longwire.ReasonReplaced.String()}, nil)
	}
	if d.away != nil {
		r.away.Remove(d.away)
		d.away = nil
	}
	d.kind, d.byAddress, d.groups, d.attributes = who.kind, who.byAddress, who.groups, who.attributes
	d.session, d.epoch, s.epoch = s, r.epoch, r.epoch
	if d.addr, d.listener = s.conn.RemoteAddr().String(), s.port.name; d.addr == d.id {
		d.addr = d.id // in memory once
	}
	d.seen.Store(now.UnixMilli())
	s.device.Store(d)
	s.conn.SetID(who.id)
	g.events.addKept(Event{Name: EventConnect, Device: d.id, Listener: d.listener, RemoteAddr: d.addr, Epoch: d.epoch}, nil)
	g.keepLocked(d)
	if g.queue != nil {
		g.queue.Connected(d.id)
	}
	var others []*session
	if policy == Single {
		for _, other := range r.byID {
			if other.session != nil && other.session != s && other.session.port == s.port {
				others = append(others, other.session)
			}
		}
	}
	r.mu.Unlock()

	if replaced != nil {
		others = append(others, replaced)
		s.port.takeovers.Add(1)
	}
	if contested {
		g.log.Warn("two connections take one identity from each other", "device", who.id,
			"remote_addr", s.conn.RemoteAddr().String(), "other", replaced.conn.RemoteAddr().String())
	}
	for _, other := range others {
		other.conn.Close(longwire.ReasonReplaced)
	}
	return nil
}

// How short a connection that is replaced must have been for two boards to be suspected
// of having one identity, and how often that is worth a warning.
const (
	shortSession = 10 * time.Second
	warnEvery    = 60 // seconds
)

// isContested reports whether two seem to have one identity, when the session old of a device is
// replaced, at most once a minute for each.
func (old *session) isContested(d *device, now time.Time) bool {
	if now.Sub(old.since) > shortSession || now.Unix()-int64(d.warned) < warnEvery {
		return false
	}
	d.warned = uint32(now.Unix())
	return true
}

// refusal says why a connection may not take the place of one that the device has.
func refusal(d *device, who identity, policy Policy) error {
	switch {
	case d.kind != who.kind && d.kind != Anonymous:
		return longwire.Errorf(longwire.StatusConflict, "the device is connected, and proved who it is in another way")
	case policy == Reject:
		return longwire.Errorf(longwire.StatusConflict, "the device is connected already")
	}
	return nil
}

// disconnect is told when a session is over. Only the device's own session can make it
// look away.
func (g *Gateway) disconnect(s *session, reason error) {
	word := longwire.ReasonClosed.String()
	if e, ok := errors.AsType[*longwire.CloseError](reason); ok {
		word = e.Reason.String()
	}
	conf := g.settings.Load()
	r := &g.registry
	r.mu.Lock()
	defer r.mu.Unlock()
	d := s.device.Load()
	if d.session != s {
		return
	}
	now := time.Now()
	d.session = nil
	d.lastClose = &LastClose{word, now.UTC()}
	d.seen.Store(now.UnixMilli())
	d.away = r.away.PushBack(d)
	r.online--
	g.events.addKept(Event{Name: EventDisconnect, Device: d.id, Listener: d.listener, RemoteAddr: d.addr, Epoch: d.epoch, Reason: word}, nil)
	g.keepLocked(d)
	r.trimLocked(conf, now) // it may be the one to go, and then from the disk too
}

// disconnectAll sees to the sessions that were cut off when the gateway stopped, and whose
// handlers may never return.
func (g *Gateway) disconnectAll() {
	g.registry.mu.Lock()
	var sessions []*session
	for _, d := range g.registry.byID {
		if d.session != nil {
			sessions = append(sessions, d.session)
		}
	}
	g.registry.mu.Unlock()
	for _, s := range sessions {
		g.disconnect(s, &longwire.CloseError{Reason: longwire.ReasonShutdown})
	}
}

// forgetLocked forgets a device.
func (r *registry) forgetLocked(d *device) {
	if d.session != nil {
		d.session = nil
		r.online--
	}
	if d.away != nil {
		r.away.Remove(d.away)
	}
	delete(r.byID, d.id)
	r.order.remove(d.id)
	if r.forgotten != nil {
		r.forgotten(d)
	}
}

// trimLocked forgets devices that have been away too long, or are too many.
func (r *registry) trimLocked(conf *settings, now time.Time) {
	for first := r.away.Front(); first != nil; first = r.away.Front() {
		d := first.Value.(*device)
		if len(r.byID) <= conf.MaxDevices && now.Sub(time.UnixMilli(d.seen.Load())) < conf.KnownFor {
			return
		}
		r.forgetLocked(d)
	}
}

// A Query selects devices.
type Query struct {
	Online   *bool  // nil means both
	Group    string // "" means all
	Listener string // "" means all
	Prefix   string // of the id
	Search   string // in id, address, groups or the values of attributes, in whatever case; "" means all
	After    string // only ids behind this one
	Limit    int    // how many at most
}

// Devices returns the devices that a query selects, in the order of their ids, and
// whether there are more.
func (g *Gateway) Devices(q Query) (page []Device, more bool) {
	conf := g.settings.Load()
	for from, on := max(q.After, q.Prefix), true; on && !more; {
		from, on = g.eachOf(q, conf, from, func(d *device) bool {
			if more = len(page) == q.Limit; !more {
				page = append(page, g.lookLocked(d, conf))
			}
			return !more
		})
	}
	return page, more
}

// maxLook is how many devices are looked at while all else waits for the registry: selecting few
// among many takes longer.
const maxLook = 1024

// Device returns what is known of a device.
func (g *Gateway) Device(id string) (Device, error) {
	conf := g.settings.Load()
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	d := g.registry.byID[id]
	if d == nil {
		return Device{}, ErrUnknown
	}
	return g.lookLocked(d, conf), nil
}

// session returns the connection of a device.
func (g *Gateway) session(id string) (*session, error) {
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	switch d := g.registry.byID[id]; {
	case d == nil:
		return nil, ErrUnknown
	case d.session == nil:
		return nil, ErrAway
	default:
		return d.session, nil
	}
}

// Kick ends the connection of a device. It may come back at once.
func (g *Gateway) Kick(id string) error {
	s, err := g.session(id)
	if err != nil {
		return err
	}
	s.conn.Close(longwire.ReasonKicked)
	return nil
}
