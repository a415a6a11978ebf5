package frame_test

import (
	"bytes"
	"errors"
	"io"
	"reflect"
	"slices"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// wantTold checks that all ways to cut the stream, with a Decoder and with a
// Reader, tell the same: want.
func wantTold(t rapid.TB, conf *frame.Config, stream []byte, want told, chunkings ...[][]byte) {
	t.Helper()
	check := func(who string, got told) {
		t.Helper()
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%s tells of %x:\n%+v (%v), want\n%+v (%v)", who, stream, got, got.Err, want, want.Err)
		}
	}
	bytewise := cut(stream, []int{1})
	check("Decoder", decode(t, conf, [][]byte{stream}))
	check("Decoder, byte by byte", decode(t, conf, bytewise))
	check("Reader", read(conf, bytes.NewReader(stream)))
	check("Reader, byte by byte", read(conf, iotest.OneByteReader(bytes.NewReader(stream))))
	check("Reader, halves", read(conf, iotest.HalfReader(bytes.NewReader(stream))))
	check("Reader, EOF with the data", read(conf, iotest.DataErrReader(bytes.NewReader(stream))))
	for _, chunks := range chunkings {
		check("Decoder, in chunks", decode(t, conf, chunks))
		check("Reader, in chunks", read(conf, &chunkReader{slices.Clone(chunks)}))
	}
}

func TestChunkingDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustCodec(t, aFormat.Draw(t, "format"))
		want := told{Err: io.EOF}
		var stream []byte
		for range rapid.IntRange(0, 10).Draw(t, "frames") {
			typ, data, wire := drawFrame(t, c)
			want.Frames = append(want.Frames, found{Type: typ, Data: string(data)})
			stream = append(stream, wire...)
		}
		// With Resync or without: a good stream is the same.
		conf := &frame.Config{Codec: c, Resync: rapid.SampledFrom([]int{0, 100}).Draw(t, "resync")}
		wantTold(t, conf, stream, want, drawChunks(t, stream))
	})
}

// TestEverySplit cuts two frames in two at every offset, and in three.
func TestEverySplit(t *testing.T) {
	stream := unhex(t, "C80000000D00103636363636C9"+"C800000010C8C9C8C9C8C9C8C9C8C9C9")
	want := told{Err: io.EOF, Frames: []found{{Type: 0x10, Data: "66666"}, {Type: 0xC8C9, Data: "\xC8\xC9\xC8\xC9\xC8\xC9\xC8\xC9"}}}
	for i := range stream {
		for j := range stream[i:] {
			got := decode(t, nil, [][]byte{stream[:i], stream[i : i+j], stream[i+j:]})
			if !reflect.DeepEqual(got, want) {
				t.Fatalf("cut at %d and %d: %+v, want %+v", i, i+j, got, want)
			}
		}
	}
}

// Without Resync nothing is returned after the first byte that is wrong, be the
// rest as good as it may.
func TestWithoutResyncTheFirstWrongByteEndsTheStream(t *testing.T) {
	good := "C80000000D00103636363636C9"
	before := []found{{Type: 0x10, Data: "66666"}}
	for _, test := range []struct {
		name   string
		stream string
		want   frame.Error
	}{
		{"head", good + "00" + good, frame.Error{Reason: frame.BadHead, Offset: 13, Got: 0x00, Want: 0xC8}},
		{"length", good + "C800000007" + good, frame.Error{Reason: frame.BadLength, Offset: 14, Got: 7, Want: 8}},
		{"limit", good + "C800100001" + good, frame.Error{Reason: frame.TooLarge, Offset: 14, Got: 1<<20 + 1, Want: 1 << 20}},
		{"sign", good + "C880000000" + good, frame.Error{Reason: frame.TooLarge, Offset: 14, Got: 1 << 31, Want: 1 << 20}},
		{"tail", good + "C80000000D00103636363636C8" + good, frame.Error{Reason: frame.BadTail, Offset: 25, Got: 0xC8, Want: 0xC9}},
	} {
		t.Run(test.name, func(t *testing.T) {
			stream := unhex(t, test.stream)
			for _, resync := range []int{0, -1} {
				wantTold(t, &frame.Config{Resync: resync}, stream, told{Frames: before, Err: &test.want})
			}
			wantTold(t, nil, stream, told{Frames: before, Err: &test.want})
		})
	}
}

// A format by which no frame can be recognized is never searched for.
func TestResyncNeedsHeadAndTailOrChecksum(t *testing.T) {
	c := mustCodec(t, frame.Format{Head: "\xC8", Length: frame.Length{Offset: 1, Width: 1}})
	stream := unhex(t, "C80301"+"FF"+"C80302")
	want := told{
		Frames: []found{{Data: "\x01"}},
		Err:    &frame.Error{Reason: frame.BadHead, Offset: 3, Got: 0xFF, Want: 0xC8},
	}
	wantTold(t, &frame.Config{Codec: c, Resync: 1000}, stream, want)
}

