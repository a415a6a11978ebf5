package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
)

// decodedConn is a connection of a capture.
type decodedConn struct {
	place   show.Place
	streams [2]*show.Stream // to the board, to the server
	ended   int
}

// capture reads the frames of the connections in a capture.
func (r *decoding) capture(in io.Reader) error {
	conns := make(map[*capture.Conn]*decodedConn)
	report, err := capture.Read(in, capture.Options{Port: r.port}, func(p capture.Piece) error {
		c := conns[p.Conn]
		if c == nil {
			c = r.connection(p)
			conns[p.Conn] = c
		}
		r.piece(c, p)
		if c.ended == len(c.streams) {
			delete(conns, p.Conn)
		}
		return r.err
	})
	if r.err != nil {
		return r.err
	}
	if err != nil {
		return r.captureProblem(err, &report)
	}
	return r.sum(about(&report))
}

// captureProblem says why a capture could not be read to its end.
func (r *decoding) captureProblem(err error, report *capture.Report) error {
	if e, is := errors.AsType[*printError](err); is {
		return e
	}
	if report.Packets == 0 {
		return usagef("%s: %v", r.from, err)
	}
	return fmt.Errorf("%s: %w; before that, %s in %s", r.from, err, number(int(r.totals.Frames), "frame"), number(int(r.totals.Bytes), "byte"))
}

// connection tells of a connection that begins.
func (r *decoding) connection(p capture.Piece) *decodedConn {
	c := &decodedConn{place: show.Place{Conn: p.Conn.Number, At: p.At, ToServer: p.ToServer, Board: p.Conn.Board.String(), Server: p.Conn.Server.String()}}
	for i := range c.streams {
		c.streams[i] = show.NewStream(r.codec, r.maxFrame, p.Conn.Middle, &r.room, func(e show.Event) {
			at := c.place
			at.Offset = e.Offset
			r.print(at, e)
		})
	}
	text := fmt.Sprintf("connection %d: board %v, server %v", p.Conn.Number, p.Conn.Board, p.Conn.Server)
	if p.Conn.Middle {
		text += "; the capture lacks its beginning"
	}
	r.failed(r.printer.Note(c.place, text))
	return c
}

// piece gives a piece to its stream.
func (r *decoding) piece(c *decodedConn, p capture.Piece) {
	c.place.At, c.place.ToServer = p.At, p.ToServer
	s := c.streams[0]
	if p.ToServer {
		s = c.streams[1]
	}
	switch {
	case p.Missing > 0:
		s.Gap(p.Missing, p.Why)
	case p.Differs > 0:
		r.failed(r.printer.Note(c.place, number(p.Differs, "byte")+" came again with other values; the first ones count"))
	case p.End:
		s.End()
		r.totals.Add(s.Totals)
		if c.ended++; p.Why != capture.AtEnd && r.filter.PassesDirection(c.place) {
			r.failed(r.printer.Note(c.place, "ended: "+p.Why))
		}
	default:
		s.Feed(p.Data)
	}
}

// about says what a capture had beside frames.
func about(r *capture.Report) string {
	text := " of " + number(r.Connections, "connection")
	if r.Segments == 0 {
		text += fmt.Sprintf("; none of %s was one of TCP that was asked for", number(int(r.Packets), "packet"))
	}
	var more []string
	add := func(n int64, what, of string) {
		if n > 0 {
			more = append(more, number(int(n), what)+" "+of)
		}
	}
	add(r.Unreadable, "packet", "with unreadable headers left out")
	add(r.Fragments, "fragment", "of IP packets left out")
	add(r.Late, "byte", "behind the end of a connection left out")
	if r.Unfinished {
		more = append(more, "the capture ends inside a packet")
	}
	if len(more) > 0 {
		text += " (" + strings.Join(more, ", ") + ")"
	}
	return text
}
