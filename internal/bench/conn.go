package bench

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/longwire/longwire/frame"
)

// A conn is one connection under load. One goroutine receives; it sends too, as
// long as that cannot block for good, and otherwise another goroutine does.
//
// Errors of Write are not looked at: the receiver sees the end of the connection
// too, behind the answers that came before it.
type conn struct {
	run   *run
	index int
	nc    net.Conn
	shard *shard

	sent     atomic.Int64 // frames that have been, or are being, written
	answered atomic.Int64 // right answers, which is the number of the next one

	// Owned by the sender:
	out []byte

	// Owned by the receiver:
	in     []byte
	filled int // bytes at the start of in that are no whole frame yet
	dec    frame.Decoder

	// Without a rate: when the frames in flight were sent, by number modulo Depth.
	sentAt []atomic.Int64

	// With a rate:
	sentAll atomic.Bool   // the schedule is over
	gone    chan struct{} // closed when nothing more is received
}

// burst is how many bytes are written and read at once. So many answers fit into
// the buffers between here and the server, so who writes as much may write and
// only then read.
const burst = 64 << 10

func newConn(r *run, index int, nc net.Conn) *conn {
	c := &conn{
		run:   r,
		index: index,
		nc:    nc,
		shard: &r.shards[index%len(r.shards)],
		dec:   frame.NewDecoder(r.config),
	}
	inFlight := r.Depth
	if r.Rate > 0 {
		inFlight = 16 // a guess; the buffer may be any size
		c.gone = make(chan struct{})
	} else {
		c.sentAt = make([]atomic.Int64, r.Depth)
	}
	c.in = make([]byte, max(len(r.sample), min(inFlight, burst/len(r.sample))*len(r.sample)))
	return c
}

// keepInFlight sends Depth frames, and for each answer the next one, until it is
// time, and receives what is in flight then.
func (c *conn) keepInFlight(wg *sync.WaitGroup) {
	defer c.nc.Close()
	send := func(n int) { c.write(n) }
	if c.run.Depth > burst/len(c.run.sample) {
		next := make(chan int, c.run.Depth)
		defer close(next)
		wg.Go(func() {
			for n := range next {
				c.write(n)
			}
		})
		send = func(n int) { next <- n }
	}
	inFlight := c.run.Depth
	send(inFlight)
	for inFlight > 0 {
		n, now, err := c.receive()
		inFlight -= n
		if err != nil {
			c.run.fail(c.index, err, int64(inFlight))
			return
		}
		if n > 0 && now < c.run.until.Load() {
			inFlight += n
			send(n)
		}
	}
}

// write sends the next n frames, as many as fit in a burst with one Write.
func (c *conn) write(n int) (err error) {
	for n > 0 && err == nil {
		first := c.sent.Load()
		m := min(n, max(1, burst/len(c.run.sample)))
		c.out = c.out[:0]
		for i := range m {
			c.out = append(c.out, c.run.sample...)
			if c.run.Size >= numberSize {
				at := i*len(c.run.sample) + dataAt
				binary.BigEndian.PutUint64(c.out[at:], uint64(first)+uint64(i))
			}
		}
		if c.sentAt != nil {
			now := c.run.now()
			for i := range m {
				c.sentAt[(first+int64(i))%int64(len(c.sentAt))].Store(now)
			}
		}
		c.sent.Add(int64(m))
		_, err = c.nc.Write(c.out)
		n -= m
	}
	return err
}

// receive reads once, and returns how many right answers that brought, and when.
// An error may come with answers before it.
func (c *conn) receive() (n int, now int64, err error) {
	if c.filled == len(c.in) { // a frame that is longer than what was sent
		c.in = append(c.in, make([]byte, len(c.in))...)
	}
	m, err := c.nc.Read(c.in[c.filled:])
	now = c.run.now()
	c.filled += m
	n, wrong := c.check()
	c.record(n, now)
	if wrong != nil {
		return n, now, wrong
	}
	return n, now, err
}

// check takes the whole frames out of what has been read, and returns how many
// right answers they are, up to the first wrong one.
func (c *conn) check() (n int, err error) {
	rest := c.in[:c.filled]
	for {
		f, size, err := c.dec.Next(rest)
		rest = rest[size:]
		switch {
		case errors.Is(err, frame.ErrShort):
			c.filled = copy(c.in, rest)
			return n, nil
		case err != nil:
			return n, failuref(BadFrame, "what came back is no frame: %v", err)
		}
		if err := c.checkFrame(f, c.answered.Load()+int64(n)); err != nil {
			return n, err
		}
		n++
	}
}

// checkFrame compares a frame with the one of a number.
func (c *conn) checkFrame(f frame.Frame, number int64) error {
	want := c.run.sample[dataAt : dataAt+c.run.Size]
	switch {
	case f.Type != c.run.Type:
		return failuref(WrongType, "a frame of type %v came back, and %v was sent", f.Type, c.run.Type)
	case len(f.Data) != len(want):
		return failuref(WrongLength, "%d bytes of data came back, and %d were sent", len(f.Data), len(want))
	case !numbered(want):
		if !bytes.Equal(f.Data, want) {
			return failuref(WrongData, "other data came back than was sent")
		}
		if number >= c.sent.Load() {
			return failuref(Unasked, "%d frames were sent, and one more came back", number)
		}
		return nil
	}
	got, sent := binary.BigEndian.Uint64(f.Data), uint64(c.sent.Load())
	switch {
	case got >= sent || !bytes.Equal(f.Data[numberSize:], want[numberSize:]):
		return failuref(WrongData, "other data came back than was sent")
	case got > uint64(number):
		return failuref(Skipped, "frame %d came back when it was the turn of frame %d", got+1, number+1)
	case got < uint64(number):
		return failuref(Repeated, "frame %d came back again", got+1)
	}
	return nil
}

// record counts the next n answers.
func (c *conn) record(n int, now int64) {
	if n == 0 {
		return
	}
	first := c.answered.Load()
	warmup := int64(c.run.Warmup)
	c.shard.mu.Lock()
	c.shard.answers += int64(n)
	if now >= warmup && now < c.run.until.Load() {
		c.shard.measured += int64(n)
	}
	for number := first; number < first+int64(n); number++ {
		if at := c.begun(number); at >= warmup {
			c.shard.latency.Record(time.Duration(now - at))
		}
	}
	c.shard.mu.Unlock()
	c.answered.Add(int64(n))
}

// begun returns from when on the latency of a frame counts.
func (c *conn) begun(number int64) int64 {
	if c.sentAt == nil {
		return c.due(number)
	}
	return c.sentAt[number%int64(len(c.sentAt))].Load()
}
