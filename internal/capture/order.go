package capture

import (
	"bytes"
	"slices"
	"time"
)

// AtEnd is the Why of an End that is only that of the capture.
const AtEnd = "the capture ends"

// Bounds on what is kept of a capture, whatever is in it.
const (
	mostConns   = 20_000           // connections that are remembered
	mostHeld    = 64 << 20         // bytes that wait for others before them, in all
	mostWaiting = 4 << 20          // the same, of one stream
	mostQueued  = 4096             // segments of one stream that wait
	mostRecent  = 16 << 10         // bytes of one stream that are compared with what is sent again
	farAway     = 64 << 20         // a segment so far from what is expected belongs to another connection
	patience    = 16               // packets after which what the other side has acknowledged will not come
	longest     = 30 * time.Second // how long what nobody has acknowledged is waited for
)

// Why bytes are missing, and what ends a stream.
const (
	notCaptured = "not in the capture"
	cutOff      = "cut off by the snapshot length"
	byFIN       = "FIN"
	byRST       = "RST"
	byNext      = "another connection of the same ends"
	byLimit     = "too many connections at a time"
)

// A stream is one direction of a connection. Its bytes are put in order by their sequence
// numbers, which wrap: only differences between them mean something.
type stream struct {
	known bool   // next is
	next  uint32 // sequence number of the next byte to deliver
	queue []segment
	held  int    // bytes in queue
	first uint32 // of the SYN, if there was one
	begun bool   // there was

	acked    uint32 // what the other side says it expects
	hasAcked bool

	recent []byte // the last bytes delivered, up to next
	over   bool   // its end has been delivered

	holeAt      time.Time // when the first segment was queued
	holePackets int       // packets of the connection since
}

// ahead is how far the sequence number a is behind b in the stream, negative if before.
func ahead(a, b uint32) int { return int(int32(a - b)) }

// far reports whether a sequence number has nothing to do with what the stream expects.
func (s *stream) far(seq uint32) bool {
	d := ahead(seq, s.next)
	return s.known && (d > farAway || d < -farAway)
}

func (s *segment) length() int { return len(s.data) + s.cut }

// take puts a segment in order. What can be delivered then is.
func (s *stream) take(seg segment, r *reader, p Piece) error {
	if s.over {
		if ahead(seg.seq, s.next) >= 0 {
			r.report.Late += int64(seg.length())
		}
		return nil
	}
	if !s.known {
		s.known, s.next = true, seg.seq
	}
	if ahead(seg.seq, s.next) > 0 {
		if seg.length() > 0 || seg.fin {
			s.enqueue(seg, r)
		}
		return nil
	}
	if err := s.deliver(seg, r, p); err != nil {
		return err
	}
	return s.drain(r, p)
}

// enqueue keeps a segment until those before it have come.
func (s *stream) enqueue(seg segment, r *reader) {
	if len(s.queue) == 0 {
		s.holeAt, s.holePackets = seg.at, 0
	}
	at, _ := slices.BinarySearchFunc(s.queue, seg, func(a, b segment) int { return ahead(a.seq, b.seq) })
	for ; at < len(s.queue) && s.queue[at].seq == seg.seq; at++ {
		if old := s.queue[at]; seg.length() <= old.length() && bytes.HasPrefix(old.data, seg.data) && (old.fin || !seg.fin) {
			return // there already
		}
	}
	seg.data = bytes.Clone(seg.data)
	s.queue = slices.Insert(s.queue, at, seg)
	s.held += len(seg.data)
	r.held += len(seg.data)
}

// drain delivers what is queued and has nothing missing before it.
func (s *stream) drain(r *reader, p Piece) error {
	for len(s.queue) > 0 && !s.over && ahead(s.queue[0].seq, s.next) <= 0 {
		seg := s.queue[0]
		s.queue = slices.Delete(s.queue, 0, 1)
		s.held -= len(seg.data)
		r.held -= len(seg.data)
		s.holeAt, s.holePackets = seg.at, 0 // if there is another one behind it
		if err := s.deliver(seg, r, p); err != nil {
			return err
		}
	}
	return nil
}

