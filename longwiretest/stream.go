package longwiretest

import (
	"bytes"
	"sync"
)

// stream is one direction of a connection: what one end wrote and the other
// has not read yet. It is guarded by link.mu.
type stream struct {
	link    *link
	changed *sync.Cond // something below or at either end is different

	buf       bytes.Buffer // grows with what is written, up to size
	size      int
	used      int  // bytes of size that are taken
	writing   bool // a Write has its turn
	ended     bool // the writer has said that no more comes
	abandoned bool // the reader has closed
}

func newStream(l *link, size int) *stream {
	return &stream{link: l, changed: sync.NewCond(&l.mu), size: size}
}

// write takes as much of b as there is room for and returns how much that is.
// Behind a cut, data takes room as unacknowledged data does, and is lost.
func (s *stream) write(b []byte) int {
	b = b[:min(len(b), s.size-s.used)]
	if len(b) == 0 {
		return 0
	}
	s.used += len(b)
	if !s.link.cut {
		s.buf.Write(b)
		s.changed.Broadcast()
	}
	return len(b)
}

// read moves data into b and returns how much. Behind a cut, the writer does
// not hear that there is room again.
func (s *stream) read(b []byte) int {
	n, _ := s.buf.Read(b) // an empty buffer is no error here: n is 0
	if !s.link.cut {
		s.used -= n
		s.changed.Broadcast()
	}
	return n
}

// drop forgets what is not yet read.
func (s *stream) drop() {
	s.buf = bytes.Buffer{}
}

// writingDone ends the turn of one Write and lets the next one begin.
func (s *stream) writingDone() {
	s.writing = false
	s.changed.Broadcast()
}
