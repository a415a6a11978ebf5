//go:build unix

package dial

import "syscall"

// descriptorLimit returns how many file descriptors this process may have, if that
// is limited. (When a Go program starts it raises its soft limit to the hard one.)
func descriptorLimit() (n uint64, ok bool) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, false
	}
	return uint64(limit.Cur), true
}
