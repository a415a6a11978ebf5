package longwire

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

// A Client connects to a server, and with Run stays connected. Its fields must not
// be changed once it has dialled.
type Client struct {
	// Addr is the server's address, as in "127.0.0.1:10302".
	Addr string

	// Handler handles the messages that the server sends of its own accord. Nil
	// answers its questions with status "404".
	Handler Handler

	// Hello, if not nil, is said first on every connection; a connection counts
	// only when the server has answered it with status "200".
	Hello *Hello

	// Online, if not nil, is called by Run for every connection, on a goroutine
	// of its own, when it is up. ctx ends when the connection is over; Run waits
	// for Online to return before it dials again.
	Online func(ctx context.Context, c *Conn)

	// MinBackoff and MaxBackoff bound how long Run waits before it dials again:
	// after n failures a random time between MinBackoff and 32·MinBackoff·2ⁿ, at
	// most MaxBackoff. A connection that lasted for MaxBackoff makes n zero.
	// Zero means 100 ms and 30 s, and so a first pause of up to 3.2 s: clients
	// that lose their server together are spread out from the first dial on. When
	// both are the same, every pause is as long as that.
	MinBackoff, MaxBackoff time.Duration

	// DialContext connects, in place of a [net.Dialer]; for TLS, a proxy or a
	// network in memory.
	DialContext func(ctx context.Context, network, address string) (net.Conn, error)

	// TLS, if not nil, is spoken over the connection.
	TLS *TLS

	// Config holds limits, times, frame and log. Nil means defaults.
	Config *Config

	once    sync.Once
	end     *endpoint
	invalid error // why end is nil

	mu      sync.Mutex
	current *Conn         // Run's connection, nil while there is none
	changed chan struct{} // closed when current changes; nil until somebody waits
}

// Dial connects to a server once, with defaults: h handles what the server sends
// of its own accord and may be nil. A [Client] has more to set, and stays connected.
func Dial(ctx context.Context, addr string, h Handler) (*Conn, error) {
	return (&Client{Addr: addr, Handler: h}).Dial(ctx)
}

// Dial connects once. When there is a Hello it returns after the server has
// answered it: with the [*RemoteError] when it was refused.
func (cl *Client) Dial(ctx context.Context) (*Conn, error) {
	c, err := cl.dial(ctx)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// dial is Dial, and returns a connection whose hello was not answered too.
func (cl *Client) dial(ctx context.Context) (*Conn, error) {
	e, err := cl.endpoint()
	if err != nil {
		return nil, err
	}
	if e.AdmitTimeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, e.AdmitTimeout)
		defer cancel()
	}
	dial := cl.DialContext
	if dial == nil {
		dial = new(net.Dialer).DialContext
	}
	nc, err := dial(ctx, "tcp", cl.Addr)
	if err != nil {
		return nil, fmt.Errorf("longwire: dial: %w", err)
	}
	if cl.TLS != nil {
		if nc, err = cl.startTLS(ctx, nc); err != nil {
			return nil, err
		}
	}
	c := startNet(e, nc, nil)
	time.AfterFunc(sweepEvery, c.sweepAlone)
	if cl.Hello != nil {
		if err := cl.sayHello(ctx, c); err != nil {
			reason := ReasonNotAdmitted
			if errors.Is(err, context.DeadlineExceeded) {
				reason = ReasonAdmitTimeout
			} else if ctx.Err() != nil {
				reason = ReasonClosed
			}
			c.close(&CloseError{Reason: reason, Err: err}, true)
			return c, err
		}
	}
	return c, nil
}

// startTLS speaks TLS over nc.
func (cl *Client) startTLS(ctx context.Context, nc net.Conn) (net.Conn, error) {
	tc, err := cl.TLS.client(ctx, nc, cl.Addr)
	if err != nil {
		nc.Close()
		return nil, err
	}
	return tc, nil
}

// endpoint builds what the connections share, once.
func (cl *Client) endpoint() (*endpoint, error) {
	cl.once.Do(func() {
		cl.end, cl.invalid = newEndpoint(cl.Config, cl.Handler)
		if cl.invalid == nil && cl.Hello != nil && !cl.end.control {
			cl.invalid = errors.New("longwire: Client.Hello: the Format's type field has no room for the type of a hello")
		}
		if cl.invalid == nil {
			cl.end.dials = true
		}
	})
	return cl.end, cl.invalid
}

