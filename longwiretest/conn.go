package longwiretest

import (
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Conn is one end of a connection in memory. It is a [net.Conn], so its
// methods may be called from several goroutines at once.
type Conn struct {
	link          *link
	peer          *Conn
	in, out       *stream
	local, remote net.Addr
	maxRead       int

	// Guarded by link.mu.
	closed        bool // by Close
	writeClosed   bool // by CloseWrite
	reset         bool // by Reset on either end
	readDeadline  deadline
	writeDeadline deadline
}

// link is what the two ends of a connection share.
type link struct {
	mu  sync.Mutex // never held while waiting
	cut bool       // nothing crosses any more
}

// pipes hands out the addresses for Pipe.
var pipes Network

// Pipe returns the two ends of a new connection. What is written to one is
// read from the other, with a buffer of 64 KiB each way.
func Pipe() (a, b *Conn) {
	return pipes.Pipe()
}

// newPair returns the two ends of a connection between two addresses.
func newPair(a, b net.Addr, bufferSize, maxRead int) (*Conn, *Conn) {
	l := new(link)
	ab, ba := newStream(l, bufferSize), newStream(l, bufferSize)
	ca := &Conn{link: l, in: ba, out: ab, local: a, remote: b, maxRead: maxRead}
	cb := &Conn{link: l, in: ab, out: ba, local: b, remote: a, maxRead: maxRead}
	ca.peer, cb.peer = cb, ca
	return ca, cb
}

// Read reads what has arrived, waiting for the first byte if need be. It
// returns [io.EOF] once the peer has closed and everything is read.
func (c *Conn) Read(b []byte) (int, error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for {
		if err := c.broken("read", &c.readDeadline); err != nil {
			return 0, err
		}
		switch {
		case len(b) == 0:
			return 0, nil
		case c.in.buf.Len() > 0:
			return c.in.read(b[:min(len(b), c.maxRead)]), nil
		case c.in.ended:
			return 0, io.EOF
		}
		c.in.changed.Wait()
	}
}

// Write puts b into the buffer, waiting while it is full. The bytes of
// concurrent Writes are not mixed. When Write fails, it returns how many
// bytes of b it had put into the buffer.
func (c *Conn) Write(b []byte) (int, error) {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	for c.out.writing {
		if err := c.unwritable(); err != nil {
			return 0, err
		}
		c.out.changed.Wait()
	}
	c.out.writing = true
	defer c.out.writingDone()

	written := 0
	for {
		if err := c.unwritable(); err != nil {
			return written, err
		}
		written += c.out.write(b[written:])
		if written == len(b) {
			return written, nil
		}
		c.out.changed.Wait()
	}
}

// unwritable returns why nothing can be written now, or nil.
func (c *Conn) unwritable() error {
	if err := c.broken("write", &c.writeDeadline); err != nil {
		return err
	}
	if c.writeClosed || c.out.abandoned {
		return c.errno("write", syscall.EPIPE)
	}
	return nil
}

// broken returns why neither data nor waiting is possible any more, or nil.
func (c *Conn) broken(op string, d *deadline) error {
	switch {
	case c.closed:
		return c.opError(op, net.ErrClosed)
	case c.reset:
		return c.errno(op, syscall.ECONNRESET)
	case d.passed:
		return c.opError(op, os.ErrDeadlineExceeded)
	}
	return nil
}

func (c *Conn) errno(op string, errno syscall.Errno) error {
	return c.opError(op, os.NewSyscallError(op, errno))
}

func (c *Conn) opError(op string, err error) error {
	return &net.OpError{Op: op, Net: c.local.Network(), Source: c.local, Addr: c.remote, Err: err}
}

// LocalAddr returns the address of this end.
func (c *Conn) LocalAddr() net.Addr { return c.local }

// RemoteAddr returns the address of the other end.
func (c *Conn) RemoteAddr() net.Addr { return c.remote }

// SetDeadline sets the time after which Read and Write fail with an error
// that is [os.ErrDeadlineExceeded], also those that are waiting now. The zero
// time means never.
func (c *Conn) SetDeadline(t time.Time) error {
	return c.setDeadlines(t, true, true)
}

// SetReadDeadline is [Conn.SetDeadline] for Read alone.
func (c *Conn) SetReadDeadline(t time.Time) error {
	return c.setDeadlines(t, true, false)
}

// SetWriteDeadline is [Conn.SetDeadline] for Write alone.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	return c.setDeadlines(t, false, true)
}

func (c *Conn) setDeadlines(t time.Time, read, write bool) error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.opError("set", net.ErrClosed)
	}
	if read {
		c.readDeadline.set(t, c.in.changed)
	}
	if write {
		c.writeDeadline.set(t, c.out.changed)
	}
	return nil
}
