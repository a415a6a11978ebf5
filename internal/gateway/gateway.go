// Package gateway is the program behind "longwire serve": it holds the connections of
// boards, knows who is connected, answers their messages or has them answered by a
// service of the user's, and asks them what other programs want to know.
//
// A [Device] is a board that has been connected, whether it is at the moment or not. A
// session is one connection of a device. An [Event] is something that has happened.
//
// It stands on the exported API of package longwire alone.
package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/time/rate"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// A Gateway serves boards. All methods may be called from any goroutine.
type Gateway struct {
	// Asked, if not nil, is told of every Ask when it has ended. It must be set before
	// Serve is called.
	Asked func(err error, took time.Duration)

	log      *slog.Logger
	settings atomic.Pointer[settings]
	reload   sync.Mutex
	rhythm   chan struct{} // holds one: the heartbeat has changed
	ports    []*port
	registry registry
	events   feed
	store    *store.Store // nil when nothing is kept
	devices  *store.Log   // nil without a store
	queue    *queue.Queue // nil without a store
	deliver  *delivery    // nil when there is none
	started  time.Time
	history  history
	drain    chan struct{} // closed by Drain
	draining sync.Once

	forwardFailed atomic.Int64
	storeTrouble  rate.Sometimes
	unkept        atomic.Bool // there are devices that could not be written
}

// A port is a listener at work.
type port struct {
	g        *Gateway
	name     string
	overhead int // bytes of a frame that are not data
	maxFrame int
	maxType  longwire.Type
	srv      *longwire.Server

	refused   atomic.Int64 // logins
	takeovers atomic.Int64
}

// settings returns what the configuration says of the port at the moment.
func (p *port) settings() *Listener { return p.g.settings.Load().ports[p.name] }

// New returns a gateway. The logger receives a line for every connection, when it begins and
// ends, for every message, and for every heartbeat.
func New(c *Config, logger *slog.Logger) (*Gateway, error) {
	conf, err := newSettings(c)
	if err != nil {
		return nil, err
	}
	g := &Gateway{log: logger, started: time.Now(), rhythm: make(chan struct{}, 1), drain: make(chan struct{}), storeTrouble: rate.Sometimes{Interval: 10 * time.Second}}
	g.settings.Store(conf)
	g.registry.byID = make(map[string]*device)
	g.events.init(0, time.Now())
	if conf.Store != nil {
		if err := g.openStore(context.Background(), conf.Config); err != nil {
			return nil, err
		}
	}
	for i := range conf.Listeners {
		l := &conf.Listeners[i]
		codec, err := frame.NewCodec(l.Library.Format)
		if err != nil {
			return nil, fmt.Errorf("gateway: listener %q: %w", l.Name, err)
		}
		lib := l.Library
		lib.Logger = logger
		p := &port{g: g, name: l.Name}
		p.setFrame(codec, l.Library.MaxFrame)
		p.srv = &longwire.Server{
			Handler: longwire.HandlerFunc(p.handle),
			Admit:   p.admit,
			Hello:   p.hello,
			TLS:     l.TLS,
			Config:  &lib,
		}
		g.ports = append(g.ports, p)
	}
	return g, nil
}

// Serve serves the listeners, until stop ends or Drain is called, and closes them. It then
// lets what is in progress finish, for at most DrainTimeout or until abort ends, and returns
// nil. An error means that serving could not begin or go on.
func (g *Gateway) Serve(stop, abort context.Context) error {
	served := make(chan error, len(g.ports))
	for _, p := range g.ports {
		l := p.settings()
		g.log.Info("listening", "addr", l.Socket.Addr().String(), "listener", l.Name)
		go func() { served <- p.srv.Serve(l.Socket) }()
	}
	background, end := context.WithCancel(context.WithoutCancel(stop))
	var tasks sync.WaitGroup
	tasks.Go(func() { g.sample(background) })
	if g.store != nil {
		g.startStore(background, &tasks)
	}
	defer func() {
		for _, p := range g.ports {
			p.srv.Close()
		}
		g.disconnectAll()
		end()
		tasks.Wait()
		if g.queue != nil {
			g.queue.Close()
		}
		g.closeServices(g.settings.Load())
	}()
	because := errors.New("it was told to drain")
	for {
		beat, stopBeat := heartbeat(g.settings.Load().Heartbeat)
		select {
		case <-beat:
			g.log.Info("alive", g.counts()...)
		case <-g.rhythm:
		case err := <-served:
			stopBeat()
			return err
		case <-stop.Done():
			stopBeat()
			g.leave(abort, served, context.Cause(stop))
			return nil
		case <-g.drain:
			stopBeat()
			if stop.Err() != nil {
				because = context.Cause(stop)
			}
			g.leave(abort, served, because)
			return nil
		}
		stopBeat()
	}
}

// heartbeat returns a channel that is due after a while, never if that is 0.
func heartbeat(every time.Duration) (due <-chan time.Time, stop func() bool) {
	if every <= 0 {
		return nil, func() bool { return false }
	}
	timer := time.NewTimer(every)
	return timer.C, timer.Stop
}

// Drain has Serve stop.
func (g *Gateway) Drain() { g.draining.Do(func() { close(g.drain) }) }

// errDrainTimeout is why a connection that was still busy has been cut off.
var errDrainTimeout = errors.New("the drain timeout has passed")

