//go:build slow

// Package wireshark_test has tshark read captures with the dissector beside it.
package wireshark_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
)

// A packet is the data of a TCP segment.
type packet struct {
	fromBoard bool
	data      []byte
}

// capture writes packets of one connection of a board with a port into a file: the old
// pcap format, with raw IPv4 and without the checksums, which tshark does not verify.
func capture(t *testing.T, port uint16, packets ...packet) string {
	t.Helper()
	le, be := binary.LittleEndian, binary.BigEndian
	var b []byte
	for _, field := range []uint32{0xA1B2C3D4, 4<<16 | 2, 0, 0, 1 << 18, 101} {
		b = le.AppendUint32(b, field)
	}
	seq := [2]uint32{1000, 5000} // of the board and of the server
	write := func(i int, flags byte, data []byte) {
		size := uint32(40 + len(data))
		at := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC).Unix()
		for _, field := range []uint32{uint32(at), uint32(len(b)), size, size} {
			b = le.AppendUint32(b, field)
		}
		ports, addresses := [2]uint16{40000, port}, [2]byte{1, 2}
		b = append(b, 0x45, 0)
		b = be.AppendUint16(b, uint16(size))
		b = append(b, 0, 0, 0, 0, 64, 6, 0, 0, 10, 0, 0, addresses[i], 10, 0, 0, addresses[1-i])
		b = be.AppendUint16(be.AppendUint16(b, ports[i]), ports[1-i])
		b = be.AppendUint32(be.AppendUint32(b, seq[i]), seq[1-i])
		b = append(b, 0x50, flags, 0xFF, 0xFF, 0, 0, 0, 0)
		b = append(b, data...)
		if seq[i] += uint32(len(data)); flags&2 != 0 {
			seq[i]++
		}
	}
	write(0, 0x02, nil)
	write(1, 0x12, nil)
	write(0, 0x10, nil)
	for _, p := range packets {
		if p.fromBoard {
			write(0, 0x18, p.data)
		} else {
			write(1, 0x18, p.data)
		}
	}
	name := filepath.Join(t.TempDir(), "test.pcap")
	if err := os.WriteFile(name, b, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// tshark reads a capture, and prints fields with a ; between them and a , between the
// values of one. Without tshark the test is skipped, but not where it has to run.
func tshark(t *testing.T, file string, args ...string) []string {
	t.Helper()
	program, err := exec.LookPath("tshark")
	if err != nil {
		if os.Getenv("LONGWIRE_TSHARK") != "" {
			t.Fatalf("LONGWIRE_TSHARK is set, and there is no tshark: %v", err)
		}
		t.Skip("there is no tshark here; install it (apt-get install tshark) to test the dissector")
	}
	cmd := exec.CommandContext(t.Context(), program, append([]string{"-n", "-X", "lua_script:longwire.lua", "-r", file, "-E", "separator=;"}, args...)...)
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir()) // without anybody's settings
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		t.Fatalf("tshark %q: %v\n%s", args, err, &stderr)
	}
	if text := stderr.String(); strings.Contains(text, "Lua") || strings.Contains(text, "lua") {
		t.Fatalf("tshark %q says: %s", args, text)
	}
	return strings.Split(strings.TrimRight(stdout.String(), "\n"), "\n")
}

func fields(names ...string) []string {
	args := []string{"-T", "fields"}
	for _, name := range names {
		args = append(args, "-e", name)
	}
	return args
}

