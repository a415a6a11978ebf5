package frame_test

import (
	"bytes"
	"errors"
	"io"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// sink notes each Write. It returns the numbers and errors that it is given, if
// any.
type sink struct {
	writes []string
	room   int // capacity of the last slice
	short  int // bytes to leave out
	err    error
}

func (s *sink) Write(p []byte) (int, error) {
	s.writes = append(s.writes, string(p))
	s.room = cap(p)
	return len(p) - s.short, s.err
}

func TestWriterWritesEachFrameAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustCodec(t, aFormat.Draw(t, "format"))
		var got sink
		w := frame.NewWriter(&got, c)
		for i := range rapid.IntRange(1, 5).Draw(t, "frames") {
			typ, data, wire := drawFrame(t, c)
			if err := w.WriteFrame(typ, data); err != nil {
				t.Fatal(err)
			}
			if len(got.writes) != i+1 || got.writes[i] != string(wire) {
				t.Fatalf("frame %d: %x, want one write more, of %x", i, got.writes, wire)
			}
		}
	})
}

// What cannot be said is refused before anything is written, and the Writer goes
// on.
func TestWriterRefuses(t *testing.T) {
	for _, test := range []struct {
		name          string
		width         int // of length and type
		typ           frame.Type
		size          int // of the data
		want          frame.Reason
		largest, wire int
	}{
		{"type over 1 byte", 1, 0x100, 0, frame.BadType, 253, 255},
		{"type over 2 bytes", 2, 0x10000, 0, frame.BadType, 65531, 65535},
		{"largest type over 1 byte", 1, math.MaxUint32, 0, frame.BadType, 253, 255},
		{"size over 1 byte", 1, 0xFF, 254, frame.TooLarge, 253, 255},
		{"size over 2 bytes", 2, 0xFFFF, 65532, frame.TooLarge, 65531, 65535},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustCodec(t, frame.Format{
				Length: frame.Length{Width: test.width},
				Type:   frame.TypeField{Offset: test.width, Width: test.width},
			})
			var got sink
			w := frame.NewWriter(&got, c)
			wantReason(t, w.WriteFrame(test.typ, make([]byte, test.size)), test.want)
			if len(got.writes) != 0 {
				t.Fatalf("%x was written", got.writes)
			}
			if err := w.WriteFrame(c.MaxType(), make([]byte, test.largest)); err != nil || len(got.writes[0]) != test.wire {
				t.Errorf("the largest frame: %d bytes, %v; want %d", len(got.writes[0]), err, test.wire)
			}
		})
	}
}

// After an error a frame may be torn, and whatever followed it would be taken for
// its rest.
func TestWriterErrorsStay(t *testing.T) {
	broken := errors.New("the line is broken")
	for _, test := range []struct {
		name string
		sink sink
		want error
	}{
		{"nothing written", sink{short: 8, err: broken}, broken},
		{"torn", sink{short: 1, err: broken}, broken},
		{"all written", sink{err: broken}, broken},
		{"short", sink{short: 1}, io.ErrShortWrite},
		{"nothing and no error", sink{short: 8}, io.ErrShortWrite},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := frame.NewWriter(&test.sink, nil)
			if err := w.WriteFrame(0x10, nil); err != test.want {
				t.Fatalf("got %v, want %v", err, test.want)
			}
			test.sink.short, test.sink.err = 0, nil
			for _, data := range [][]byte{nil, []byte("66666")} {
				if err := w.WriteFrame(0x10, data); err != test.want {
					t.Errorf("after the error: %v, want it again", err)
				}
			}
			if len(test.sink.writes) != 1 {
				t.Errorf("%d writes, want none after the error", len(test.sink.writes)-1)
			}
		})
	}
}

// A Writer that had one large frame to write does not keep room for another.
func TestWriterBuffer(t *testing.T) {
	var got sink
	w := frame.NewWriter(&got, nil)
	for _, size := range []int{5, 1 << 20, 5} {
		if err := w.WriteFrame(0x10, bytes.Repeat([]byte{'6'}, size)); err != nil {
			t.Fatal(err)
		}
	}
	if got.room > 64<<10 {
		t.Errorf("after a frame of 1 MiB the buffer has %d bytes", got.room)
	}
}
