package capture_test

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"pgregory.net/rapid"

	"github.com/longwire/longwire/internal/capture"
)

func pieceLine(p capture.Piece) string {
	arrow := "<"
	if p.ToServer {
		arrow = ">"
	}
	line := fmt.Sprintf("%d%s ", p.Conn.Number, arrow)
	switch {
	case p.Missing > 0:
		return line + fmt.Sprintf("missing %d %s", p.Missing, p.Why)
	case p.Differs > 0:
		return line + fmt.Sprintf("differs %d", p.Differs)
	case p.End:
		return line + "end " + p.Why
	}
	return line + string(p.Data)
}

const open = uint32(1000)

// hello are the packets that open a connection; the board's bytes are 1001 on, the server's 5001 on.
func hello() []packet {
	return []packet{{seq: open, flags: "S"}, {back: true, seq: 5000, ack: open + 1, flags: "S"}, {seq: open + 1, ack: 5001}}
}

func after(p ...packet) []packet { return append(hello(), p...) }

// acks are packets of the server that acknowledge, as many as it takes to give up what is missing.
func acks(ack uint32) (p []packet) {
	for range 20 {
		p = append(p, packet{back: true, seq: 5001, ack: ack})
	}
	return p
}

func TestOrder(t *testing.T) {
	wrap := ^uint32(0) - 2 // of the SYN: two bytes before zero
	ends := []string{"1> end the capture ends", "1< end the capture ends"}
	tests := []struct {
		name    string
		packets []packet
		want    []string
	}{
		{"both ways", after(packet{seq: 1001, ack: 5001, data: "ab"}, packet{back: true, seq: 5001, ack: 1003, data: "xy"}, packet{seq: 1003, ack: 5003, data: "c"}),
			append([]string{"1> ab", "1< xy", "1> c"}, ends...)},
		{"reordered", after(packet{seq: 1005, ack: 5001, data: "ef"}, packet{seq: 1003, ack: 5001, data: "cd"}, packet{seq: 1001, ack: 5001, data: "ab"}),
			append([]string{"1> ab", "1> cd", "1> ef"}, ends...)},
		{"sent again", after(packet{seq: 1001, ack: 5001, data: "abc"}, packet{seq: 1001, ack: 5001, data: "abc"}, packet{seq: 1003, ack: 5001, data: "cde"}),
			append([]string{"1> abc", "1> de"}, ends...)},
		{"sent again with other values", after(packet{seq: 1001, ack: 5001, data: "abc"}, packet{seq: 1001, ack: 5001, data: "aXYde"}),
			append([]string{"1> abc", "1> differs 2", "1> de"}, ends...)},
		{"overlapping while it waits", after(packet{seq: 1003, ack: 5001, data: "cdef"}, packet{seq: 1005, ack: 5001, data: "Xfgh"}, packet{seq: 1001, ack: 5001, data: "ab"}),
			append([]string{"1> ab", "1> cdef", "1> differs 1", "1> gh"}, ends...)},
		{"lost, and acknowledged", after(append(append([]packet{{seq: 1001, ack: 5001, data: "ab"}, {seq: 1006, ack: 5001, data: "fg"}}, acks(1008)...), packet{seq: 1008, ack: 5001, data: "h"})...),
			append([]string{"1> ab", "1> missing 3 not in the capture", "1> fg", "1> h"}, ends...)},
		{"lost at the end", after(packet{seq: 1001, ack: 5001, data: "ab"}, packet{back: true, seq: 5001, ack: 1010}),
			append([]string{"1> ab", "1> missing 7 not in the capture"}, ends...)},
		{"lost, and nobody knows", after(packet{seq: 1004, ack: 5001, data: "d"}),
			append([]string{"1> missing 3 not in the capture", "1> d"}, ends...)},
		{"lost, and too long ago", after(packet{seq: 1004, ack: 5001, data: "d"}, packet{seq: 1005, ack: 5001, data: "e", later: time.Minute}, packet{seq: 1001, ack: 5001, data: "abc"}),
			append([]string{"1> missing 3 not in the capture", "1> d", "1> e"}, ends...)},
		{"a keepalive", after(packet{seq: 1001, ack: 5001, data: "ab"}, packet{seq: 1002, ack: 5001, data: "\x00"}, packet{seq: 1003, ack: 5001, data: "c"}),
			append([]string{"1> ab", "1> c"}, ends...)},
		{"numbers that wrap", []packet{{seq: wrap, flags: "S"}, {back: true, seq: 5000, ack: wrap + 1, flags: "S"},
			{seq: wrap + 4, ack: 5001, data: "de"}, {seq: wrap + 1, ack: 5001, data: "abc"}, {seq: wrap + 6, ack: 5001, data: "f"}},
			append([]string{"1> abc", "1> de", "1> f"}, ends...)},
		{"half closed", after(packet{seq: 1001, ack: 5001, data: "a"}, packet{seq: 1002, ack: 5001, flags: "F"}, packet{back: true, seq: 5001, ack: 1003, data: "x"},
			packet{back: true, seq: 5002, ack: 1003, flags: "F"}, packet{seq: 1003, ack: 5003}),
			[]string{"1> a", "1> end FIN", "1< x", "1< end FIN"}},
		{"FIN before the last bytes", after(packet{seq: 1003, ack: 5001, data: "c", flags: "F"}, packet{seq: 1001, ack: 5001, data: "ab"}),
			[]string{"1> ab", "1> c", "1> end FIN", "1< end the capture ends"}},
		{"reset", after(packet{seq: 1003, ack: 5001, data: "c"}, packet{back: true, seq: 5001, flags: "R"}),
			[]string{"1< end RST", "1> missing 2 not in the capture", "1> c", "1> end RST"}},
		{"a reset from elsewhere", after(packet{back: true, seq: 1 << 31, flags: "R"}, packet{seq: 1001, ack: 5001, data: "a"}),
			append([]string{"1> a"}, ends...)},
		{"the middle of a connection", []packet{{seq: 77, ack: 99, data: "ab"}, {back: true, seq: 99, ack: 79, data: "x"}, {seq: 79, ack: 100, data: "c"}},
			append([]string{"1> ab", "1< x", "1> c"}, ends...)},
		{"the middle, from the server", []packet{{back: true, seq: 99, ack: 79, data: "x"}, {seq: 77, ack: 99, data: "ab"}, {seq: 79, ack: 100, data: "c"}},
			append([]string{"1< x", "1> c"}, ends...)},
		{"SYN captured late", []packet{{back: true, seq: 5000, ack: 1001, flags: "S"}, {seq: 1000, flags: "S"}, {seq: 1001, ack: 5001, data: "a"}},
			append([]string{"1> a"}, ends...)},
		{"SYN sent again", append([]packet{{seq: 1000, flags: "S"}}, after(packet{seq: 1001, ack: 5001, data: "a"}, packet{seq: 1000, flags: "S"}, packet{seq: 1002, ack: 5001, data: "b"})...),
			append([]string{"1> a", "1> b"}, ends...)},
		{"the same ends again", after(packet{seq: 1001, ack: 5001, data: "a"}, packet{seq: 90_000, flags: "S"}, packet{back: true, seq: 1, ack: 90_001, flags: "S"}, packet{seq: 90_001, ack: 2, data: "b"}),
			[]string{"1> a", "1> end another connection of the same ends", "1< end another connection of the same ends", "2> b", "2> end the capture ends", "2< end the capture ends"}},
		{"the same ends again, without the SYN", after(packet{seq: 1001, ack: 5001, data: "a"}, packet{seq: 1 << 31, ack: 9, data: "b"}),
			[]string{"1> a", "1> end another connection of the same ends", "1< end another connection of the same ends", "2> b", "2> end the capture ends", "2< end the capture ends"}},
		{"a refused connection", []packet{{seq: 1, flags: "R"}}, nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, _ := read(t, pcap(t, 0, test.packets...), capture.Options{})
			if !slices.Equal(got, test.want) {
				t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(test.want, "\n"))
			}
		})
	}
}