func (cl *Client) sayHello(ctx context.Context, c *Conn) error {
	data, err := appendJSON(nil, cl.Hello)
	if err != nil {
		return err
	}
	return c.askByType(ctx, TypeHello, Raw(data), nil)
}

// Run connects and stays connected until ctx ends: whenever the connection is over
// it dials again, for ever, after a pause (see MinBackoff). A server that says when
// to come back is obeyed. When ctx ends, what is in progress may finish for up to 5
// seconds, and Run returns ctx's error. It returns an error that names the field at
// once when the Client is not valid.
func (cl *Client) Run(ctx context.Context) error {
	e, err := cl.endpoint()
	if err != nil {
		return err
	}
	minimum, maximum := cl.MinBackoff, cl.MaxBackoff
	orDefault(&minimum, 100*time.Millisecond)
	orDefault(&maximum, 30*time.Second)
	if minimum < 0 || maximum < minimum {
		return errors.New("longwire: Client.MaxBackoff: must be at least MinBackoff, and neither negative")
	}
	for failures := 0; ; failures++ {
		wait := backoff(minimum, maximum, failures)
		c, err := cl.dial(ctx)
		if err == nil {
			began := time.Now()
			cl.serve(ctx, c)
			if time.Since(began) >= maximum {
				failures = 0
				wait = backoff(minimum, maximum, failures)
			}
			err = c.Err()
		}
		if g := c.saidGoaway(); g != nil { // in place of an answer to the hello, perhaps
			wait = max(g.wait(), minimum)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		e.Logger.Info("dialling again", "addr", cl.Addr, "in", wait, "error", err)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// serve sees one connection of Run through.
func (cl *Client) serve(ctx context.Context, c *Conn) {
	cl.setCurrent(c)
	online := make(chan struct{})
	go func() {
		defer close(online)
		if cl.Online != nil {
			cl.Online(c.context(), c)
		}
	}()
	select {
	case <-c.Done():
	case <-ctx.Done():
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), lingerWrite)
		defer cancel()
		c.Shutdown(grace) // how it ended is in the log
	}
	cl.setCurrent(nil)
	<-online
}

// Conn returns the connection that Run keeps, waiting for one until ctx ends.
func (cl *Client) Conn(ctx context.Context) (*Conn, error) {
	for {
		cl.mu.Lock()
		c := cl.current
		if cl.changed == nil {
			cl.changed = make(chan struct{})
		}
		changed := cl.changed
		cl.mu.Unlock()
		if c != nil && !c.isOver() {
			return c, nil
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return nil, fmt.Errorf("longwire: not connected to %s: %w", cl.Addr, context.Cause(ctx))
		}
	}
}

func (cl *Client) setCurrent(c *Conn) {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	cl.current = c
	if cl.changed != nil {
		close(cl.changed)
		cl.changed = nil
	}
}

// Stats returns what the client has counted, over all its connections.
func (cl *Client) Stats() Stats {
	e, err := cl.endpoint()
	if err != nil {
		return Stats{}
	}
	return e.readStats()
}

// backoff returns how long to wait after the given number of failures: "full
// jitter", as in "Exponential Backoff And Jitter" (Marc Brooker, AWS Architecture
// Blog, 2015), over a floor. There is room for jitter before the first failure too: a
// server that is back at once has all its clients there.
func backoff(minimum, maximum time.Duration, failures int) time.Duration {
	ceiling := maximum
	if doubled := failures + 5; failures < 32 && minimum < maximum>>doubled {
		ceiling = minimum << doubled
	}
	return minimum + rand.N(ceiling-minimum+1)
}

// wait returns when to come back: after ± jitter.
func (g *goaway) wait() time.Duration {
	const most = int64(time.Hour / time.Millisecond)
	after, jitter := min(max(g.AfterMS, 0), most), min(max(g.JitterMS, 0), most)
	return time.Duration(max(after-jitter+rand.Int64N(2*jitter+1), 0)) * time.Millisecond
}

func (c *Conn) saidGoaway() *goaway {
	if c == nil { // it was not even up
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.rare == nil {
		return nil
	}
	return c.rare.goaway
}

// sweepAlone sweeps a connection that no server does.
func (c *Conn) sweepAlone() {
	if !c.isOver() {
		c.sweep(c.end.now())
		time.AfterFunc(sweepEvery, c.sweepAlone)
	}
}
