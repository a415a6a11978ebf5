package capture_test

import (
	"bytes"
	"encoding/binary"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"

	"github.com/longwire/longwire/internal/capture"
)

var (
	boardAddr  = netip.MustParseAddrPort("10.0.0.5:40112")
	serverAddr = netip.MustParseAddrPort("10.0.0.7:10302")
	noon       = time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
)

// A packet is one TCP packet of a test.
type packet struct {
	back  bool // from the server
	seq   uint32
	ack   uint32 // 0 means none
	flags string // of S, F, R
	data  string
	later time.Duration // than the one before
}

// network makes the layers of IP and TCP.
func (p packet) network(board, server netip.AddrPort) []gopacket.SerializableLayer {
	from, to := board, server
	if p.back {
		from, to = to, from
	}
	tcp := &layers.TCP{SrcPort: layers.TCPPort(from.Port()), DstPort: layers.TCPPort(to.Port()), Seq: p.seq, Ack: p.ack, ACK: p.ack != 0, Window: 1000}
	for _, c := range p.flags {
		switch c {
		case 'S':
			tcp.SYN = true
		case 'F':
			tcp.FIN = true
		case 'R':
			tcp.RST = true
		}
	}
	payload := gopacket.Payload(p.data)
	if from.Addr().Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 9, Protocol: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
		tcp.SetNetworkLayerForChecksum(ip)
		return []gopacket.SerializableLayer{ip, tcp, payload}
	}
	ip := &layers.IPv6{Version: 6, HopLimit: 9, NextHeader: layers.IPProtocolTCP, SrcIP: from.Addr().AsSlice(), DstIP: to.Addr().AsSlice()}
	tcp.SetNetworkLayerForChecksum(ip)
	return []gopacket.SerializableLayer{ip, tcp, payload}
}

func serialize(t testing.TB, l ...gopacket.SerializableLayer) []byte {
	t.Helper()
	b := gopacket.NewSerializeBuffer()
	if err := gopacket.SerializeLayers(b, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true}, l...); err != nil {
		t.Fatal(err)
	}
	return bytes.Clone(b.Bytes())
}

func ethernet(next layers.EthernetType) *layers.Ethernet {
	return &layers.Ethernet{SrcMAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, DstMAC: net.HardwareAddr{2, 0, 0, 0, 0, 2}, EthernetType: next}
}

// pcap makes a classic capture of packets with an Ethernet header; of more than snap bytes the rest is
// cut off, 0 for none.
func pcap(t testing.TB, snap int, packets ...packet) []byte {
	t.Helper()
	var whole [][]byte
	at := []time.Duration{}
	now := time.Duration(0)
	for _, p := range packets {
		whole = append(whole, serialize(t, append([]gopacket.SerializableLayer{ethernet(layers.EthernetTypeIPv4)}, p.network(boardAddr, serverAddr)...)...))
		now += p.later + time.Millisecond
		at = append(at, now)
	}
	return pcapOf(t, layers.LinkTypeEthernet, snap, at, whole...)
}

func pcapOf(t testing.TB, link layers.LinkType, snap int, at []time.Duration, packets ...[]byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := pcapgo.NewWriter(&b)
	if err := w.WriteFileHeader(65536, link); err != nil {
		t.Fatal(err)
	}
	for i, p := range packets {
		ci := gopacket.CaptureInfo{Timestamp: noon, Length: len(p), CaptureLength: len(p)}
		if at != nil {
			ci.Timestamp = noon.Add(at[i])
		}
		if snap > 0 && len(p) > snap {
			p, ci.CaptureLength = p[:snap], snap
		}
		if err := w.WritePacket(ci, p); err != nil {
			t.Fatal(err)
		}
	}
	return b.Bytes()
}

// turned returns a classic capture with its headers in the other byte order.
func turned(pcap []byte) []byte {
	out := bytes.Clone(pcap)
	turn := func(b []byte) {
		for i, j := 0, len(b)-1; i < j; i, j = i+1, j-1 {
			b[i], b[j] = b[j], b[i]
		}
	}
	for _, f := range [][2]int{{0, 4}, {4, 6}, {6, 8}, {8, 12}, {12, 16}, {16, 20}, {20, 24}} {
		turn(out[f[0]:f[1]])
	}
	for at := 24; at < len(out); {
		size := int(binary.LittleEndian.Uint32(out[at+8:]))
		for i := range 4 {
			turn(out[at+4*i : at+4*i+4])
		}
		at += 16 + size
	}
	return out
}

// read reads a capture into a line for each piece.
func read(t testing.TB, file []byte, o capture.Options) (lines []string, r capture.Report) {
	t.Helper()
	r, err := capture.Read(bytes.NewReader(file), o, func(p capture.Piece) error {
		lines = append(lines, pieceLine(p))
		return nil
	})
	if err != nil {
		t.Fatalf("after %q: %v", lines, err)
	}
	return lines, r
}
