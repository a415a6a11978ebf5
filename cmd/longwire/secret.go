package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// sessionSecret returns what the sessions of the dashboard are signed with, out of a file in
// the directory where things are kept, so that a restart ends none. The store's lock keeps
// others from making it at the same time.
func sessionSecret(dir string) ([]byte, error) {
	const size = 32
	name := filepath.Join(dir, "session.key")
	secret, err := os.ReadFile(name)
	if err == nil && len(secret) != size {
		return nil, fmt.Errorf("%s has %d bytes, and should have %d; delete it, which ends the sessions of the dashboard", name, len(secret), size)
	}
	if err == nil {
		return secret, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("%s cannot be read (%v); let the gateway read it, or delete it, which ends the sessions of the dashboard", name, innermost(err))
	}
	secret = make([]byte, size)
	rand.Read(secret)
	f, err := os.CreateTemp(dir, ".session.key-") // which nobody else may read
	if err != nil {
		return nil, fmt.Errorf("%s cannot be made: %v", name, innermost(err))
	}
	_, err = f.Write(secret)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		os.Remove(f.Name())
		return nil, fmt.Errorf("%s cannot be made: %v", name, innermost(err))
	}
	return secret, nil
}
