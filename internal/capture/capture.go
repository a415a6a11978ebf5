// Package capture reads and writes captures of packets: out of a pcap or pcapng file it makes
// the two streams of each TCP connection, in order, and into one it writes streams as packets.
// It is the one importer of gopacket, which knows the files and the headers; the order of TCP
// is kept here, so that what is missing is told to the byte and memory has a bound.
package capture

import (
	"net/netip"
	"time"
)

// A Conn is one TCP connection of a capture.
type Conn struct {
	// Number is 1 for the first connection of the capture, and grows.
	Number int
	// Board and Server are the two ends.
	Board, Server netip.AddrPort
	// Middle says that the capture lacks the beginning of the connection.
	Middle bool
}

// A Piece is what comes next in one direction of a connection: bytes, the lack of bytes, or
// the end. One of Data, Missing, Differs and End is set.
type Piece struct {
	Conn     *Conn
	ToServer bool
	// At is when the packet was captured that brought this.
	At time.Time
	// Data is lent until the function that gets the Piece returns.
	Data []byte
	// Missing is how many bytes the capture lacks here, and Why for what reason.
	Missing int64
	Why     string
	// Differs is how many bytes were sent again with another value. The first one counts.
	Differs int
	// End says that the stream is over; Why tells what ended it.
	End bool
}

// Options say how a capture is read. The zero Options are valid.
type Options struct {
	// Port is the server's; connections without it are left out. Zero takes all of them, and
	// the server is the side that got the SYN, or has the lower port where the capture lacks that.
	Port uint16
}

// A Report counts what a capture had.
type Report struct {
	Packets     int64 // of all kinds
	Segments    int64 // TCP packets of connections that were not left out
	Connections int
	Unreadable  int64 // packets that claim to be IP or TCP, and are not, or are cut inside the headers
	Fragments   int64 // fragments of IP packets with TCP, which are not put together
	Late        int64 // bytes behind the end of a connection, which were left out
	Unfinished  bool  // the capture ends in the middle of a packet
}