// The error of a head of several bytes tells of them up to the first wrong one,
// so that it is the same when the rest has not come.
func TestWrongByteInALongHead(t *testing.T) {
	c := mustCodec(t, frame.Format{Head: "LW01", Length: frame.Length{Offset: 4, Width: 1}})
	for _, test := range []struct {
		stream    string
		got, want uint64
	}{
		{"lw01\x05", 'l', 'L'},
		{"Lw01\x05", 'L'<<8 | 'w', 'L'<<8 | 'W'},
		{"LW02\x05", 'L'<<24 | 'W'<<16 | '0'<<8 | '2', 'L'<<24 | 'W'<<16 | '0'<<8 | '1'},
	} {
		want := told{Err: &frame.Error{Reason: frame.BadHead, Got: test.got, Want: test.want}}
		wantTold(t, &frame.Config{Codec: c}, []byte(test.stream), want)
	}
}

func TestMaxFrame(t *testing.T) {
	whole := func(size int) []byte {
		wire, err := frame.Default.Append(nil, 0x10, make([]byte, size-frame.Default.Overhead()))
		if err != nil {
			t.Fatal(err)
		}
		return wire
	}
	for _, test := range []struct {
		name     string
		maxFrame int
		largest  int // 0 for more than the test has
	}{
		{"zero is 1 MiB", 0, 1 << 20},
		{"negative is none", -1, 0},
		{"4 KiB", 4096, 4096},
		{"the smallest frame", 8, 8},
	} {
		t.Run(test.name, func(t *testing.T) {
			conf := &frame.Config{MaxFrame: test.maxFrame}
			d := frame.NewDecoder(conf)
			if test.largest == 0 {
				if _, n, err := d.Next(whole(2 << 20)); err != nil {
					t.Errorf("a frame of 2 MiB: %d, %v", n, err)
				}
				return
			}
			if _, n, err := d.Next(whole(test.largest)); n != test.largest || err != nil {
				t.Errorf("a frame of the limit: %d, %v", n, err)
			}
			_, _, err := d.Next(whole(test.largest + 1)[:5])
			if e := wantReason(t, err, frame.TooLarge); e.Offset != int64(test.largest)+1 || e.Want != uint64(test.largest) {
				t.Errorf("the header of a frame one byte larger: %+v", *e)
			}
		})
	}
}

// The configuration may change between two frames, as after a login.
func TestSetConfig(t *testing.T) {
	small := &frame.Config{MaxFrame: 10}
	d := frame.NewDecoder(small)
	wire := unhex(t, "C8000000080010C9"+"C80000000D00103636363636C9"+"FF"+"C8000000080020C9")
	next := func() (frame.Frame, error) {
		f, n, err := d.Next(wire)
		wire = wire[n:]
		return f, err
	}
	if f, err := next(); f.Type != 0x10 || err != nil {
		t.Fatalf("first frame: %v, %v", f, err)
	}
	_, err := next()
	wantReason(t, err, frame.TooLarge)
	d.SetConfig(nil)
	if f, err := next(); string(f.Data) != "66666" || err != nil {
		t.Fatalf("second frame: %v, %v", f, err)
	}
	_, err = next()
	if e := wantReason(t, err, frame.BadHead); e.Offset != 21 {
		t.Errorf("garbage at offset %d, want 21", e.Offset)
	}
	d.SetConfig(&frame.Config{Resync: 1})
	if f, err := next(); f.Type != 0x20 || err != nil {
		t.Errorf("third frame: %v, %v", f, err)
	}
	if s := d.Skipped(); s.Bytes != 1 || d.Offset() != 30 {
		t.Errorf("%d bytes skipped, at offset %d", s.Bytes, d.Offset())
	}
}

// The zero Decoder cuts default frames; it can stand in a struct as it is.
func TestZeroDecoder(t *testing.T) {
	var d frame.Decoder
	if _, n, err := d.Next(nil); n != 0 || !errors.Is(err, frame.ErrShort) {
		t.Errorf("Next of nothing: %d, %v", n, err)
	}
	wire := unhex(t, "C80000000D00103636363636C9")
	f, n, err := d.Next(wire)
	if f.Type != 0x10 || string(f.Data) != "66666" || n != len(wire) || err != nil {
		t.Errorf("Next: %v, %d, %v", f, n, err)
	}
	if &f.Data[0] != &wire[7] || cap(f.Data) != 5 {
		t.Errorf("the data is not a window of its size into the bytes")
	}
	if s := d.Skipped(); s.Bytes != 0 || s.Runs != 0 || s.Sample != nil {
		t.Errorf("skipped: %+v", s)
	}
}
