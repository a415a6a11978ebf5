package capture

import (
	"encoding/binary"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
)

// A segment is a TCP packet.
type segment struct {
	from, to           netip.AddrPort
	at                 time.Time
	seq, ack           uint32
	syn, fin, rst, has bool   // has: ack is there
	data               []byte // lent by the file
	cut                int    // bytes behind data that were sent and not captured
}

// What a packet was.
type kind int

const (
	isOther kind = iota
	isTCP
	isFragment
	isUnreadable
)

// readPacket takes a packet apart.
func readPacket(link layers.LinkType, data []byte, ci gopacket.CaptureInfo) (s segment, k kind) {
	p := gopacket.NewPacket(data, firstLayer(link, data), gopacket.DecodeOptions{Lazy: true, NoCopy: true})
	tcp, _ := p.Layer(layers.LayerTypeTCP).(*layers.TCP)
	if tcp == nil {
		return s, withoutTCP(p)
	}
	if header := 4 * int(tcp.DataOffset); len(tcp.Contents) < max(20, header) {
		return s, isUnreadable // the layer is there as far as its header is
	}
	var src, dst netip.Addr
	for _, l := range p.Layers() {
		if l == gopacket.Layer(tcp) {
			break
		}
		// The last IP header before that of TCP counts; tunnels have others around it.
		var payload, declared int
		switch ip := l.(type) {
		case *layers.IPv4:
			src, _ = netip.AddrFromSlice(ip.SrcIP)
			dst, _ = netip.AddrFromSlice(ip.DstIP)
			payload, declared = len(ip.Payload), int(binary.BigEndian.Uint16(ip.Contents[2:]))-len(ip.Contents)
		case *layers.IPv6:
			src, _ = netip.AddrFromSlice(ip.SrcIP)
			dst, _ = netip.AddrFromSlice(ip.DstIP)
			payload, declared = len(ip.Payload), int(ip.Length)
			if ip.HopByHop != nil { // is in the length, and not in the payload
				declared -= len(ip.HopByHop.Contents)
			}
		default:
			continue
		}
		s.cut = max(declared-payload, 0)
		if declared <= 0 { // the packet is larger than the field can say
			s.cut = max(ci.Length-ci.CaptureLength, 0)
		}
	}
	if !src.IsValid() || !dst.IsValid() {
		return s, isUnreadable
	}
	s.from, s.to = netip.AddrPortFrom(src.Unmap(), uint16(tcp.SrcPort)), netip.AddrPortFrom(dst.Unmap(), uint16(tcp.DstPort))
	s.at, s.seq, s.ack = ci.Timestamp, tcp.Seq, tcp.Ack
	s.syn, s.fin, s.rst, s.has = tcp.SYN, tcp.FIN, tcp.RST, tcp.ACK
	s.data = tcp.Payload
	return s, isTCP
}

// firstLayer returns what a packet begins with.
func firstLayer(link layers.LinkType, data []byte) gopacket.Decoder {
	switch link {
	case 12, 14, layers.LinkTypeRaw, layers.LinkTypeIPv4, layers.LinkTypeIPv6: // 12 and 14 are "raw" of the BSDs
		if len(data) > 0 && data[0]>>4 == 6 {
			return layers.LayerTypeIPv6
		}
		return layers.LayerTypeIPv4
	}
	return link
}

// withoutTCP says what a packet is that has no TCP header.
func withoutTCP(p gopacket.Packet) kind {
	var proto layers.IPProtocol
	for _, l := range p.Layers() {
		switch ip := l.(type) {
		case *layers.IPv4:
			proto = ip.Protocol
		case *layers.IPv6:
			proto = ip.NextHeader
		case *layers.IPv6Fragment:
			proto = ip.NextHeader
			if proto == layers.IPProtocolTCP {
				return isFragment
			}
		case *gopacket.Fragment:
			if proto == layers.IPProtocolTCP {
				return isFragment
			}
		}
	}
	if p.ErrorLayer() != nil && (proto == 0 || proto == layers.IPProtocolTCP) {
		return isUnreadable
	}
	return isOther
}
