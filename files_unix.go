//go:build unix

package longwire

import (
	"math"

	"golang.org/x/sys/unix"
)

// filesLimit returns how many files the process may have open.
func filesLimit() int {
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) != nil || uint64(limit.Cur) > math.MaxInt32 {
		return math.MaxInt
	}
	return int(limit.Cur)
}
