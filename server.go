package longwire

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net"
	"os"
	"sync"
	"time"
)

// A Server accepts connections. Its fields must not be changed once it serves.
type Server struct {
	// Addr is the TCP address that ListenAndServe listens on, as in ":10302".
	Addr string

	// Handler handles the messages of every connection. Nil answers everything
	// with status "404".
	Handler Handler

	// Admit, if not nil, decides about every new connection before any handler
	// runs: it calls Conn.Receive for the peer's login, checks it, and returns.
	// The last message received is answered with what Admit returns: status
	// "200", or err as a handler's error would be, which also ends the
	// connection. Leave, if not nil, is called exactly once, with the CloseError,
	// when the connection is over and none of its handlers runs any more. ctx is
	// the connection's; Config.AdmitTimeout ends both.
	//
	// Nil admits everybody. A hello is then answered with status "200".
	Admit func(ctx context.Context, c *Conn) (leave func(reason error), err error)

	// Hello, if not nil, handles a hello that a peer says when it is admitted already,
	// as Handler does other messages. What it returns is the answer, for nil status
	// "200". It may call Conn.SetID. Nil answers "200", and "409" from the second on.
	Hello func(ctx context.Context, m *Message) error

	// TLS, if not nil, has every listener speak TLS.
	TLS *TLS

	// Config holds limits, times, frame and log. Nil means defaults.
	Config *Config

	once    sync.Once
	end     *endpoint
	invalid error // why end is nil

	mu         sync.Mutex
	listeners  map[*net.Listener]struct{}
	stopped    bool
	stop       chan struct{} // closed when no more is accepted; made with the first listener
	sweepStop  chan struct{} // closed when no time needs to be looked at any more
	swept      chan struct{} // closed when the sweep has ended
	background []func()      // end what else serves connections
}

type admitFunc = func(ctx context.Context, c *Conn) (leave func(reason error), err error)

// ListenAndServe listens on Addr and serves; see Serve.
func (s *Server) ListenAndServe() error {
	if _, err := s.endpoint(); err != nil {
		return err
	}
	l, err := net.Listen("tcp", s.Addr)
	if err != nil {
		return fmt.Errorf("longwire: Server.Addr: %w", err)
	}
	return s.Serve(l)
}

// Serve accepts connections from l, until Shutdown or Close, and closes it. It
// always returns an error: [ErrServerClosed] then, the listener's when that was
// closed by another, one that names the field when Config is not valid. Other
// errors of the listener are logged, once until accepting works again, which is tried
// several times a second. A Server may serve several listeners at a time.
func (s *Server) Serve(l net.Listener) error {
	defer l.Close()
	e, err := s.endpoint()
	if err != nil {
		return err
	}
	if s.TLS != nil {
		if l, err = s.TLS.server(l, e.load.handshakes); err != nil {
			return err
		}
	}
	stop, err := s.track(e, &l)
	if err != nil {
		return err
	}
	defer s.untrack(e, &l)
	accept, err := s.acceptor(e, l, stop)
	switch {
	case isClosed(stop):
		return ErrServerClosed
	case err != nil:
		return fmt.Errorf("longwire: listener: %w", err)
	}
	inTurn := func() bool { return true }
	if pace := e.load.pace; pace != nil {
		inTurn = func() bool { return sleep(pace.Reserve().Delay(), stop) }
	}
	e.Logger.Info("serving", "address", l.Addr().String(), "most_connections", e.Limits.Conns)
	pause := time.Duration(0) // while accepting fails
	for {
		if !e.waitForRoom(stop) || !inTurn() {
			return ErrServerClosed
		}
		c, err := accept()
		switch {
		case err == nil:
			if pause > 0 {
				e.Logger.Info("accepting again")
				pause = 0
			}
			if s.isStopped() { // and may not have seen this one
				c.close(&CloseError{Reason: ReasonShutdown}, false)
			}
			continue
		case isClosed(stop):
			return ErrServerClosed
		case errors.Is(err, net.ErrClosed), errors.Is(err, os.ErrClosed):
			return fmt.Errorf("longwire: accept: %w", err)
		case pause == 0: // not each time: nobody reads the second line
			e.Logger.Error("accept failed", "error", err)
		}
		pause = min(max(2*pause, leastPause), mostPause)
		if !sleep(pause, stop) {
			return ErrServerClosed
		}
	}
}

// sleep returns false when stop is closed first.
func sleep(d time.Duration, stop <-chan struct{}) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-stop:
		return false
	}
}

// How long the server pauses before it accepts again, when that has failed: as a rule
// no descriptor was free.
const (
	leastPause = 5 * time.Millisecond
	mostPause  = 250 * time.Millisecond
)

func (s *Server) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// endpoint builds what the connections share, once.
func (s *Server) endpoint() (*endpoint, error) {
	s.once.Do(func() {
		if s.end, s.invalid = newEndpoint(s.Config, s.Handler); s.invalid == nil && s.Hello != nil {
			s.end.hello = true
			s.end.handler = greeter{s.end.handler, s.Hello}
		}
	})
	return s.end, s.invalid
}

