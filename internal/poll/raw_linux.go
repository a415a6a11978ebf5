//go:build !race

package poll

import (
	"syscall"
	"unsafe"
)

func read(fd int, b []byte) (int, syscall.Errno)  { return raw(syscall.SYS_READ, fd, b) }
func write(fd int, b []byte) (int, syscall.Errno) { return raw(syscall.SYS_WRITE, fd, b) }

func raw(call uintptr, fd int, b []byte) (int, syscall.Errno) {
	n, _, errno := syscall.RawSyscall(call, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	return int(n), errno
}
