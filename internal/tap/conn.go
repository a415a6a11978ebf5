package tap

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/longwire/longwire/internal/capture"
	"github.com/longwire/longwire/internal/show"
)

// conn is one connection: that of the board, and the one to the server.
type conn struct {
	t     *Tap
	place show.Place // but for the time and the direction
	sides [2]net.Conn
	done  chan struct{} // closed when the connection is over
	once  sync.Once

	// Changed with t.mu.
	flow   *capture.Flow // nil when nothing is recorded
	passed Cut           // frames and bytes in the directions with faults
	cut    bool          // nothing more is passed on
}

const (
	board  = 0
	server = 1
)

func newConn(t *Tap, b, s net.Conn) *conn {
	c := &conn{t: t, sides: [2]net.Conn{b, s}, done: make(chan struct{})}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.count++
	c.place = show.Place{Conn: t.count, Board: b.RemoteAddr().String(), Server: s.RemoteAddr().String()}
	now := time.Now()
	if t.record != nil {
		flow, err := t.record.Open(now, addrPort(b.RemoteAddr()), addrPort(s.RemoteAddr()))
		c.flow = flow
		t.recorded(err)
	}
	c.note(now, true, fmt.Sprintf("connection %d: board %v, server %v", t.count, c.place.Board, c.place.Server))
	return c
}

// run passes on what comes until both sides have ended.
func (c *conn) run() {
	if after := c.t.conf.Faults.Cut.After; after > 0 {
		timer := time.AfterFunc(after, func() { c.end(true, false, fmt.Sprintf("cut after %v", after)) })
		defer timer.Stop()
	}
	var pumps sync.WaitGroup
	for _, toServer := range []bool{true, false} {
		p := newPump(c, toServer)
		pumps.Go(p.read)
		pumps.Go(p.write)
	}
	pumps.Wait()
	c.end(false, false, "")
}

// end ends the connection: both sides, by a reset where it was broken off, in that direction. Why is
// printed.
func (c *conn) end(broken, toServer bool, why string) {
	c.once.Do(func() {
		close(c.done)
		for _, side := range c.sides {
			if broken {
				reset(side)
			} else {
				side.Close()
			}
		}
		c.t.mu.Lock()
		defer c.t.mu.Unlock()
		now := time.Now()
		if broken {
			c.recorded(func(f *capture.Flow) error { return f.Reset(now, toServer) })
		}
		if why != "" {
			c.note(now, toServer, why)
		}
	})
}

// note prints what becomes of the connection. t.mu is held.
func (c *conn) note(at time.Time, toServer bool, text string) {
	place := c.at(at, toServer)
	if c.t.conf.Filter.PassesDirection(place) {
		c.t.printed(c.t.conf.Printer.Note(place, text))
	}
}

// recorded writes to the recording, as long as there is one. t.mu is held.
func (c *conn) recorded(write func(*capture.Flow) error) {
	if c.flow != nil && c.t.record != nil {
		c.t.recorded(write(c.flow))
	}
}

func (c *conn) at(at time.Time, toServer bool) show.Place {
	place := c.place
	place.At, place.ToServer = at, toServer
	return place
}

// A pump passes on one direction.
type pump struct {
	*conn
	toServer bool
	from, to net.Conn
	faults   Faults // zero where there are none
	stream   *show.Stream
	frames   int64
	pass     []byte    // of what has been read: what is to be passed on
	now      time.Time // when it was read
	out      chan passing
}

// passing is bytes on their way to the writer.
type passing struct {
	due  time.Time
	data []byte
	cut  string // why the connection is broken off behind them; "" if it is not
}

// ahead is how many chunks are on their way where they are delayed: the reader stops when there are more, and the
// sender behind it.
const (
	ahead = 64
	chunk = 32 << 10
)

func newPump(c *conn, toServer bool) *pump {
	p := &pump{conn: c, toServer: toServer, from: c.sides[server], to: c.sides[board]}
	if toServer {
		p.from, p.to = p.to, p.from
	}
	if f := c.t.conf.Faults; f.hit(c.at(time.Time{}, toServer)) {
		p.faults = f
	}
	if p.faults.Delay+p.faults.Jitter > 0 {
		p.out = make(chan passing, ahead)
	} else {
		p.out = make(chan passing)
	}
	p.stream = show.NewStream(c.t.conf.Codec, c.t.conf.MaxFrame, false, &c.t.room, p.found)
	p.stream.Live = true
	return p
}

