package longwiretest

import (
	"net"
	"syscall"
)

// Close closes this end. The peer reads what was written and then [io.EOF],
// and its Writes fail with [syscall.EPIPE]. Calls that wait on this end, and
// later ones, Close among them, fail with [net.ErrClosed].
func (c *Conn) Close() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return c.opError("close", net.ErrClosed)
	}
	c.closed = true
	c.readDeadline.stop()
	c.writeDeadline.stop()
	c.in.drop()
	if !c.link.cut {
		c.out.ended = true
		c.in.abandoned = true
	}
	c.wake()
	return nil
}

// CloseWrite closes the direction from this end to the peer, which reads what
// was written and then [io.EOF]. The other direction goes on. Writes on this
// end fail with [syscall.EPIPE].
func (c *Conn) CloseWrite() error {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	switch {
	case c.closed:
		return c.opError("close", net.ErrClosed)
	case c.reset:
		return c.errno("shutdown", syscall.ECONNRESET)
	}
	c.writeClosed = true
	if !c.link.cut {
		c.out.ended = true
	}
	c.wake()
	return nil
}

// Reset breaks the connection off, as a TCP reset does. On both ends, Reads
// and Writes fail at once with [syscall.ECONNRESET], and data that is not yet
// read is lost. Each end still has to be closed. On an end that is closed
// already, Reset does nothing.
func (c *Conn) Reset() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	if c.closed {
		return
	}
	c.abort()
	if !c.link.cut {
		c.peer.abort()
	}
}

// Cut cuts the cable without telling anybody. Nothing crosses from then on:
// no data, no Close, no Reset. Data that had arrived can still be read; after
// it, Read waits for its deadline. Write succeeds until the buffer is full,
// and then waits for its deadline too.
func (c *Conn) Cut() {
	c.link.mu.Lock()
	defer c.link.mu.Unlock()
	c.link.cut = true
}

// abort makes this end fail from now on.
func (c *Conn) abort() {
	c.reset = true
	c.wake()
}

// wake lets everyone who waits on either end look again.
func (c *Conn) wake() {
	c.in.changed.Broadcast()
	c.out.changed.Broadcast()
}
