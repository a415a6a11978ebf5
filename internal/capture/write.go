package capture

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"time"

	"github.com/gopacket/gopacket"
	"github.com/gopacket/gopacket/layers"
	"github.com/gopacket/gopacket/pcapgo"
)

// A Writer writes a pcapng file. What it writes can be read at once: nothing stays in a buffer.
// It is not safe for concurrent use. After an error nothing more can be written.
type Writer struct {
	w     *pcapgo.NgWriter
	conns uint32
	buf   gopacket.SerializeBuffer
	err   error
}

// NewWriter writes the header of a file.
func NewWriter(w io.Writer) (*Writer, error) {
	about := pcapgo.NgInterface{Name: "tap", Description: "longwire tap", LinkType: layers.LinkTypeEthernet}
	ng, err := pcapgo.NewNgWriterInterface(w, about, pcapgo.NgWriterOptions{SectionInfo: pcapgo.NgSectionInfo{
		Application: "longwire tap",
		Comment:     "The bytes, the times and the addresses are real; the headers of the packets are made up around them.",
	}})
	if err == nil {
		err = ng.Flush()
	}
	if err != nil {
		return nil, err
	}
	return &Writer{w: ng, buf: gopacket.NewSerializeBuffer()}, nil
}

// A Flow is a connection in a Writer.
type Flow struct {
	w     *Writer
	sides [2]side // the board, the server
	over  bool
}

type side struct {
	addr netip.AddrPort
	mac  net.HardwareAddr
	next uint32 // sequence number
}

const largest = 16 << 10 // bytes in one packet, as network cards that cut packets themselves are given

// Open writes the beginning of a connection.
func (w *Writer) Open(at time.Time, board, server netip.AddrPort) (*Flow, error) {
	w.conns++
	f := &Flow{w: w}
	for i, addr := range []netip.AddrPort{board, server} {
		ip := addr.Addr().Unmap().WithZone("")
		if !ip.IsValid() {
			ip = netip.IPv4Unspecified()
		}
		f.sides[i] = side{
			addr: netip.AddrPortFrom(ip, addr.Port()),
			mac:  net.HardwareAddr{0x02, 0, 0, 0, 0, byte(i + 1)}, // of those that anybody may use
			next: w.conns * 1_000_003,                             // the same ends may meet again
		}
	}
	if a, b := &f.sides[0].addr, &f.sides[1].addr; a.Addr().Is4() != b.Addr().Is4() {
		*a = netip.AddrPortFrom(netip.AddrFrom16(a.Addr().As16()), a.Port())
		*b = netip.AddrPortFrom(netip.AddrFrom16(b.Addr().As16()), b.Port())
	}
	f.packet(at, 0, layers.TCP{SYN: true}, nil)
	f.packet(at, 1, layers.TCP{SYN: true, ACK: true}, nil)
	f.packet(at, 0, layers.TCP{ACK: true}, nil)
	return f, w.flush()
}

// Data writes bytes that one side has sent.
func (f *Flow) Data(at time.Time, toServer bool, data []byte) error {
	for len(data) > 0 && f.w.err == nil {
		n := min(len(data), largest)
		f.packet(at, from(toServer), layers.TCP{ACK: true, PSH: true}, data[:n])
		data = data[n:]
	}
	return f.w.flush()
}

// End writes that one side will send no more.
func (f *Flow) End(at time.Time, toServer bool) error {
	f.packet(at, from(toServer), layers.TCP{FIN: true, ACK: true}, nil)
	return f.w.flush()
}

// Reset writes that one side has broken the connection off.
func (f *Flow) Reset(at time.Time, toServer bool) error {
	f.packet(at, from(toServer), layers.TCP{RST: true, ACK: true}, nil)
	f.over = true
	return f.w.flush()
}

func from(toServer bool) int {
	if toServer {
		return 0
	}
	return 1
}

// packet writes one packet of a side.
func (f *Flow) packet(at time.Time, from int, tcp layers.TCP, data []byte) {
	if f.w.err != nil || f.over {
		return
	}
	me, you := &f.sides[from], &f.sides[1-from]
	tcp.SrcPort, tcp.DstPort = layers.TCPPort(me.addr.Port()), layers.TCPPort(you.addr.Port())
	tcp.Seq, tcp.Window = me.next, 65535
	if tcp.ACK {
		tcp.Ack = you.next
	}
	me.next += uint32(len(data))
	if tcp.SYN || tcp.FIN {
		me.next++
	}
	ethernet := layers.Ethernet{SrcMAC: me.mac, DstMAC: you.mac}
	var network gopacket.SerializableLayer
	if me.addr.Addr().Is4() {
		ip := &layers.IPv4{Version: 4, TTL: 64, Protocol: layers.IPProtocolTCP, SrcIP: me.addr.Addr().AsSlice(), DstIP: you.addr.Addr().AsSlice()}
		ethernet.EthernetType, network = layers.EthernetTypeIPv4, ip
		tcp.SetNetworkLayerForChecksum(ip)
	} else {
		ip := &layers.IPv6{Version: 6, HopLimit: 64, NextHeader: layers.IPProtocolTCP, SrcIP: me.addr.Addr().AsSlice(), DstIP: you.addr.Addr().AsSlice()}
		ethernet.EthernetType, network = layers.EthernetTypeIPv6, ip
		tcp.SetNetworkLayerForChecksum(ip)
	}
	f.w.err = gopacket.SerializeLayers(f.w.buf, gopacket.SerializeOptions{FixLengths: true, ComputeChecksums: true},
		&ethernet, network, &tcp, gopacket.Payload(data))
	if f.w.err != nil {
		f.w.err = fmt.Errorf("cannot make a packet: %w", f.w.err)
		return
	}
	whole := f.w.buf.Bytes()
	f.w.err = f.w.w.WritePacket(gopacket.CaptureInfo{Timestamp: at, CaptureLength: len(whole), Length: len(whole)}, whole)
}

func (w *Writer) flush() error {
	if w.err == nil {
		w.err = w.w.Flush()
	}
	return w.err
}
