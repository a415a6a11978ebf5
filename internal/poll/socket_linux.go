package poll

import (
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// A Socket is a file descriptor that is closed when nobody is using it any more,
// so that no system call ever reaches a descriptor that has been closed, or that
// has become another socket's. The zero Socket is not valid.
type Socket struct {
	fd    int32
	state atomic.Int32 // how many are using it, and closing
}

const closing = 1 << 30

// Init makes s the socket of a descriptor.
func (s *Socket) Init(fd int) { s.fd = int32(fd) }

func (s *Socket) acquire() bool {
	if s.state.Add(1)&closing != 0 {
		s.release()
		return false
	}
	return true
}

func (s *Socket) release() {
	if s.state.Add(-1) == closing && s.state.CompareAndSwap(closing, closing|1<<29) {
		unix.Close(int(s.fd))
	}
}

// Use calls f with the descriptor, which is not closed meanwhile. When Close has
// been called by then, after is called too, and the error is [os.ErrClosed].
func (s *Socket) Use(f func(fd int) error, after func(fd int)) error {
	if !s.acquire() {
		return os.ErrClosed
	}
	defer s.release()
	err := f(int(s.fd))
	if s.state.Load()&closing != 0 {
		after(int(s.fd))
		err = os.ErrClosed
	}
	return err
}

// Close closes the descriptor, at once or when the last call on it returns. Calls
// that begin later fail with [os.ErrClosed]. Before is called before that, when
// this is the first Close.
func (s *Socket) Close(before func(fd int)) {
	s.state.Add(1)
	for {
		old := s.state.Load()
		if old&closing != 0 {
			break
		}
		if s.state.CompareAndSwap(old, old|closing) {
			before(int(s.fd))
			break
		}
	}
	s.release()
}

// Read reads what there is. It returns 0 and nil at the end of the stream, and
// [syscall.EAGAIN] when there is nothing.
func (s *Socket) Read(b []byte) (int, error) {
	if !s.acquire() {
		return 0, os.ErrClosed
	}
	n, errno := read(int(s.fd), b)
	for errno == syscall.EINTR {
		n, errno = read(int(s.fd), b)
	}
	s.release()
	return result("read", n, errno)
}

// Write writes as much as fits. It returns [syscall.EAGAIN] when nothing does.
func (s *Socket) Write(b []byte) (int, error) {
	if !s.acquire() {
		return 0, os.ErrClosed
	}
	n, errno := write(int(s.fd), b)
	for errno == syscall.EINTR {
		n, errno = write(int(s.fd), b)
	}
	s.release()
	return result("write", n, errno)
}

func result(call string, n int, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return n, nil
	case syscall.EAGAIN:
		return 0, syscall.EAGAIN
	}
	return 0, os.NewSyscallError(call, errno)
}

// CloseWrite ends the stream to the peer.
func (s *Socket) CloseWrite() error {
	if !s.acquire() {
		return os.ErrClosed
	}
	defer s.release()
	return os.NewSyscallError("shutdown", unix.Shutdown(int(s.fd), unix.SHUT_WR))
}

// LocalAddr returns the address of this end, or other when the socket is closed.
func (s *Socket) LocalAddr(other net.Addr) net.Addr {
	if !s.acquire() {
		return other
	}
	defer s.release()
	switch sa, _ := unix.Getsockname(int(s.fd)); sa := sa.(type) {
	case *unix.SockaddrInet4:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	case *unix.SockaddrInet6:
		return &net.TCPAddr{IP: sa.Addr[:], Port: sa.Port}
	}
	return other
}

// fetchEvents returns the number of events that are there, without waiting.
func fetchEvents(epoll int, events []unix.EpollEvent) int {
	n, _, errno := syscall.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(epoll),
		uintptr(unsafe.Pointer(unsafe.SliceData(events))), uintptr(len(events)), 0, 0, 0)
	if errno != 0 {
		return 0
	}
	return int(n)
}

// Accept accepts one connection from a listening socket. It returns
// [syscall.EAGAIN] when there is none.
func Accept(listener int) (fd int, remote netip.AddrPort, err error) {
	var from unix.RawSockaddrAny
	size := uint32(unix.SizeofSockaddrAny)
	n, _, errno := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(listener), uintptr(unsafe.Pointer(&from)),
		uintptr(unsafe.Pointer(&size)), unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	switch errno {
	case 0:
		return int(n), addrPort(&from), nil
	case syscall.EAGAIN, syscall.EINTR, syscall.ECONNABORTED:
		return 0, remote, errno
	}
	return 0, remote, os.NewSyscallError("accept4", errno)
}

// addrPort returns the address of a TCP socket. Package unix would allocate it.
func addrPort(a *unix.RawSockaddrAny) netip.AddrPort {
	switch a.Addr.Family {
	case unix.AF_INET:
		in := (*unix.RawSockaddrInet4)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom4(in.Addr), ntohs(in.Port))
	case unix.AF_INET6:
		in := (*unix.RawSockaddrInet6)(unsafe.Pointer(a))
		return netip.AddrPortFrom(netip.AddrFrom16(in.Addr), ntohs(in.Port))
	}
	return netip.AddrPort{}
}

// ntohs reads a number that is in the order of the network.
func ntohs(n uint16) uint16 {
	b := (*[2]byte)(unsafe.Pointer(&n))
	return uint16(b[0])<<8 | uint16(b[1])
}
