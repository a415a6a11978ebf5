//go:build race || 386

package poll

import "syscall"

// With the race detector, the calls of package syscall tell it that what was
// written to a socket before happened before what is read from one, as they do for
// package net. And for 386, older kernels have no calls for sockets alone.

func read(fd int, b []byte) (int, syscall.Errno)  { return told(syscall.Read(fd, b)) }
func write(fd int, b []byte) (int, syscall.Errno) { return told(syscall.Write(fd, b)) }

func told(n int, err error) (int, syscall.Errno) {
	errno, _ := err.(syscall.Errno)
	return n, errno
}
