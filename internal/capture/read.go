package capture

import (
	"cmp"
	"container/list"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"time"
)

// Read reads a capture to its end and gives the streams of its connections piece by piece, in
// the order of the capture. It ends with the error that each returns. A capture that is damaged
// is an error too, and one that ends in the middle of a packet is not: all that was before that is
// given either way. What is kept meanwhile has a bound, and what it does not allow to wait for is
// given as missing.
func Read(from io.Reader, o Options, each func(Piece) error) (Report, error) {
	r := &reader{options: o, conns: make(map[ends]*conn), byUse: list.New()}
	var stop error // what each has returned, after which it is not called
	r.give = func(p Piece) error {
		if stop == nil {
			stop = each(p)
		}
		return stop
	}
	f, err := openFile(from)
	if err != nil {
		return r.report, err
	}
	err = r.packets(f)
	r.finish()
	return r.report, cmp.Or(stop, err)
}

// ends are those of a connection, in a fixed order.
type ends struct{ a, b netip.AddrPort }

// conn is what is known of a connection.
type conn struct {
	Conn
	ends   ends
	board  stream // what it sends
	server stream
	used   *list.Element
}

// reader is a capture that is read.
type reader struct {
	options Options
	give    func(Piece) error
	report  Report
	conns   map[ends]*conn
	byUse   *list.List // of conns, the one whose latest packet is oldest first
	held    int        // bytes that are kept
	last    time.Time  // of the latest packet
}

func (r *reader) packets(f *file) error {
	for {
		data, ci, err := f.packet()
		switch {
		case errors.Is(err, io.EOF) && ci.CaptureLength == 0:
			return nil
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			r.report.Unfinished = true
			return nil
		case err != nil:
			return fmt.Errorf("the capture is damaged behind packet %d: %w", r.report.Packets, err)
		}
		r.report.Packets++
		r.last = ci.Timestamp
		s, kind := readPacket(f.link(ci), data, ci)
		switch kind {
		case isTCP:
			if err := r.segment(s); err != nil {
				return err
			}
		case isFragment:
			r.report.Fragments++
		case isUnreadable:
			r.report.Unreadable++
		}
	}
}

// segment adds a TCP packet to its connection.
func (r *reader) segment(s segment) error {
	if r.options.Port != 0 && s.from.Port() != r.options.Port && s.to.Port() != r.options.Port {
		return nil
	}
	r.report.Segments++
	c, err := r.conn(&s)
	if c == nil || err != nil {
		return err
	}
	toServer := s.to == c.Server
	if s.from == s.to { // a connection with itself, which no direction fits
		toServer = true
	}
	mine, other := &c.server, &c.board
	if toServer {
		mine, other = &c.board, &c.server
	}
	p := Piece{Conn: &c.Conn, ToServer: toServer, At: s.at}
	if s.rst {
		s.data, s.cut = nil, 0 // some explain themselves there
	}
	if !s.syn && mine.far(s.seq) {
		return nil // has nothing to do with this connection
	}
	if s.has && !s.rst {
		other.acknowledge(s.ack)
	}
	if s.syn {
		mine.begun, mine.first = true, s.seq
		s.seq++
	}
	if err := mine.take(s, r, p); err != nil {
		return err
	}
	back := p
	back.ToServer = !toServer
	if err := errors.Join(mine.skip(s.at, r, p), other.skip(s.at, r, back)); err != nil {
		return err
	}
	if s.rst {
		return errors.Join(mine.finish(byRST, r, p), other.finish(byRST, r, back))
	}
	return nil
}

// conn returns the connection of a segment, nil when that is none's.
func (r *reader) conn(s *segment) (*conn, error) {
	key := ends{s.from, s.to}
	if s.to.Compare(s.from) < 0 {
		key = ends{s.to, s.from}
	}
	c := r.conns[key]
	if c != nil && c.another(s) {
		if err := r.forget(c, byNext); err != nil {
			return nil, err
		}
		c = nil
	}
	if c != nil {
		r.byUse.MoveToBack(c.used)
		return c, nil
	}
	if s.rst && s.length() == 0 { // refuses a connection, or ends one that nothing is known of
		return nil, nil
	}
	if len(r.conns) >= mostConns {
		oldest := r.byUse.Front().Value.(*conn)
		if err := r.forget(oldest, byLimit); err != nil {
			return nil, err
		}
	}
	r.report.Connections++
	c = &conn{ends: key, Conn: Conn{Number: r.report.Connections, Middle: !s.syn}}
	c.Board, c.Server = s.from, s.to
	if r.fromServer(s) {
		c.Board, c.Server = s.to, s.from
	}
	c.used = r.byUse.PushBack(c)
	r.conns[key] = c
	return c, nil
}

// another reports whether a segment with the ends of c begins another connection, or belongs to
// one whose beginning is not in the capture.
func (c *conn) another(s *segment) bool {
	mine := &c.server
	if s.to == c.Server {
		mine = &c.board
	}
	switch {
	case s.rst:
		return false
	case s.syn && mine.begun:
		return s.seq != mine.first
	case s.syn && mine.known:
		// What the capture had before may be later packets of the same connection.
		between := ahead(mine.next, s.seq+1)
		return mine.over || between < 0 || between > mostWaiting
	}
	return s.length() > 0 && mine.far(s.seq)
}

// fromServer reports whether the server has sent a segment, the first of its connection.
func (r *reader) fromServer(s *segment) bool {
	switch from, to := s.from.Port(), s.to.Port(); {
	case r.options.Port != 0 && from != to:
		return from == r.options.Port
	case s.syn:
		return s.has
	default:
		return from < to
	}
}

// forget ends a connection.
func (r *reader) forget(c *conn, why string) error {
	delete(r.conns, c.ends)
	r.byUse.Remove(c.used)
	toServer := Piece{Conn: &c.Conn, ToServer: true, At: r.last}
	toBoard := Piece{Conn: &c.Conn, At: r.last}
	return errors.Join(c.board.finish(why, r, toServer), c.server.finish(why, r, toBoard))
}

// finish ends all connections, those that were silent for the longest time first.
func (r *reader) finish() {
	for r.byUse.Len() > 0 {
		r.forget(r.byUse.Front().Value.(*conn), AtEnd)
	}
}
