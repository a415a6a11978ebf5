package store

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// lockName is the file in Dir that is locked. It stays there when nobody has it:
// to delete it would let two processes lock two files of one name.
const lockName = "lock"

// dirMode keeps what devices say from other users of the machine.
const dirMode = 0o750

// A dirLock keeps other processes out of a directory, which the engine does not.
type dirLock struct {
	file *os.File
}

// lockDir locks a directory, and makes it if there is none.
func lockDir(dir string) (*dirLock, error) {
	if err := os.MkdirAll(dir, dirMode); err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	path := filepath.Join(dir, lockName)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640)
	if err != nil {
		return nil, fmt.Errorf("store: %w", err)
	}
	if err := tryLock(f); err != nil {
		f.Close()
		if errors.Is(err, ErrLocked) {
			return nil, fmt.Errorf("%w: %s is locked; stop the other one, or give this one a directory of its own", ErrLocked, path)
		}
		return nil, fmt.Errorf("store: lock %s: %w", path, err)
	}
	return &dirLock{f}, nil
}

// release lets others have the directory. There is nothing to release in nil.
func (l *dirLock) release() error {
	if l == nil {
		return nil
	}
	return l.file.Close()
}