// A capture that has only the first bytes of each packet lacks the others, and says how many.
func TestSnapshotLength(t *testing.T) {
	got, _ := read(t, pcap(t, 14+20+20+3, after(packet{seq: 1001, ack: 5001, data: "abcdef"}, packet{seq: 1007, ack: 5001, data: "gh"})...), capture.Options{})
	want := []string{"1> abc", "1> missing 3 cut off by the snapshot length", "1> gh", "1> end the capture ends", "1< end the capture ends"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
	_, r := read(t, pcap(t, 14+20+8, after()...), capture.Options{})
	if r.Unreadable != 3 || r.Segments != 0 {
		t.Errorf("cut inside the headers: %+v", r)
	}
}

// The headers around a packet do not matter.
func TestLinks(t *testing.T) {
	v4 := packet{seq: 1001, data: "hello"}.network(boardAddr, serverAddr)
	board6, server6 := netip.MustParseAddrPort("[2001:db8::5]:40112"), netip.MustParseAddrPort("[2001:db8::7]:10302")
	v6 := packet{seq: 1001, data: "hello"}.network(board6, server6)
	raw4, raw6 := serialize(t, v4...), serialize(t, v6...)
	ip6 := *v6[0].(*layers.IPv6)
	ip6.NextHeader = layers.IPProtocolIPv6Destination
	options := &layers.IPv6Destination{}
	options.NextHeader = layers.IPProtocolTCP
	options.Options = []*layers.IPv6DestinationOption{{OptionType: 1, OptionData: []byte{0, 0, 0, 0}}}
	tests := []struct {
		name string
		link layers.LinkType
		data []byte
	}{
		{"Ethernet", layers.LinkTypeEthernet, append(serialize(t, ethernet(layers.EthernetTypeIPv4)), raw4...)},
		{"Ethernet with padding", layers.LinkTypeEthernet, slices.Concat(serialize(t, ethernet(layers.EthernetTypeIPv4))[:14], raw4, make([]byte, 9))},
		{"VLAN", layers.LinkTypeEthernet, serialize(t, append([]gopacket.SerializableLayer{ethernet(layers.EthernetTypeDot1Q), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeIPv4}}, v4...)...)},
		{"two VLANs", layers.LinkTypeEthernet, serialize(t, append([]gopacket.SerializableLayer{ethernet(layers.EthernetTypeQinQ), &layers.Dot1Q{VLANIdentifier: 7, Type: layers.EthernetTypeDot1Q},
			&layers.Dot1Q{VLANIdentifier: 8, Type: layers.EthernetTypeIPv6}}, v6...)...)},
		{"IPv6", layers.LinkTypeEthernet, serialize(t, append([]gopacket.SerializableLayer{ethernet(layers.EthernetTypeIPv6)}, v6...)...)},
		{"IPv6 with options", layers.LinkTypeEthernet, serialize(t, ethernet(layers.EthernetTypeIPv6), &ip6, options, v6[1], v6[2])},
		{"cooked", layers.LinkTypeLinuxSLL, slices.Concat([]byte{0, 0, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0, 0x08, 0}, raw4)},
		{"cooked, second version", layers.LinkTypeLinuxSLL2, slices.Concat([]byte{0x86, 0xDD, 0, 0, 0, 0, 0, 1, 0, 1, 0, 6, 2, 0, 0, 0, 0, 1, 0, 0}, raw6)},
		{"null, little-endian", layers.LinkTypeNull, slices.Concat([]byte{2, 0, 0, 0}, raw4)},
		{"null, big-endian", layers.LinkTypeNull, slices.Concat([]byte{0, 0, 0, 30}, raw6)},
		{"loop", layers.LinkTypeLoop, slices.Concat([]byte{0, 0, 0, 24}, raw6)},
		{"raw", layers.LinkTypeRaw, raw4},
		{"raw, IPv6", layers.LinkTypeRaw, raw6},
		{"raw, of a BSD", 12, raw4},
		{"IPv4", layers.LinkTypeIPv4, raw4},
		{"IPv6", layers.LinkTypeIPv6, raw6},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if test.name == "Ethernet" {
				test.data = serialize(t, append([]gopacket.SerializableLayer{ethernet(layers.EthernetTypeIPv4)}, v4...)...)
			}
			got, r := read(t, pcapOf(t, test.link, 0, nil, test.data), capture.Options{})
			if want := []string{"1> hello", "1> end the capture ends", "1< end the capture ends"}; !slices.Equal(got, want) {
				t.Errorf("got %q, %+v", got, r)
			}
		})
	}
}

