package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"log"
	"strings"

	"github.com/longwire/longwire/frame"
)

// Frames are read until the stream ends.
func ExampleReader() {
	stream := strings.NewReader("\xC8\x00\x00\x00\x0D\x00\x1066666\xC9" + "\xC8\x00\x00\x00\x08\xFF\x01\xC9")
	r := frame.NewReader(stream, nil)
	for {
		f, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			log.Fatal(err)
		}
		fmt.Printf("type %v, data %q\n", f.Type, f.Data)
	}
	// Output:
	// type 0x0010, data "66666"
	// type 0xff01, data ""
}

// On a line that loses bytes, Resync finds the next whole frame. What was skipped
// is counted, with a sample to look at.
func ExampleReader_resync() {
	stream := strings.NewReader("lost" + "\xC8\x00\x00\x00\x0D\x00\x1066666\xC9")
	r := frame.NewReader(stream, &frame.Config{MaxFrame: 4096, Resync: 1024})
	f, err := r.Next()
	if err != nil {
		log.Fatal(err)
	}
	skipped := r.Skipped()
	fmt.Printf("type %v, data %q\n", f.Type, f.Data)
	fmt.Printf("%d bytes skipped at offset %d because of a %v: %q\n", skipped.Bytes, skipped.Offset, skipped.Cause, skipped.Sample)
	// Output:
	// type 0x0010, data "66666"
	// 4 bytes skipped at offset 0 because of a bad_head: "lost"
}

func ExampleWriter() {
	var stream bytes.Buffer // or a connection, a serial line, a file
	w := frame.NewWriter(&stream, nil)
	if err := w.WriteFrame(0x10, []byte("66666")); err != nil {
		log.Fatal(err)
	}
	fmt.Printf("% X\n", stream.Bytes())
	// Output:
	// C8 00 00 00 0D 00 10 36 36 36 36 36 C9
}

// A meter's frames: AA 55, one byte of type, a little-endian length of the data,
// the data, and a CRC-16/MODBUS of all that follows the head, low byte first.
func ExampleNewCodec() {
	meter, err := frame.NewCodec(frame.Format{
		Head:     "\xAA\x55",
		Type:     frame.TypeField{Offset: 2, Width: 1},
		Length:   frame.Length{Offset: 3, Width: 2, Counts: frame.CountsData},
		Order:    frame.LittleEndian,
		Checksum: frame.Checksum{Kind: frame.CRC16Modbus, From: 2, Order: frame.LittleEndian},
	})
	if err != nil {
		log.Fatal(err)
	}
	wire, err := meter.Append(nil, 0x03, []byte("kWh"))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("% X\n", wire)

	// The same codec, in a Config, reads them from a stream.
	f, err := frame.NewReader(bytes.NewReader(wire), &frame.Config{Codec: meter}).Next()
	fmt.Printf("%v %s %v\n", f.Type, f.Data, err)
	// Output:
	// AA 55 03 03 00 6B 57 68 0A 2A
	// 0x0003 kWh <nil>
}

// A Format that could not be decoded is refused with the field that is at fault.
func ExampleNewCodec_refused() {
	f := frame.Default.Format()
	f.Length.Width = 2 // and the type still stands where a length of 4 bytes ended
	_, err := frame.NewCodec(f)
	fmt.Println(err)
	// Output:
	// frame: format: Type.Offset: is 5; after the length it must be 3, so that every byte before the data belongs to one field
}

// Parse looks at the start of a slice. What is no frame yet is told apart from
// what cannot become one.
func ExampleCodec_Parse() {
	const limit = 4096
	for _, b := range []string{
		"\xC8\x00\x00\x00\x0D\x00\x1066666\xC9 and more",
		"\xC8\x00\x00\x00\x0D\x00\x10666",
		"\xC8\xFF\xFF\xFF\xFF",
	} {
		f, n, err := frame.Default.Parse([]byte(b), limit)
		switch {
		case err == nil:
			fmt.Printf("%d bytes: type %v, data %q\n", n, f.Type, f.Data)
		case errors.Is(err, frame.ErrShort):
			fmt.Println("wait for more bytes")
		default:
			fmt.Println(err)
		}
	}
	// Output:
	// 13 bytes: type 0x0010, data "66666"
	// wait for more bytes
	// frame: 4294967295 bytes are over the limit of 4096 (length at offset 1)
}
