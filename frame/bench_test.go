package frame_test

import (
	"bytes"
	"testing"

	"github.com/longwire/longwire/frame"
)

func BenchmarkParse72(b *testing.B) {
	wire, err := frame.Default.Append(nil, 0x10, bytes.Repeat([]byte{'6'}, 64))
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, _, err := frame.Default.Parse(wire, frame.DefaultMaxFrame); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDecoder72(b *testing.B) {
	var wire []byte
	for range 100 {
		wire, _ = frame.Default.Append(wire, 0x10, bytes.Repeat([]byte{'6'}, 64))
	}
	d := frame.NewDecoder(nil)
	b.ReportAllocs()
	rest := wire
	for b.Loop() {
		_, n, err := d.Next(rest)
		if err != nil {
			b.Fatal(err)
		}
		if rest = rest[n:]; len(rest) == 0 {
			rest = wire
		}
	}
}

func BenchmarkAppend72(b *testing.B) {
	data := bytes.Repeat([]byte{'6'}, 64)
	var dst []byte
	b.ReportAllocs()
	for b.Loop() {
		dst, _ = frame.Default.Append(dst[:0], 0x10, data)
	}
}