// leave ends the connections in good order while there is time, and then at once.
func (g *Gateway) leave(abort context.Context, served <-chan error, because error) {
	g.log.Info("stopping", "because", because)
	if g.queue != nil {
		g.queue.Pause() // what is under way may be answered
	}
	ctx, cancel := context.WithTimeoutCause(abort, g.settings.Load().DrainTimeout, errDrainTimeout)
	defer cancel()
	var all sync.WaitGroup
	for _, p := range g.ports {
		all.Go(func() {
			if err := p.srv.Shutdown(ctx); err != nil {
				g.log.Warn("connections were still busy and have been cut off", "listener", p.name, "because", err)
			}
		})
	}
	all.Wait()
	for range g.ports {
		<-served
	}
	g.log.Info("stopped", g.counts()...)
}

// Reload replaces the configuration, but for what belongs to the sockets: the listeners must be
// the same, and keep their Socket, Library and TLS, whose certificates are read again.
// On an error everything stays as it was.
func (g *Gateway) Reload(c *Config) error {
	g.reload.Lock()
	defer g.reload.Unlock()
	conf, err := newSettings(c)
	if err != nil {
		return err
	}
	before := g.settings.Load()
	if len(conf.ports) != len(before.ports) {
		return errors.New("gateway: listeners cannot be added or removed without a restart")
	}
	for name, l := range conf.ports {
		old := before.ports[name]
		if old == nil {
			return fmt.Errorf("gateway: listener %q cannot be added without a restart", name)
		}
		l.Socket, l.Library, l.TLS = old.Socket, old.Library, old.TLS
	}
	for _, l := range before.ports {
		if l.TLS == nil {
			continue
		}
		if err := l.TLS.Reload(); err != nil {
			return fmt.Errorf("gateway: listener %q: %w", l.Name, err)
		}
	}
	g.settings.Store(conf)
	if conf.Heartbeat != before.Heartbeat {
		select {
		case g.rhythm <- struct{}{}:
		default: // Serve has yet to look
		}
	}
	if conf.Frames != before.Frames || conf.FrameData != before.FrameData {
		g.restAll(conf)
	}
	g.closeServices(before)
	return nil
}

func (g *Gateway) closeServices(s *settings) {
	for _, service := range s.services {
		service.close()
	}
	if s.other.forward != nil {
		s.other.forward.close()
	}
	for _, t := range s.byType {
		if t.forward != nil {
			t.forward.close()
		}
	}
}

// Stats is what the gateway has counted.
type Stats struct {
	Started       time.Time
	Listeners     map[string]ListenerStats
	Devices       int // that are known
	Online        int
	ForwardFailed int64 // messages that the user's service has not answered
	NotKept       int64 // events that could not be kept
	Asks          int64 // that have ended
	AsksFailed    int64 // of them, those that were not answered
	Memory        int64 // bytes that the program has
	MemoryLimit   int64 // GOMEMLIMIT; 0 means that there is none

	Commands *queue.Counts  // nil when nothing is kept
	Store    *store.Stats   // nil when nothing is kept
	Refusing error          // why the store takes nothing at the moment; nil when it does
	Delivery *DeliveryStats // nil when nothing is delivered
}

// ListenerStats is what has been counted on a listener.
type ListenerStats struct {
	longwire.Stats
	Address       string
	Limits        longwire.Limits // math.MaxInt means none
	LoginsRefused int64
	Takeovers     int64
}

// Stats returns what the gateway has counted.
func (g *Gateway) Stats() Stats {
	s := Stats{
		Started:       g.started,
		Listeners:     make(map[string]ListenerStats),
		ForwardFailed: g.forwardFailed.Load(),
		NotKept:       g.events.lost.Load(),
		Asks:          g.history.asks.Load(),
		AsksFailed:    g.history.failed.Load(),
		Memory:        memoryUsed(),
		MemoryLimit:   memoryLimit(),
	}
	if g.store != nil {
		counts, kept := g.queue.Counts(), g.store.Stats()
		s.Commands, s.Store, s.Refusing = &counts, &kept, g.store.Err()
	}
	if g.deliver != nil {
		s.Delivery = g.deliver.stats()
	}
	for _, p := range g.ports {
		s.Listeners[p.name] = ListenerStats{
			Stats:         p.srv.Stats(),
			Address:       p.settings().Socket.Addr().String(),
			Limits:        p.srv.Limits(),
			LoginsRefused: p.refused.Load(),
			Takeovers:     p.takeovers.Load(),
		}
	}
	g.registry.mu.Lock()
	defer g.registry.mu.Unlock()
	s.Devices, s.Online = len(g.registry.byID), g.registry.online
	return s
}

// ofAllPorts adds up what the servers of all listeners have counted, as far as it is told of them together.
func (g *Gateway) ofAllPorts() longwire.Stats {
	sum := longwire.Stats{Closed: make(map[longwire.Reason]int64)}
	for _, p := range g.ports {
		s := p.srv.Stats()
		sum.Open += s.Open
		sum.Opened += s.Opened
		sum.FramesIn += s.FramesIn
		sum.FramesOut += s.FramesOut
		sum.BytesIn += s.BytesIn
		sum.BytesOut += s.BytesOut
		sum.Refused += s.Refused
		sum.LateAnswers += s.LateAnswers
		for reason, n := range s.Closed {
			sum.Closed[reason] += n
		}
	}
	return sum
}

// counts makes what has been counted into attributes of a log line.
func (g *Gateway) counts() []any {
	sum := g.ofAllPorts()
	attrs := []any{
		"connections", sum.Open, "opened", sum.Opened,
		"frames_in", sum.FramesIn, "frames_out", sum.FramesOut,
		"bytes_in", sum.BytesIn, "bytes_out", sum.BytesOut,
		"refused", sum.Refused, "late_answers", sum.LateAnswers,
	}
	var reasons []any
	for _, reason := range slices.Sorted(maps.Keys(sum.Closed)) {
		reasons = append(reasons, reason.String(), sum.Closed[reason])
	}
	return append(attrs, slog.Group("closed", reasons...))
}