// What the server's port says, a SYN says, and where neither does the lower port is the server's.
func TestSides(t *testing.T) {
	data := packet{seq: 7, data: "a"}
	tests := []struct {
		name          string
		board, server netip.AddrPort
		packet        packet
		port          uint16
		want          string
	}{
		{"lower port", boardAddr, serverAddr, data, 0, "1> a"},
		{"lower port, turned", serverAddr, boardAddr, data, 0, "1< a"},
		{"asked for", serverAddr, boardAddr, data, boardAddr.Port(), "1> a"},
		{"SYN", serverAddr, boardAddr, packet{seq: 6, data: "a", flags: "S"}, 0, "1> a"},
		{"not asked for", boardAddr, serverAddr, data, 1, ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, _ := read(t, pcapOf(t, layers.LinkTypeRaw, 0, nil, serialize(t, test.packet.network(test.board, test.server)...)), capture.Options{Port: test.port})
			if (test.want == "" && got != nil) || (test.want != "" && got[0] != test.want) {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
}

// All forms of file have the same in them.
func TestFiles(t *testing.T) {
	plain := pcap(t, 0, after(packet{seq: 1001, ack: 5001, data: "abc"}, packet{seq: 1004, ack: 5001, data: "de"})...)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	z.Write(plain)
	z.Close()
	nano := bytes.Clone(plain)
	copy(nano, "\x4d\x3c\xb2\xa1")
	want, _ := read(t, plain, capture.Options{})
	for name, file := range map[string][]byte{"big-endian": turned(plain), "gzip": packed.Bytes(), "nanoseconds": nano, "nanoseconds, big-endian": turned(nano)} {
		if !capture.Is(file[:4]) {
			t.Errorf("%s: is not recognized", name)
		}
		if got, _ := read(t, file, capture.Options{}); !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	// A capture that ends anywhere has what came before.
	for n := 24; n < len(plain); n++ {
		got, r := read(t, plain[:n], capture.Options{})
		whole := n == 24
		for at := 24; at < len(plain); {
			at += 16 + int(plain[at+8]) + int(plain[at+9])<<8
			whole = whole || at == n
		}
		if r.Unfinished == whole {
			t.Errorf("cut at %d: %+v", n, r)
		}
		if len(got) > 0 && strings.HasPrefix(got[0], "1> a") && got[0] != want[0] {
			t.Errorf("cut at %d: %q", n, got)
		}
	}
	for _, file := range []string{"", "abc", "no capture at all", "\x1f\x8b\x08", plainWithout(plain)} {
		if _, err := capture.Read(strings.NewReader(file), capture.Options{}, nil); err == nil {
			t.Errorf("%q is taken for a capture", file)
		}
	}
}

// plainWithout returns a capture whose header ends early.
func plainWithout(file []byte) string { return string(file[:20]) }

// The error of the function that gets the pieces ends the reading.
func TestStop(t *testing.T) {
	enough, calls := errors.New("enough"), 0
	file := pcap(t, 0, after(packet{seq: 1001, ack: 5001, data: "abc"}, packet{seq: 1004, ack: 5001, data: "de"})...)
	_, err := capture.Read(bytes.NewReader(file), capture.Options{}, func(capture.Piece) error {
		calls++
		return enough
	})
	if !errors.Is(err, enough) || calls != 1 {
		t.Errorf("%v after %d calls", err, calls)
	}
}

// What is written is what is read, whatever is lost, repeated and turned around on the way: what is
// there is right, and what is not is told to the byte.
func TestDisorder(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		start := rapid.Uint32().Draw(rt, "start")
		whole := rapid.SliceOfN(rapid.Byte(), 1, 400).Draw(rt, "bytes")
		packets := []packet{{seq: start, flags: "S"}, {back: true, seq: 5000, ack: start + 1, flags: "S"}}
		var data []packet
		for at := 0; at < len(whole); {
			n := min(rapid.IntRange(1, 60).Draw(rt, "size"), len(whole)-at)
			from := max(0, at-rapid.IntRange(0, 20).Draw(rt, "overlap"))
			for range rapid.SampledFrom([]int{1, 1, 1, 1, 2, 0}).Draw(rt, "copies") {
				data = append(data, packet{seq: start + 1 + uint32(from), ack: 5001, data: string(whole[from : at+n])})
			}
			at += n
		}
		for range rapid.IntRange(0, 6).Draw(rt, "swaps") {
			if len(data) < 2 {
				break
			}
			i := rapid.IntRange(0, len(data)-2).Draw(rt, "i")
			data[i], data[i+1] = data[i+1], data[i]
		}
		packets = append(packets, data...)
		// The server has got all of it.
		packets = append(packets, packet{seq: start + 1 + uint32(len(whole)), ack: 5001, flags: "F"}, packet{back: true, seq: 5001, ack: start + 2 + uint32(len(whole))})
		at := 0
		there := make([]bool, len(whole))
		for _, p := range data {
			from := int(p.seq - start - 1)
			for i := range p.data {
				there[from+i] = true
			}
		}
		_, err := capture.Read(bytes.NewReader(pcap(t, 0, packets...)), capture.Options{}, func(p capture.Piece) error {
			switch {
			case !p.ToServer:
			case p.Differs > 0:
				rt.Fatalf("the same bytes differ")
			case p.Missing > 0:
				for i := range int(p.Missing) {
					if there[at+i] {
						rt.Fatalf("byte %d is there", at+i)
					}
				}
				at += int(p.Missing)
			case p.End && (p.Why != "FIN" || at != len(whole)):
				rt.Fatalf("%s at %d of %d", p.Why, at, len(whole))
			default:
				if !bytes.HasPrefix(whole[at:], p.Data) {
					rt.Fatalf("at %d: %q, want %q", at, p.Data, whole[at:])
				}
				at += len(p.Data)
			}
			return nil
		})
		if err != nil || at != len(whole) {
			rt.Fatalf("ends at %d of %d: %v", at, len(whole), err)
		}
	})
}

// What is kept has a bound, however long a hole is open.
func TestBounds(t *testing.T) {
	var packets []packet
	big := strings.Repeat("x", 32<<10)
	for i := range 400 { // 12.5 MiB behind a missing byte
		packets = append(packets, packet{seq: 1002 + uint32(i*len(big)), ack: 5001, data: big})
	}
	given := 0
	_, err := capture.Read(bytes.NewReader(pcap(t, 0, after(packets...)...)), capture.Options{}, func(p capture.Piece) error {
		if p.ToServer && p.Missing > 0 && given > 0 {
			t.Errorf("missing again")
		}
		given += len(p.Data)
		return nil
	})
	if err != nil || given != 400*len(big) {
		t.Errorf("%d bytes, %v", given, err)
	}
}
