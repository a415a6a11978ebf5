// Package longwiretest is a network in memory, for tests of programs that
// hold long-lived TCP connections.
//
// [Pipe] gives the two ends of one connection. A [Network] gives listeners
// and a dialer, so that a whole server and its clients run in one test
// without a port:
//
//	var network longwiretest.Network
//	ln, err := network.Listen("gateway:10302")
//	go srv.Serve(ln)
//	conn, err := network.Dial(ctx, "gateway:10302")
//
// The connections behave as TCP connections do where a program can notice:
// they are buffered, so both ends may write first and a Write blocks only
// when the buffer is full; one direction can be closed alone; and errors
// have the types and values that package net gives.
//
// # Faults
//
// The ends of a connection are of type [*Conn], which can do what a real
// network does to a program: [Conn.Reset] breaks the connection off, and
// [Conn.Cut] makes it fall silent without telling anybody. A small
// [Network.BufferSize] makes a slow reader felt at once, and
// [Network.MaxRead] hands data over in pieces.
//
// # Fake time
//
// Everything here works inside a testing/synctest bubble. A goroutine that is
// blocked in Read, Write, Accept or Dial is durably blocked, and deadlines
// follow the time of the bubble. Start inside the bubble what is used inside
// it. No goroutine stands behind a connection or a listener, and a closed
// connection leaves no timer behind.
//
// # Limitations
//
// There is no latency and no reordering. A Write to a peer that is closed
// fails at once with [syscall.EPIPE], where TCP accepts the first one and
// fails later. [Conn.Close] is always orderly, also when data is unread,
// where many systems reset the connection.
package longwiretest
