package capture

import (
	"bufio"
	"compress/gzip"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// BeginSize is how many bytes Is needs.
const BeginSize = 4

// pcapng is the type of the block that a pcapng file begins with, and gzipped are the first
// bytes of what gzip has made.
const (
	pcapng  = "\x0A\x0D\x0D\x0A"
	gzipped = "\x1F\x8B"
)

// Is reports whether a file that begins with these bytes is a capture, plain or gzipped.
func Is(begin []byte) bool {
	if strings.HasPrefix(string(begin), gzipped) {
		return true
	}
	if len(begin) < BeginSize {
		return false
	}
	if string(begin[:4]) == pcapng {
		return true
	}
	for _, magic := range []uint32{0xA1B2C3D4, 0xA1B23C4D} { // micro- and nanoseconds
		if binary.LittleEndian.Uint32(begin) == magic || binary.BigEndian.Uint32(begin) == magic {
			return true
		}
	}
	return false
}

// A file gives the packets of a capture.
type file struct {
	allowance *allowance
	next      func() ([]byte, gopacket.CaptureInfo, error)
	link      func(gopacket.CaptureInfo) layers.LinkType
	names     func() int // what the library remembers of the file
}

func openFile(r io.Reader) (*file, error) {
	b := bufio.NewReaderSize(r, 64<<10)
	begin, _ := b.Peek(2)
	if string(begin) == gzipped {
		unpacked, err := gzip.NewReader(b)
		if err != nil {
			return nil, fmt.Errorf("begins as gzip does and is not: %w", err)
		}
		b = bufio.NewReaderSize(unpacked, 64<<10)
	}
	begin, err := b.Peek(BeginSize)
	if err != nil || !Is(begin) || string(begin[:2]) == gzipped {
		return nil, errors.New("is no pcap and no pcapng file")
	}
	f := &file{allowance: &allowance{r: b, left: mostBeside}}
	if string(begin) == pcapng {
		ng, err := pcapgo.NewNgReader(f.allowance, pcapgo.NgReaderOptions{WantMixedLinkType: true, SkipUnknownVersion: true})
		if err != nil {
			return nil, fmt.Errorf("the header of the capture: %w", err)
		}
		f.next = ng.ZeroCopyReadPacketData
		f.link = func(ci gopacket.CaptureInfo) layers.LinkType {
			link, _ := ci.AncillaryData[0].(layers.LinkType)
			return link
		}
		f.names = func() int { return ng.NInterfaces() + ng.NNames() }
		return f, nil
	}
	old, err := pcapgo.NewReader(f.allowance)
	if err != nil {
		return nil, fmt.Errorf("the header of the capture: %w", err)
	}
	old.SetSnaplen(min(old.Snaplen(), mostBeside/2))
	f.next = old.ZeroCopyReadPacketData
	f.link = func(gopacket.CaptureInfo) layers.LinkType { return old.LinkType() }
	f.names = func() int { return 0 }
	return f, nil
}

// mostNames is how many interfaces and names of a pcapng file are remembered at most.
const mostNames = 50_000

// packet returns the next packet, which is valid until the next call. The error is io.EOF at
// the end and io.ErrUnexpectedEOF when the capture ends inside a packet.
func (f *file) packet() ([]byte, gopacket.CaptureInfo, error) {
	data, ci, err := f.next()
	switch {
	case f.allowance.spent:
		return nil, ci, fmt.Errorf("more than %d MiB that are no packets", mostBeside>>20)
	case err != nil:
		return nil, ci, err
	case f.names() > mostNames:
		return nil, ci, fmt.Errorf("more than %d interfaces and names", mostNames)
	}
	f.allowance.left = min(f.allowance.left+int64(ci.CaptureLength)+besidePacket, mostBeside)
	return data, ci, nil
}

const (
	mostBeside   = 16 << 20 // how much of a capture may be something else than packets, ahead of them
	besidePacket = 256      // how much may be beside each packet for as long as there are packets
)

// An allowance ends a file that makes the library keep too much: a block as long as it likes,
// or one after the other that is no packet.
type allowance struct {
	r     io.Reader
	left  int64
	spent bool
}

func (a *allowance) Read(p []byte) (int, error) {
	if a.left <= 0 {
		a.spent = true
		return 0, io.ErrUnexpectedEOF
	}
	n, err := a.r.Read(p[:min(int64(len(p)), a.left)])
	a.left -= int64(n)
	return n, err
}
