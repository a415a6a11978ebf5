package longwire

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

// userTimeout is for how long a peer may acknowledge nothing, whether data or probes,
// until the kernel gives the connection up. Probes go out after 15 seconds without data,
// and a ping after 30, so a cable that is pulled is noticed after 40 to 70.
const userTimeout = 40 * time.Second

// keepAlive has the kernel notice a peer that has vanished, where package net has seen
// to the probes already.
func keepAlive(nc net.Conn) {
	if wrapped, ok := nc.(interface{ NetConn() net.Conn }); ok { // a *tls.Conn
		nc = wrapped.NetConn()
	}
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		raw.Control(setUserTimeout)
	}
}

func setUserTimeout(fd uintptr) {
	unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(userTimeout.Milliseconds()))
}
