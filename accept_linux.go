package longwire

import (
	"cmp"
	"errors"
	"net"
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
	loops []*poll.Loop[*pollLink]
	next  atomic.Uint32
}

func newPoller(local net.Addr) (*poller, error) {
	p := &poller{local: local}
	for range runtime.GOMAXPROCS(0) {
		l, err := poll.NewLoop[*pollLink]()
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
		fd, remote, err := a.accept()
		if err != nil {
			return nil, err
		}
		return startPoll(e, p, fd, remote, s.Admit), nil
	}, nil
}

// An acceptLink waits for connections on a listener.
type acceptLink struct {
	raw   syscall.RawConn
	loop  *poll.Loop[*acceptLink]
	stop  <-chan struct{}
	ready chan struct{} // holds one token: there may be a connection
	timer *time.Timer
}

// Ready is called by the loop.
func (a *acceptLink) Ready(poll.Events, []byte) (again poll.Events) {
	select {
	case a.ready <- struct{}{}:
	default:
	}
	return 0
}

// accept waits for a connection. That the listener has been closed by another it
// notices within a second.
func (a *acceptLink) accept() (fd int, remote unix.Sockaddr, err error) {
	for {
		var failed error
		err := a.raw.Control(func(listener uintptr) { fd, remote, failed = poll.Accept(listener) })
		if err != nil {
			return 0, nil, errors.Join(net.ErrClosed, err)
		}
		switch {
		case errors.Is(failed, syscall.ECONNABORTED), errors.Is(failed, syscall.EINTR):
			continue // it is gone already; there may be another
		case !errors.Is(failed, syscall.EAGAIN):
			return fd, remote, failed
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
