package capture_test

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket/layers"

	"github.com/longwire/longwire/internal/capture"
)

// What a Writer has written is read with the same addresses, times and bytes.
func TestWriter(t *testing.T) {
	for _, ends := range [][2]string{{"10.0.0.5:40112", "10.0.0.7:10302"}, {"[2001:db8::5]:40112", "[2001:db8::7]:10302"},
		{"10.0.0.5:40112", "[2001:db8::7]:10302"}, {"[fe80::1%eth0]:1", "[fe80::2%eth0]:2"}} {
		board, server := netip.MustParseAddrPort(ends[0]), netip.MustParseAddrPort(ends[1])
		var file bytes.Buffer
		w, err := capture.NewWriter(&file)
		if err != nil {
			t.Fatal(err)
		}
		long := strings.Repeat("0123456789", 5000)
		for range 2 { // the same ends meet again
			f, err := w.Open(noon, board, server)
			if err = errors.Join(err, f.Data(noon.Add(1), true, []byte("a")), f.Data(noon.Add(2), false, []byte(long)), f.Data(noon.Add(3), true, []byte("b")),
				f.End(noon.Add(4), true), f.Data(noon.Add(5), false, []byte("c")), f.End(noon.Add(6), false)); err != nil {
				t.Fatal(err)
			}
		}
		f, _ := w.Open(noon, board, server)
		f.Data(noon, true, []byte("x"))
		f.Reset(noon, false)
		if err := f.Data(noon, true, []byte("y")); err != nil {
			t.Fatal(err)
		}
		var lines []string
		back := ""
		at := noon
		if _, err := capture.Read(&file, capture.Options{}, func(p capture.Piece) error {
			if p.Conn.Board.Port() != board.Port() || p.Conn.Server.Port() != server.Port() || p.Conn.Middle ||
				p.Conn.Server.Addr().String() != server.Addr().WithZone("").String() || p.Conn.Board.Addr().String() != board.Addr().WithZone("").String() {
				t.Errorf("%v: connection %+v", ends, p.Conn)
			}
			if p.Conn.Number == 1 && p.At.Before(at) || p.At.Sub(at) > time.Second {
				t.Errorf("at %v, after %v", p.At, at)
			}
			at = p.At
			if !p.ToServer && p.Data != nil && p.Conn.Number == 1 {
				back += string(p.Data)
				return nil
			}
			if p.Conn.Number != 2 {
				lines = append(lines, pieceLine(p))
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if want := []string{"1> a", "1> b", "1> end FIN", "1< end FIN", "3> x", "3< end RST", "3> end RST"}; !slices.Equal(lines, want) || back != long+"c" {
			t.Errorf("%v: %q, and %d bytes back", ends, lines, len(back))
		}
	}
}

// A disk that is full ends the recording and nothing else, and what was written before can be read.
func TestWriterFails(t *testing.T) {
	full := &limited{left: 700}
	w, err := capture.NewWriter(full)
	if err != nil {
		t.Fatal(err)
	}
	f, err := w.Open(noon, boardAddr, serverAddr)
	if err != nil {
		t.Fatal(err)
	}
	for range 10 {
		err = f.Data(noon, true, []byte("0123456789"))
	}
	if !errors.Is(err, errFull) {
		t.Errorf("error %v", err)
	}
	if _, err := w.Open(noon, boardAddr, serverAddr); !errors.Is(err, errFull) {
		t.Errorf("goes on: %v", err)
	}
	got, r := read(t, full.Bytes(), capture.Options{})
	if len(got) == 0 || got[0] != "1> 0123456789" || !r.Unfinished {
		t.Errorf("got %q, %+v", got, r)
	}
}

var errFull = errors.New("full")

type limited struct {
	bytes.Buffer
	left int
}

func (l *limited) Write(b []byte) (int, error) {
	n := min(len(b), l.left)
	l.left -= n
	l.Buffer.Write(b[:n])
	if n < len(b) {
		return n, errFull
	}
	return n, nil
}

// Whatever a file is, it ends, and no piece of it makes sense only in part.
func FuzzRead(f *testing.F) {
	f.Add(pcap(f, 0, after(packet{seq: 1001, ack: 5001, data: "abc"}, packet{seq: 1010, ack: 5001, data: "de"})...))
	f.Add(pcap(f, 60, after(packet{seq: 1001, ack: 5001, data: "abcdefghijkl"})...))
	f.Add(turned(pcap(f, 0, after()...)))
	var ng bytes.Buffer
	w, _ := capture.NewWriter(&ng)
	flow, _ := w.Open(noon, boardAddr, serverAddr)
	flow.Data(noon, true, []byte("\xc8\x00\x00\x00\x0d\x00\x1066666\xc9"))
	flow.End(noon, false)
	f.Add(ng.Bytes())
	f.Fuzz(func(t *testing.T, file []byte) {
		ended := make(map[*capture.Conn]int)
		var last *capture.Conn
		_, _ = capture.Read(bytes.NewReader(file), capture.Options{}, func(p capture.Piece) error {
			if last == nil || p.Conn.Number > last.Number {
				last = p.Conn
			}
			set := 0
			for _, is := range []bool{len(p.Data) > 0, p.Missing > 0, p.Differs > 0, p.End} {
				if is {
					set++
				}
			}
			if set != 1 || p.Missing < 0 || len(p.Data) > len(file) || ended[p.Conn] == 2 {
				t.Fatalf("%+v", p)
			}
			if p.End {
				ended[p.Conn]++
			}
			return nil
		})
		for c, n := range ended {
			if n != 2 {
				t.Errorf("connection %d has %d ends", c.Number, n)
			}
		}
	})
}

// FuzzPackets puts what it is given into packets, so that it reaches what is behind the file's own
// structure: the headers, and the order of TCP.
func FuzzPackets(f *testing.F) {
	raw := serialize(f, packet{seq: 1001, ack: 5001, data: "hello"}.network(boardAddr, serverAddr)...)
	f.Add(uint16(101), append([]byte{byte(len(raw))}, raw...))
	f.Add(uint16(0), []byte("S\x00\x00\x00\x01\x00\x00\x00\x00abc"))
	f.Fuzz(func(t *testing.T, link uint16, b []byte) {
		var packets [][]byte
		for len(b) > 0 {
			n := min(1+int(b[0]), len(b))
			p := b[1:n]
			if link == 0 && len(p) > 9 { // a segment: numbers and flags, and data
				s := packet{back: p[0]&1 != 0, seq: uint32(p[1])<<24 | uint32(p[2])<<12 | uint32(p[3]), ack: uint32(p[4])<<24 | uint32(p[5]), data: string(p[9:])}
				for i, flag := range []string{"S", "F", "R"} {
					if p[0]&(2<<i) != 0 {
						s.flags += flag
					}
				}
				p = append([]byte{0, 0, 0, 2}, serialize(t, s.network(boardAddr, serverAddr)...)...)
			}
			packets = append(packets, p)
			b = b[n:]
		}
		file := pcapOf(t, layers.LinkType(link), 0, nil, packets...)
		given := 0
		r, err := capture.Read(bytes.NewReader(file), capture.Options{}, func(p capture.Piece) error {
			given += len(p.Data)
			return nil
		})
		if err != nil || given > len(file) || r.Packets != int64(len(packets)) {
			t.Fatalf("%d bytes of %d, %+v, %v", given, len(file), r, err)
		}
	})
}
