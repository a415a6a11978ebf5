//go:build linux || darwin || freebsd || dragonfly

package store

import "golang.org/x/sys/unix"

// freeBytes returns how much the file system of a directory has left for this user.
func freeBytes(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}
