//go:build unix && !linux

package doctor

import "os"

func (m *Machine) system() { m.Descriptors, m.Sync = descriptors, syncs }

func nameless(dir string) (*os.File, error) { return unlinked(dir) }
