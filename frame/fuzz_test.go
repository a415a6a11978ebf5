package frame_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/longwire/longwire/frame"
)

// fuzzCodecs returns the codecs of the vectors, in their order. A byte chooses
// one; 0 is the default format's.
func fuzzCodecs(f *testing.F) (codecs []*frame.Codec) {
	for _, v := range readVectors(f) {
		if !slices.Contains(codecs, v.codec) {
			codecs = append(codecs, v.codec)
		}
	}
	return codecs
}

// seed calls add for each vector, with the byte that chooses its format.
func seed(f *testing.F, codecs []*frame.Codec, add func(which byte, v vector)) {
	for _, v := range readVectors(f) {
		which := slices.IndexFunc(codecs, func(c *frame.Codec) bool { return c.Format() == v.codec.Format() })
		add(byte(which), v)
	}
}

// Whatever bytes it is given, Parse says what they are and stays with it: a frame
// is what Append makes, the beginning of a frame has only beginnings in it, and no
// more bytes make good what is wrong.
func FuzzParse(f *testing.F) {
	codecs := fuzzCodecs(f)
	seed(f, codecs, func(which byte, v vector) { f.Add(which, int32(v.limit), v.wire) })
	f.Fuzz(func(t *testing.T, which byte, limit int32, b []byte) {
		c := codecs[int(which)%len(codecs)]
		b = b[:len(b):len(b)]
		got, n, err := c.Parse(b, int(limit))
		if err == nil {
			wire, err := c.Append(nil, got.Type, got.Data)
			if err != nil || !bytes.Equal(wire, b[:n]) {
				t.Fatalf("Parse took %x for a frame; that frame is %x (%v)", b[:n], wire, err)
			}
			if limit > 0 && n > int(limit) || cap(got.Data) != len(got.Data) {
				t.Fatalf("a frame of %d bytes with limit %d, data of %d with capacity %d", n, limit, len(got.Data), cap(got.Data))
			}
		}
		if e, ok := errors.AsType[*frame.Error](err); ok {
			if e.Reason < frame.BadHead || e.Reason > frame.BadTail || e.Offset < 0 || e.Offset >= int64(len(b)) || e.Got == e.Want {
				t.Fatalf("Parse(%x): %+v", b, *e)
			}
		}
		_, m, again := c.Parse(append(b, "\xC9\x00\xC8"...), int(limit))
		if !errors.Is(err, frame.ErrShort) && (m != n || !reflect.DeepEqual(again, err)) {
			t.Fatalf("Parse(%x): %d, %v, and with more bytes behind it %d, %v", b, n, err, m, again)
		}
		for i := range b[:min(len(b), 64)] {
			_, m, early := c.Parse(b[:i:i], int(limit))
			switch {
			case errors.Is(early, frame.ErrShort):
			case errors.Is(err, frame.ErrShort), m != n, !reflect.DeepEqual(early, err):
				t.Fatalf("Parse(%x): %d, %v, and of the first %d bytes %d, %v", b, n, err, i, m, early)
			}
		}
	})
}

// What can be appended is parsed to the same, and is read back from a stream.
func FuzzRoundTrip(f *testing.F) {
	codecs := fuzzCodecs(f)
	seed(f, codecs, func(which byte, v vector) {
		if v.kind == "good" {
			f.Add(which, uint32(v.typ), v.data)
		}
	})
	f.Fuzz(func(t *testing.T, which byte, typ uint32, data []byte) {
		c := codecs[int(which)%len(codecs)]
		wire, err := c.Append(nil, frame.Type(typ), data)
		if err != nil {
			e, ok := errors.AsType[*frame.Error](err)
			tooLarge := c.Overhead()+len(data) > c.MaxSize()
			if !ok || wire != nil || tooLarge != (e.Reason == frame.TooLarge) || !tooLarge && frame.Type(typ) <= c.MaxType() {
				t.Fatalf("Append(%v, %x): %x, %v", typ, data, wire, err)
			}
			return
		}
		got, n, err := c.Parse(wire, len(wire))
		if err != nil || n != len(wire) || got.Type != frame.Type(typ) || !bytes.Equal(got.Data, data) {
			t.Fatalf("Parse(%x): %v, %d, %v; want type %x, data %x", wire, got, n, err, typ, data)
		}
		var sent bytes.Buffer
		w := frame.NewWriter(&sent, c)
		for range 3 {
			if err := w.WriteFrame(frame.Type(typ), data); err != nil {
				t.Fatal(err)
			}
		}
		frames := read(&frame.Config{Codec: c, MaxFrame: -1}, &sent).Frames
		if want := (found{Type: frame.Type(typ), Data: string(data)}); len(frames) != 3 || frames[0] != want || frames[2] != want {
			t.Fatalf("read %+v, want %+v three times", frames, want)
		}
	})
}

// However any stream is cut, a Decoder and a Reader tell what a plain search
// tells.
func FuzzChunking(f *testing.F) {
	codecs := fuzzCodecs(f)
	var wires [][]byte
	seed(f, codecs, func(which byte, v vector) {
		wires = append(wires, v.wire)
		stream := slices.Concat(v.wire, wires[len(wires)/2], v.wire)
		f.Add(which, uint16(0), int16(1000), []byte{3, 1, 4}, stream)
		f.Add(which, uint16(64), int16(40), []byte{1, 0, 200}, stream)
	})
	f.Fuzz(func(t *testing.T, which byte, maxFrame uint16, resync int16, sizes, stream []byte) {
		if len(stream) > 4096 || len(sizes) > 64 {
			return // more of the same
		}
		c := codecs[int(which)%len(codecs)]
		ints := []int{1}
		for _, n := range sizes {
			ints = append(ints, int(n))
		}
		limit := int(maxFrame)
		if limit == 0 {
			limit = frame.DefaultMaxFrame
		}
		conf := &frame.Config{Codec: c, MaxFrame: limit, Resync: int(resync)}
		wantTold(t, conf, stream, search(c, limit, int(resync), stream), cut(stream, ints))
	})
}