func frameOf(t *testing.T, f frame.Format, typ frame.Type, data string) []byte {
	t.Helper()
	c, err := frame.NewCodec(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := c.Append(nil, typ, []byte(data))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func want(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("tshark prints\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestDefaultFrame(t *testing.T) {
	f := frame.Format{}
	pushed := frameOf(t, f, 0x10, "66666")
	question := frameOf(t, f, 0x10, `{"data_type":"rom","call_back_key":"k\u002d1","data":{"status":"no","call_back_key":"other"}}`)
	answer := frameOf(t, f, 0x10, `{"data_type":"rom","call_back_key":"k-1","status":"404","message":"no \"such\" rom","data":null}`)
	broken := frameOf(t, f, 0x20, "x")
	broken[len(broken)-1] = 0x00
	large := frameOf(t, f, 0x30, strings.Repeat("a", 70<<10))
	packets := []packet{
		{true, pushed[:1]}, {true, pushed[1:6]}, {true, pushed[6:]}, // over three segments
		{false, question},
		{true, slices.Concat(answer, frameOf(t, f, 0xFF01, ""))},              // two in one
		{true, slices.Concat(broken, []byte("??"), frameOf(t, f, 0x21, "y"))}, // a wrong tail, and bytes between frames
		{true, []byte("\xC8\xFF\xFF\xFF\xFF\x00\x10")},                        // a length that cannot be
		{false, frameOf(t, f, 0xFF01, "12345678")},                            // a pong
	}
	for rest := large; len(rest) > 0; rest = rest[min(1460, len(rest)):] {
		packets = append(packets, packet{true, rest[:min(1460, len(rest))]})
	}
	file := capture(t, 10302, packets...)

	want(t, tshark(t, file, append(fields("longwire.type", "longwire.length", "longwire.size", "longwire.type_name"), "-Y", "longwire.type", "-o", "longwire.types:0x10=rom, 32=reading")...),
		"0x00000010;13;13;rom",
		fmt.Sprintf("0x00000010;%d;%[1]d;rom", len(question)),
		fmt.Sprintf("0x00000010,0x0000ff01;%d,8;%[1]d,8;rom,ping", len(answer)),
		"0x00000020,0x00000021;9,9;9,9;reading",
		"0x0000ff01;16;16;pong",
		"0x00000030;71688;71688;")
	want(t, tshark(t, file, append(fields("longwire.kind", "longwire.call_back_key", "longwire.status", "longwire.message", "longwire.data_type"), "-Y", "longwire.call_back_key")...),
		"question;k-1;;;rom",
		`answer;k-1;404;no "such" rom;rom`)
	want(t, tshark(t, file, append(fields("longwire.data"), "-Y", "longwire.type == 0x10 && !json")...), "3636363636")
	want(t, tshark(t, file, append(fields("json.key"), "-Y", "longwire.status")...), "data_type,call_back_key,status,message,data")
	want(t, tshark(t, file, append(fields("longwire.tail", "longwire.skipped"), "-Y", "longwire.bad_tail")...), "00,c9;3f3f")
	want(t, tshark(t, file, append(fields("longwire.skipped"), "-Y", "longwire.bad_length")...), "c8ffffffff0010")
	want(t, tshark(t, file, append(fields("longwire.status"), "-Y", "longwire.refused")...), "404")
	want(t, tshark(t, file, append(fields("_ws.col.Protocol", "_ws.col.Info"), "-Y", "longwire.type == 0x10 || longwire.bad_tail || longwire.type == 0x30")...),
		"LONGWIRE;0x0010, 5 bytes",
		fmt.Sprintf("LONGWIRE;0x0010, %d bytes question k-1", len(question)-8),
		fmt.Sprintf("LONGWIRE;0x0010, %d bytes answer k-1 404 | 0xff01 ping, 0 bytes", len(answer)-8),
		"LONGWIRE;0x0020, 1 byte [wrong tail] | [no frame] | 0x0021, 1 byte",
		"LONGWIRE;0x0030, 71680 bytes")

	whole := strings.Join(tshark(t, file, "-T", "json", "-Y", "longwire.kind == answer"), "\n")
	for _, part := range []string{`"longwire.call_back_key": "k-1"`, `"longwire.head": "c8"`, `"longwire.tail": "c9"`, `"json"`} {
		if !strings.Contains(whole, part) {
			t.Errorf("-T json has no %s: %s", part, whole)
		}
	}
}

// TestOtherFrames reads what a fleet with a frame of its own sends, on a port of its own.
func TestOtherFrames(t *testing.T) {
	meter := frame.Format{
		Head:     "\xAA\x55",
		Length:   frame.Length{Offset: 2, Width: 2, Counts: frame.CountsData},
		Type:     frame.TypeField{Offset: 4, Width: 1},
		Order:    frame.LittleEndian,
		Checksum: frame.Checksum{Kind: frame.CRC16Modbus, Order: frame.LittleEndian},
	}
	first := frame.Format{ // the type first
		Head:   "##",
		Type:   frame.TypeField{Offset: 2, Width: 4},
		Length: frame.Length{Offset: 6, Width: 1, Counts: frame.CountsRest},
		Tail:   "\r\n",
	}
	bare := frame.Format{Length: frame.Length{Width: 4, Counts: frame.CountsFrame}}
	for _, test := range []struct {
		format frame.Format
		typ    frame.Type
		set    []string
		want   string
	}{
		{meter, 0x20, []string{"head:aa55", "tail:", "length_width:2 bytes", "counts:data", "type_width:1 byte", "order:little", "checksum:crc16_modbus"}, "0x00000020;2;6869;LONGWIRE;0x20, 2 bytes"},
		{first, 0x01020304, []string{"head:2323", "tail:0d0a", "length_width:1 byte", "counts:rest", "type_width:4 bytes", "type_place:before the length"}, "0x01020304;4;6869;LONGWIRE;0x01020304, 2 bytes"},
		{bare, 0, []string{"head:", "tail:", "type_width:none"}, ";6;6869;LONGWIRE;2 bytes"},
	} {
		b := frameOf(t, test.format, test.typ, "hi")
		args := fields("longwire.type", "longwire.length", "longwire.data", "_ws.col.Protocol", "_ws.col.Info")
		args = append(args, "-Y", "longwire.data", "-d", "tcp.port==9000,longwire")
		for _, s := range test.set {
			args = append(args, "-o", "longwire."+s)
		}
		line := test.want
		both := strings.Split(line, ";")
		double := []string{}
		for i, field := range both {
			switch {
			case i == 3 || field == "":
				double = append(double, field)
			case i == 4:
				double = append(double, field+" | "+field)
			default:
				double = append(double, field+","+field)
			}
		}
		// One in two segments, and two in one.
		want(t, tshark(t, capture(t, 9000, packet{true, b[:3]}, packet{true, b[3:]}, packet{true, slices.Concat(b, b)}), args...), line, strings.Join(double, ";"))
	}
	// On the port that is set, without Decode As.
	b := frameOf(t, frame.Format{}, 1, "x")
	want(t, tshark(t, capture(t, 9001, packet{true, b}), append(fields("longwire.type"), "-Y", "longwire", "-o", "longwire.ports:9001-9002")...), "0x00000001")
	want(t, tshark(t, capture(t, 9003, packet{true, b}), append(fields("longwire.type"), "-Y", "longwire", "-o", "longwire.ports:9001-9002")...), "")
}

// TestBeginning reads a connection of which the capture has not seen the beginning, and
// one whose last frame is cut off: what there is of it is shown.
func TestBeginning(t *testing.T) {
	b := frameOf(t, frame.Format{}, 0x10, "12345")
	file := capture(t, 10302, packet{true, slices.Concat(b[6:], b)}, packet{true, b[:9]})
	want(t, tshark(t, file, append(fields("longwire.skipped", "longwire.type"), "-Y", "longwire.data")...), "103132333435c9;0x00000010")
}