// read reads, shows and records, and leaves what is to be passed on to the writer.
func (p *pump) read() {
	defer close(p.out)
	buf := make([]byte, chunk)
	for {
		n, err := p.from.Read(buf)
		if n > 0 && !p.send(p.arrived(buf[:n])) {
			err = net.ErrClosed
		}
		if err != nil {
			p.send(p.ended(err))
			return
		}
	}
}

// arrived takes note of bytes, and returns what is to be passed on.
func (p *pump) arrived(b []byte) passing {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.now = time.Now()
	p.recorded(func(f *capture.Flow) error { return f.Data(p.now, p.toServer, b) })
	p.pass = nil
	p.stream.Feed(b)
	if !p.faults.byFrame() {
		p.pass = append(p.pass, b...)
	}
	return p.passOn()
}

// ended takes note of the end of the stream.
func (p *pump) ended(err error) passing {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	p.now, p.pass = time.Now(), nil
	p.stream.End()
	p.t.totals.Add(p.stream.Totals)
	last := p.passOn()
	select {
	case <-p.done: // the tap has ended it
		return last
	default:
	}
	if err == io.EOF {
		p.recorded(func(f *capture.Flow) error { return f.End(p.now, p.toServer) })
		p.note(p.now, p.toServer, "ended: FIN")
		return last
	}
	if last.cut == "" {
		last.cut = "ended: " + why(err)
	}
	return last
}

// passOn returns what is to be passed on. t.mu is held.
func (p *pump) passOn() passing {
	out := passing{data: p.pass}
	if p.cut {
		out.data = nil
	}
	if limit := p.faults.Cut.Bytes; limit > 0 && !p.cut {
		if left := limit - p.passed.Bytes; int64(len(out.data)) >= left {
			out.data = out.data[:left]
			p.cut, out.cut = true, fmt.Sprintf("cut after %d bytes", limit)
		}
		p.passed.Bytes += int64(len(out.data))
	}
	if limit := p.faults.Cut.Frames; limit > 0 && p.passed.Frames >= limit && !p.cut {
		p.cut, out.cut = true, fmt.Sprintf("cut after %d frames", limit)
	}
	if wait := p.faults.Delay; wait+p.faults.Jitter > 0 {
		if p.faults.Jitter > 0 {
			wait += rand.N(p.faults.Jitter)
		}
		out.due = p.now.Add(wait)
	}
	return out
}

// found prints what the stream has found, and does to frames what is asked for.
func (p *pump) found(e show.Event) {
	place := p.at(p.now, p.toServer)
	place.Offset = e.Offset
	note := ""
	if limit := p.faults.Cut.Frames; limit > 0 && p.passed.Frames >= limit && len(e.Raw) > 0 {
		note = "not passed on"
	}
	if e.IsFrame {
		p.frames++
		if note == "" && (slices.Contains(p.faults.Drop, e.Frame.Type) || p.faults.DropEvery > 0 && p.frames%int64(p.faults.DropEvery) == 0) {
			note = "dropped"
		}
	}
	if note == "" && p.faults.byFrame() {
		p.pass = append(p.pass, e.Raw...)
		if e.IsFrame {
			p.passed.Frames++
		}
	}
	switch {
	case e.IsFrame && p.t.conf.Filter.Passes(place, e.Frame):
		p.t.printed(p.t.conf.Printer.Frame(place, e.Frame, e.Raw, note))
	case e.Problem != nil && p.t.conf.Filter.PassesDirection(place):
		p.t.printed(p.t.conf.Printer.Problem(place, e.Problem))
	}
}

// send leaves bytes to the writer. It returns false when the connection is over.
func (p *pump) send(out passing) bool {
	if len(out.data) == 0 && out.cut == "" {
		return true
	}
	select {
	case p.out <- out:
		return true
	case <-p.done:
		return false
	}
}

// write passes on what the reader has left.
func (p *pump) write() {
	for out := range p.out {
		if !p.wait(out.due) {
			return
		}
		size := len(out.data)
		if p.faults.Split > 0 {
			size = p.faults.Split
		}
		for piece := range slices.Chunk(out.data, max(size, 1)) {
			if _, err := p.to.Write(piece); err != nil {
				p.end(true, !p.toServer, "ended: "+why(err))
				return
			}
		}
		if out.cut != "" {
			p.end(true, p.toServer, out.cut)
			return
		}
	}
	select {
	case <-p.done: // the end is another one
		return
	default:
	}
	if tcp, is := p.to.(*net.TCPConn); is {
		tcp.CloseWrite()
	}
}

// wait waits until bytes are due. It returns false when the connection is over.
func (p *pump) wait(due time.Time) bool {
	d := time.Until(due)
	if due.IsZero() || d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-p.done:
		return false
	}
}
