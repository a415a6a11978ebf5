//go:build !race && !386

package poll

import (
	"syscall"
	"unsafe"
)

// The calls for sockets do the same as those for any file, on a shorter way.
func read(fd int, b []byte) (int, syscall.Errno) { return raw(syscall.SYS_RECVFROM, fd, b, 0) }
func write(fd int, b []byte) (int, syscall.Errno) {
	return raw(syscall.SYS_SENDTO, fd, b, syscall.MSG_NOSIGNAL)
}

func raw(call uintptr, fd int, b []byte, flags uintptr) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall6(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)), flags, 0, 0)
	return int(n), errno
}