// track notes a listener, which Shutdown then waits for. With the first one the
// sweep begins.
func (s *Server) track(e *endpoint, l *net.Listener) (stop <-chan struct{}, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, ErrServerClosed
	}
	if s.listeners == nil {
		s.listeners = make(map[*net.Listener]struct{})
		s.stop, s.sweepStop, s.swept = make(chan struct{}), make(chan struct{}), make(chan struct{})
		go func() {
			defer close(s.swept)
			e.sweep(s.sweepStop)
		}()
	}
	s.listeners[l] = struct{}{}
	e.wg.Add(1)
	return s.stop, nil
}

func (s *Server) untrack(e *endpoint, l *net.Listener) {
	s.mu.Lock()
	delete(s.listeners, l)
	s.mu.Unlock()
	e.wg.Done()
}

// Conns returns the connections that are admitted and not over.
func (s *Server) Conns() iter.Seq[*Conn] {
	return func(yield func(*Conn) bool) {
		e, err := s.endpoint()
		if err != nil {
			return
		}
		for _, c := range e.snapshot(nil) {
			if c.isAdmitted() && !yield(c) {
				return
			}
		}
	}
}

// Stats returns what the server has counted.
func (s *Server) Stats() Stats {
	e, err := s.endpoint()
	if err != nil {
		return Stats{}
	}
	return e.readStats()
}

// Limits returns the limits in force: those of Config, with the defaults in place of zeros, and
// math.MaxInt for the number or bytes of what has no limit. It may be called at any time. Where
// Config is wrong, which Serve says, it returns zeros.
func (s *Server) Limits() Limits {
	e, err := s.endpoint()
	if err != nil {
		return Limits{}
	}
	return e.Limits
}

// Shutdown ends the server in good order: it accepts no more, and one connection after
// another, at most 1,000 in a second where ctx leaves the time, it tells peers that
// understand goaway to come back later, lets handlers and questions in progress
// finish, refusing new messages with status "503", and closes the connection when
// nothing is going on there. It must not be called by a handler or Admit, which it
// would wait for. When ctx ends first, the rest is closed at once and
// ctx's error returned; handlers that are still running then run on.
func (s *Server) Shutdown(ctx context.Context) error {
	e, err := s.endpoint()
	if err != nil {
		return nil
	}
	conns := s.stopAccepting(e)
	for i, c := range conns {
		if i%leaveTogether == 0 && i > 0 && !sleep(leavePause(ctx, len(conns)-i), ctx.Done()) {
			break
		}
		c.mu.Lock()
		knows := c.knows
		c.mu.Unlock()
		if knows {
			c.sendControl(away)
		}
		c.closeWhenIdle(ReasonShutdown)
	}
	done := make(chan struct{})
	go func() {
		e.wg.Wait()
		close(done)
	}()
	select {
	case <-done:
		s.stopBackground()
		return nil
	case <-ctx.Done():
	}
	s.Close()
	return context.Cause(ctx)
}

// leaveTogether is how many connections Shutdown ends at a time, and leaveEvery how long
// it waits before the next, when ctx leaves it the time: peers that come back at once
// should not all come back together.
const (
	leaveTogether = 10
	leaveEvery    = 10 * time.Millisecond
)

// leavePause returns how long to wait before more connections are ended: not so long
// that the rest would take more than half of the time that ctx has left.
func leavePause(ctx context.Context, rest int) time.Duration {
	deadline, ok := ctx.Deadline()
	if !ok {
		return leaveEvery
	}
	return min(leaveEvery, time.Until(deadline)/2/time.Duration(rest/leaveTogether+1))
}

// stopBackground ends what works for all connections, when none is left that needs it.
func (s *Server) stopBackground() {
	s.mu.Lock()
	swept := s.swept
	if swept != nil && !isClosed(s.sweepStop) {
		close(s.sweepStop)
	}
	background := s.background
	s.background = nil
	s.mu.Unlock()
	if swept != nil {
		<-swept
	}
	for _, end := range background {
		end()
	}
}

// Close ends the server and all its connections at once.
func (s *Server) Close() error {
	e, err := s.endpoint()
	if err != nil {
		return nil
	}
	for _, c := range s.stopAccepting(e) {
		c.deaf.Store(true)
		c.close(&CloseError{Reason: ReasonShutdown}, false)
	}
	s.stopBackground()
	return nil
}

// stopAccepting closes the listeners. No connection begins after it; those that
// there are it returns.
func (s *Server) stopAccepting(e *endpoint) []*Conn {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.stopped && s.stop != nil {
		close(s.stop)
	}
	s.stopped = true
	for l := range s.listeners {
		(*l).Close()
	}
	return e.snapshot(nil)
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}
