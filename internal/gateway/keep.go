package gateway

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/longwire/longwire"
	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/queue"
	"github.com/longwire/longwire/internal/store"
)

// Sizes bounds what is kept.
type Sizes struct {
	Commands int64         // bytes of commands; zero means 256 MiB
	Events   int64         // bytes of events, of which the oldest make room; zero means 256 MiB
	EventAge time.Duration // how long events are kept; zero means 7 days
}

// Logs returns the logs that a [Config.Store] must have.
func Logs(s Sizes) []store.LogConfig {
	orDefault(&s.Commands, 256<<20)
	orDefault(&s.Events, 256<<20)
	orDefault(&s.EventAge, 7*24*time.Hour)
	return []store.LogConfig{
		{Name: "commands", Latest: true, MaxBytes: s.Commands},
		{Name: "events", MaxBytes: s.Events, MaxAge: s.EventAge, DropOldest: true},
		{Name: "devices", Latest: true, MaxBytes: 256 << 20, DropOldest: true},
		{Name: "cursors", Latest: true, MaxBytes: 1 << 20, DropOldest: true},
	}
}

// openStore reads what has been kept.
func (g *Gateway) openStore(ctx context.Context, c *Config) error {
	g.store, g.devices, g.events.log = c.Store, c.Store.Log("devices"), c.Store.Log("events")
	last, err := g.events.lastKept(ctx)
	if err != nil {
		return fmt.Errorf("gateway: read events: %w", err)
	}
	g.events.init(last, time.Now())
	g.registry.forgotten = g.forgotten
	if err := g.loadDevices(ctx); err != nil {
		return err
	}
	g.queue, err = queue.Open(ctx, queue.Config{
		Log:      c.Store.Log("commands"),
		Sender:   sender{g},
		Logger:   g.log,
		Max:      c.Commands.Max,
		MaxBytes: c.Commands.MaxBytes,
		TTL:      c.Commands.TTL,
		Timeout:  c.Commands.Timeout,
		Attempts: c.Commands.Attempts,
		Keep:     c.Commands.Keep,
		Window:   c.Commands.Window,
		InFlight: c.Commands.InFlight,
		Rate:     c.Commands.Rate,
		Changed:  g.commandChanged,
	})
	if err != nil {
		return err
	}
	if c.Deliver.URL != "" {
		g.deliver = newDelivery(g, c.Deliver, c.Store.Log("cursors"))
		return g.deliver.begin(ctx)
	}
	return nil
}

// keepEvery is how often devices are written that could not be written before.
const keepEvery = 10 * time.Second

// startStore begins to send commands and to deliver events, until ctx ends.
func (g *Gateway) startStore(ctx context.Context, tasks *sync.WaitGroup) {
	g.queue.Start()
	if g.deliver != nil {
		tasks.Go(func() { g.deliver.run(ctx) })
	}
	tasks.Go(func() {
		again := time.NewTicker(keepEvery)
		defer again.Stop()
		for {
			select {
			case <-g.store.Recovered():
				g.log.Info("the store accepts records again")
				g.keepAgain()
			case <-again.C:
				if g.unkept.Swap(false) {
					g.keepAgain()
				}
			case <-ctx.Done():
				return
			}
		}
	})
}

// commandChanged makes the new state of a command an event.
func (g *Gateway) commandChanged(c *queue.Command) {
	g.events.addKept(Event{
		Name:     EventCommand,
		Device:   c.Device,
		TypeName: g.TypeName(c.Type),
		Command:  &CommandEvent{ID: c.ID, Type: c.Type, State: c.State, Attempts: c.Attempts, Error: c.Error, Answer: c.Answer},
	}, nil)
}

// ErrNothingKept means that the gateway has no store.
var ErrNothingKept = errors.New("this gateway keeps nothing")

// Commands returns the queue of commands.
func (g *Gateway) Commands() (*queue.Queue, error) {
	if g.queue == nil {
		return nil, ErrNothingKept
	}
	return g.queue, nil
}

// Command has a command wait for each device of a target, also for those that are away, until
// it is on disk or cannot be. The results are those of [queue.Queue.Put], a [frame.Error] for
// devices that it cannot be sent to, and ErrUnknown for ids that commands may not wait for.
func (g *Gateway) Command(ctx context.Context, to Target, r queue.Request) ([]queue.Result, error) {
	q, err := g.Commands()
	if err != nil {
		return nil, err
	}
	ids, unknown := g.known(to)
	var requests []queue.Request
	var misfits []queue.Result
	size := sizeOf(&r)
	for _, id := range ids {
		if err := g.fits(id, r.Type, size); err != nil {
			misfits = append(misfits, queue.Result{Device: id, Err: err})
			continue
		}
		r.Device = id
		requests = append(requests, r)
	}
	results := append(q.Put(ctx, requests...), misfits...)
	for _, id := range unknown {
		results = append(results, queue.Result{Device: id, Err: ErrUnknown})
	}
	return results, nil
}

// sender brings commands to devices.
type sender struct{ g *Gateway }

func (s sender) Connected(device string) bool {
	_, err := s.g.session(device)
	return err == nil
}

// sendTimeout is how long a command may wait for room to be sent.
const sendTimeout = time.Second

func (s sender) Send(ctx context.Context, c *queue.Command) (func(context.Context) (queue.Answer, error), error) {
	session, err := s.g.session(c.Device)
	if err != nil {
		return nil, queue.ErrAway
	}
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	asked, err := session.start(ctx, Question{Type: c.Type, Data: c.Data, Raw: c.Raw, Match: Match(c.Match)}, c.ID)
	if _, misfit := errors.AsType[*frame.Error](err); misfit {
		return nil, fmt.Errorf("%w: %w", queue.ErrUnfit, err)
	}
	if _, closed := errors.AsType[*longwire.CloseError](err); closed {
		return nil, queue.ErrAway
	}
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (queue.Answer, error) {
		answer, err := session.answer(ctx, asked)
		if err != nil {
			return queue.Answer{}, s.g.explain(err, ErrNoAnswer)
		}
		b, err := answer.MarshalJSON()
		return queue.Answer{Bytes: answer.Raw != nil, Status: answer.Status, JSON: b}, err
	}, nil
}
