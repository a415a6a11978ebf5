//go:build !unix

package doctor

func (m *Machine) system() {}
