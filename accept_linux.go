package longwire

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/longwire/longwire/internal/poll"
)

// A poller is the loops of a server, one for each processor.
type poller struct {
	local net.Addr // the listener's
	loops []*poll.Loop[*pollConn]
	next  atomic.Uint32
}

func newPoller(local net.Addr) (*poller, error) {
	p := &poller{local: local}
	for range runtime.GOMAXPROCS(0) {
		l, err := poll.NewLoop[*pollConn]()
		if err != nil {
			p.close()
			return nil, err
		}
		p.loops = append(p.loops, l)
	}
	return p, nil
}

func (p *poller) close() {
	for _, l := range p.loops {
		l.Close()
	}
}

// acceptor returns a function that accepts connections from l, until stop is
// closed, with the driver that fits: the one with loops, for plain TCP.
func (s *Server) acceptor(e *endpoint, l net.Listener, stop <-chan struct{}) (func() (*Conn, error), error) {
	tcp, ok := l.(*net.TCPListener)
	if !ok || e.Portable {
		return s.acceptNet(e, l), nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil, err
	}
	p, err := newPoller(l.Addr())
	if err != nil {
		return nil, err
	}
	a := &acceptLink{raw: raw, stop: stop, ready: make(chan struct{}, 1), timer: time.NewTimer(sweepEvery)}
	a.try = func(fd uintptr) { a.fd, a.remote, a.err = poll.Accept(int(fd)) }
	if a.loop, err = poll.NewLoop[*acceptLink](); err != nil {
		p.close()
		return nil, err
	}
	var failed error
	err = raw.Control(func(fd uintptr) {
		inherited(int(fd))
		failed = a.loop.Add(int(fd), a)
	})
	err = errors.Join(err, failed)
	if s.mu.Lock(); err == nil && !s.stopped {
		s.background = append(s.background, p.close, a.loop.Close)
		s.mu.Unlock()
	} else {
		s.mu.Unlock()
		p.close()
		a.loop.Close()
		return nil, cmp.Or(err, ErrServerClosed)
	}
	return func() (*Conn, error) {
		if err := a.accept(); err != nil {
			return nil, err
		}
		return startPoll(e, p, a.fd, a.remote, s.Admit), nil
	}, nil
}

// An acceptLink waits for connections on a listener.
type acceptLink struct {
	raw   syscall.RawConn
	loop  *poll.Loop[*acceptLink]
	stop  <-chan struct{}
	ready chan struct{} // holds one token: there may be a connection
	timer *time.Timer

	try    func(fd uintptr) // accepts a connection, into what follows; a field because making it allocates
	fd     int
	remote netip.AddrPort
	err    error
}

// Ready is called by the loop.
func (a *acceptLink) Ready(*poll.Turn, poll.Events) {
	select {
	case a.ready <- struct{}{}:
	default:
	}
}

// accept waits for a connection. That the listener has been closed by another it
// notices within a second.
func (a *acceptLink) accept() error {
	for {
		if err := a.raw.Control(a.try); err != nil {
			return errors.Join(net.ErrClosed, err)
		}
		switch {
		case errors.Is(a.err, syscall.ECONNABORTED), errors.Is(a.err, syscall.EINTR):
			continue // it is gone already; there may be another
		case !errors.Is(a.err, syscall.EAGAIN):
			return a.err
		}
		a.timer.Reset(sweepEvery)
		select {
		case <-a.ready:
		case <-a.stop:
		case <-a.timer.C:
		}
	}
}

// inherited sets what the sockets that are accepted inherit from the one that
// listens, as package net sets it on each. What a kernel does not know, as some do
// not for MPTCP, is left at its default.
func inherited(fd int) {
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 15)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 15)
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 9)
}
