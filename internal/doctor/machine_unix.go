//go:build unix

package doctor

import (
	"context"
	"crypto/rand"
	"math"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func descriptors() (int, error) {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return int(min(uint64(limit.Cur), math.MaxInt32)), nil
}

const (
	syncsAtMost = 60
	syncsFor    = 2 * time.Second
)

// syncs measures how long it takes until 4 KiB are on the disk. The file has no name
// while it is written to, so that nothing stays whatever happens.
func syncs(ctx context.Context, dir string) (took []time.Duration, err error) {
	f, err := nameless(dir)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	block := make([]byte, 4096)
	rand.Read(block)
	for begin := time.Now(); len(took) < syncsAtMost && time.Since(begin) < syncsFor && ctx.Err() == nil; {
		start := time.Now()
		if _, err := f.Write(block); err != nil {
			return took, err
		}
		if err := f.Sync(); err != nil {
			return took, err
		}
		took = append(took, time.Since(start))
	}
	return took, ctx.Err()
}

// unlinked makes a file and takes its name away at once.
func unlinked(dir string) (*os.File, error) {
	f, err := os.CreateTemp(dir, ".longwire-doctor-*")
	if err != nil {
		return nil, err
	}
	if err := os.Remove(f.Name()); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