// deliver gives out what is new of a segment that begins at or before next.
func (s *stream) deliver(seg segment, r *reader, p Piece) error {
	p.At = seg.at
	old := -ahead(seg.seq, s.next)
	if repeated := min(old, len(seg.data)); repeated > 0 {
		if n := s.differs(seg.data[:repeated], old); n > 0 {
			if err := r.give(Piece{Conn: p.Conn, ToServer: p.ToServer, At: p.At, Differs: n}); err != nil {
				return err
			}
		}
	}
	if fresh := seg.data[min(old, len(seg.data)):]; len(fresh) > 0 {
		s.next += uint32(len(fresh))
		s.remember(fresh, r)
		p.Data = fresh
		if err := r.give(p); err != nil {
			return err
		}
		p.Data = nil
	}
	end := seg.seq + uint32(seg.length())
	if err := s.lack(end, cutOff, r, p); err != nil {
		return err
	}
	if seg.fin && s.next == end {
		s.next++
		return s.end(byFIN, r, p)
	}
	return nil
}

// differs counts the bytes of a repetition that are not those delivered. It begins so many
// bytes before next. A single byte just before next is how some systems ask whether the other side is
// there, whatever its value.
func (s *stream) differs(again []byte, before int) (n int) {
	if len(again) == 1 && before == 1 {
		return 0
	}
	if unknown := before - len(s.recent); unknown > 0 {
		again, before = again[min(unknown, len(again)):], len(s.recent)
	}
	was := s.recent[len(s.recent)-before:]
	for i := range again {
		if again[i] != was[i] {
			n++
		}
	}
	return n
}

// remember keeps the last bytes of the stream, as far as there is room.
func (s *stream) remember(b []byte, r *reader) {
	b = b[max(0, len(b)-mostRecent):]
	r.held -= len(s.recent)
	if r.held+mostRecent > mostHeld/2 {
		s.recent = nil
		return
	}
	if over := len(s.recent) + len(b) - mostRecent; over > 0 {
		s.recent = slices.Delete(s.recent, 0, over)
	}
	s.recent = append(s.recent, b...)
	r.held += len(s.recent)
}

// lack says that the bytes up to a sequence number will not come, and goes on behind them.
func (s *stream) lack(end uint32, why string, r *reader, p Piece) error {
	n := ahead(end, s.next)
	if n <= 0 {
		return nil
	}
	s.next = end
	r.held -= len(s.recent)
	s.recent = nil
	return r.give(Piece{Conn: p.Conn, ToServer: p.ToServer, At: p.At, Missing: int64(n), Why: why})
}

// acknowledge takes note of what the other side has.
func (s *stream) acknowledge(ack uint32) {
	if !s.hasAcked || ahead(ack, s.acked) > 0 {
		s.acked, s.hasAcked = ack, true
	}
	if !s.known { // nothing of it has been seen, so it goes on from there
		s.known, s.next = true, ack
	}
}

// skip gives up what is missing where it will not come any more: when the other side has
// acknowledged it, when it is too long ago, and when too much waits for it.
func (s *stream) skip(at time.Time, r *reader, p Piece) error {
	s.holePackets++
	for len(s.queue) > 0 && !s.over {
		lost := s.hasAcked && ahead(s.acked, s.queue[0].seq) >= 0 && s.holePackets >= patience
		if !lost && s.held <= mostWaiting && len(s.queue) <= mostQueued && r.held <= mostHeld && at.Sub(s.holeAt) < longest {
			return nil
		}
		if err := s.pass(r, p); err != nil {
			return err
		}
	}
	return nil
}

// pass gives up the first bytes that are missing.
func (s *stream) pass(r *reader, p Piece) error {
	p.At = s.queue[0].at
	if err := s.lack(s.queue[0].seq, notCaptured, r, p); err != nil {
		return err
	}
	return s.drain(r, p)
}

// finish delivers all that there is, and the end.
func (s *stream) finish(why string, r *reader, p Piece) error {
	for len(s.queue) > 0 && !s.over {
		if err := s.pass(r, p); err != nil {
			return err
		}
	}
	if s.over {
		return nil
	}
	// One byte more than there were may be the FIN.
	if s.known && s.hasAcked && ahead(s.acked, s.next) > 1 && ahead(s.acked, s.next) < farAway {
		if err := s.lack(s.acked, notCaptured, r, p); err != nil {
			return err
		}
	}
	return s.end(why, r, p)
}

func (s *stream) end(why string, r *reader, p Piece) error {
	s.over = true
	r.held -= s.held + len(s.recent)
	s.queue, s.held, s.recent = nil, 0, nil
	return r.give(Piece{Conn: p.Conn, ToServer: p.ToServer, At: p.At, End: true, Why: why})
}
