package frame_test

import (
	"bytes"
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// wantReason checks that err is an *Error with this reason, and returns it.
func wantReason(t rapid.TB, err error, want frame.Reason) *frame.Error {
	t.Helper()
	e, ok := errors.AsType[*frame.Error](err)
	if !ok {
		t.Fatalf("error is %v, want an *Error with reason %v", err, want)
	}
	if e.Reason != want {
		t.Errorf("reason is %v (%v), want %v", e.Reason, e, want)
	}
	return e
}

func TestParseReturnsWhatWasAppended(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustCodec(t, aFormat.Draw(t, "format"))
		typ, data, wire := drawFrame(t, c)
		if len(wire) != c.Overhead()+len(data) {
			t.Errorf("the frame has %d bytes, want %d more than the %d of data", len(wire), c.Overhead(), len(data))
		}
		f, n, err := c.Parse(append(wire, someBytes.Draw(t, "behind")...), 0)
		if err != nil || n != len(wire) || f.Type != typ || !bytes.Equal(f.Data, data) {
			t.Errorf("Parse(%x) = %v %x, %d, %v; want %v %x", wire, f.Type, f.Data, n, err, typ, data)
		}
		if len(f.Data) != cap(f.Data) {
			t.Errorf("an append to the data would overwrite what stands behind it: %d bytes, capacity %d", len(f.Data), cap(f.Data))
		}
	})
}

func TestParseOfEveryPrefixIsShort(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustCodec(t, aFormat.Draw(t, "format"))
		_, _, wire := drawFrame(t, c)
		for n := range wire {
			if f, size, err := c.Parse(wire[:n:n], len(wire)); !errors.Is(err, frame.ErrShort) || size != 0 || f.Data != nil {
				t.Fatalf("Parse of the first %d bytes of %x: %v, %d, %v; want ErrShort alone", n, wire, f, size, err)
			}
		}
	})
}

func TestParseKeepsToTheLimit(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustCodec(t, aFormat.Draw(t, "format"))
		_, _, wire := drawFrame(t, c)
		limit := len(wire) + rapid.IntRange(-4, 4).Draw(t, "room")
		_, n, err := c.Parse(wire, limit)
		switch {
		case limit <= 0 || limit >= len(wire):
			if err != nil || n != len(wire) {
				t.Errorf("Parse of %d bytes with limit %d: %d, %v", len(wire), limit, n, err)
			}
		default:
			e := wantReason(t, err, frame.TooLarge)
			if e.Got != uint64(len(wire)) || e.Want != uint64(limit) || e.Offset != int64(c.Format().Length.Offset) {
				t.Errorf("Parse of %d bytes with limit %d: %+v", len(wire), limit, *e)
			}
		}
	})
}

// A limit that no frame can keep to refuses every frame, and no limit still has
// that of the format.
func TestParseWithUnusualLimits(t *testing.T) {
	wire := unhex(t, "C80000000D00103636363636C9")
	for _, limit := range []int{1, 7, 8, 12} {
		_, _, err := frame.Default.Parse(wire, limit)
		wantReason(t, err, frame.TooLarge)
	}
	for _, limit := range []int{math.MinInt, -1, 0, 13, math.MaxInt32, math.MaxInt} {
		if _, n, err := frame.Default.Parse(wire, limit); n != len(wire) || err != nil {
			t.Errorf("limit %d: %d, %v", limit, n, err)
		}
		for _, header := range []string{"C880000000", "C8FFFFFFFF", "C8FFFFFFFF0010C9C9C9"} {
			_, _, err := frame.Default.Parse(unhex(t, header), limit)
			if e := wantReason(t, err, frame.TooLarge); e.Want > math.MaxInt32 {
				t.Errorf("limit %d: the error says %d", limit, e.Want)
			}
		}
	}
}

// A window into the bytes: no copy is made, neither of much nor of little data.
func TestParseDoesNotCopy(t *testing.T) {
	wire := unhex(t, "C80000000D00103636363636C9")
	f, _, err := frame.Default.Parse(wire, 0)
	if err != nil || &f.Data[0] != &wire[7] {
		t.Errorf("the data is not a window into the bytes (%v)", err)
	}
}

// With width 4 the limit is 2 GiB - 1 and not what the field could say; see
// TestAppendAtTheLimitOfTheAddressSpace.
func TestAppendRefusesWhatTheFieldsCannotSay(t *testing.T) {
	length := func(width int, counts frame.Counts) frame.Format {
		f := frame.Default.Format()
		f.Length.Width, f.Length.Counts, f.Type.Offset = width, counts, 1+width
		return f
	}
	for _, test := range []struct {
		name    string
		format  frame.Format
		maxSize int
		maxType frame.Type
	}{
		{"1 byte of frame", length(1, frame.CountsFrame), 0xFF, 0xFFFF},
		{"1 byte of rest", length(1, frame.CountsRest), 2 + 0xFF, 0xFFFF},
		{"1 byte of data", length(1, frame.CountsData), 5 + 0xFF, 0xFFFF},
		{"2 bytes of frame", length(2, frame.CountsFrame), 0xFFFF, 0xFFFF},
		{"2 bytes of rest", length(2, frame.CountsRest), 3 + 0xFFFF, 0xFFFF},
		{"2 bytes of data", length(2, frame.CountsData), 6 + 0xFFFF, 0xFFFF},
		{"4 bytes of frame", length(4, frame.CountsFrame), math.MaxInt32, 0xFFFF},
		{"4 bytes of rest", length(4, frame.CountsRest), math.MaxInt32, 0xFFFF},
		{"4 bytes of data", length(4, frame.CountsData), math.MaxInt32, 0xFFFF},
		{"no type", frame.Format{Length: frame.Length{Width: 1}}, 0xFF, 0},
		{"1 byte of type", frame.Format{Length: frame.Length{Width: 1}, Type: frame.TypeField{Offset: 1, Width: 1}}, 0xFF, 0xFF},
		{"4 bytes of type", frame.Format{Length: frame.Length{Width: 1}, Type: frame.TypeField{Offset: 1, Width: 4}}, 0xFF, math.MaxUint32},
	} {
		t.Run(test.name, func(t *testing.T) {
			c := mustCodec(t, test.format)
			if c.MaxSize() != test.maxSize || c.MaxType() != test.maxType {
				t.Errorf("largest size is %d and type %v, want %d and %v", c.MaxSize(), c.MaxType(), test.maxSize, test.maxType)
			}
			before := []byte("before")
			if test.maxType < math.MaxUint32 {
				got, err := c.Append(before, test.maxType+1, nil)
				e := wantReason(t, err, frame.BadType)
				if string(got) != "before" || e.Got != uint64(test.maxType)+1 || e.Want != uint64(test.maxType) {
					t.Errorf("Append of type %v: %q, %+v", test.maxType+1, got, *e)
				}
			}
			if test.maxSize == math.MaxInt32 {
				return
			}
			data := make([]byte, test.maxSize-c.Overhead()+1)
			got, err := c.Append(before, test.maxType, data)
			e := wantReason(t, err, frame.TooLarge)
			if string(got) != "before" || e.Got != uint64(test.maxSize)+1 || e.Want != uint64(test.maxSize) {
				t.Errorf("Append of %d bytes: %q, %+v", len(data), got, *e)
			}
			wire, err := c.Append(nil, test.maxType, data[1:])
			if err != nil {
				t.Fatalf("Append of the largest frame: %v", err)
			}
			if f, n, err := c.Parse(wire, 0); n != test.maxSize || f.Type != test.maxType || !bytes.Equal(f.Data, data[1:]) || err != nil {
				t.Errorf("Parse of the largest frame: %d bytes, type %v, %v", n, f.Type, err)
			}
		})
	}
}

// A nil Codec and the zero one are the default format's, wherever a Codec goes.
func TestNilAndZeroCodecsAreTheDefault(t *testing.T) {
	wire := unhex(t, "C80000000D00103636363636C9")
	for name, c := range map[string]*frame.Codec{"nil": nil, "zero": new(frame.Codec), "default": frame.Default} {
		t.Run(name, func(t *testing.T) {
			if got, err := c.Append(nil, 0x10, []byte("66666")); !bytes.Equal(got, wire) {
				t.Errorf("Append: %x, %v", got, err)
			}
			if f, n, err := c.Parse(wire, 0); n != len(wire) || f.Type != 0x10 || string(f.Data) != "66666" {
				t.Errorf("Parse: %v, %d, %v", f, n, err)
			}
			if c.Format() != frame.Default.Format() || c.Overhead() != 8 || c.MaxType() != 0xFFFF || c.MaxSize() != math.MaxInt32 || !c.CanResync() {
				t.Errorf("%+v, %d, %v, %d, %t", c.Format(), c.Overhead(), c.MaxType(), c.MaxSize(), c.CanResync())
			}
			if got := decode(t, &frame.Config{Codec: c}, [][]byte{wire}); len(got.Frames) != 1 {
				t.Errorf("Decoder: %+v", got)
			}
		})
	}
}

// Numbers are told as they stand on the wire: a length as the field counts it,
// bytes in their order.
func TestErrorNumbers(t *testing.T) {
	c := mustCodec(t, frame.Format{
		Head:     "\xC8",
		Length:   frame.Length{Offset: 1, Width: 2, Counts: frame.CountsRest},
		Order:    frame.LittleEndian,
		Checksum: frame.Checksum{Kind: frame.CRC16Modbus, From: 3, Order: frame.LittleEndian},
		Tail:     "\x0D\x0A",
	})
	for _, test := range []struct {
		name, wire string
		limit      int
		want       frame.Error
	}{
		{"good", "C80D00" + "313233343536373839" + "374B" + "0D0A", 0, frame.Error{}},
		{"length", "C80300", 0, frame.Error{Reason: frame.BadLength, Offset: 1, Got: 3, Want: 4}},
		{"limit", "C80D00", 15, frame.Error{Reason: frame.TooLarge, Offset: 1, Got: 16, Want: 15}},
		{"checksum", "C80D00" + "313233343536373839" + "4B37" + "0D0A", 0, frame.Error{Reason: frame.BadChecksum, Offset: 12, Got: 0x4B37, Want: 0x374B}},
		{"tail", "C80D00" + "313233343536373839" + "374B" + "0A0D", 0, frame.Error{Reason: frame.BadTail, Offset: 14, Got: 0x0A0D, Want: 0x0D0A}},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, _, err := c.Parse(unhex(t, test.wire), test.limit)
			if test.want.Reason == 0 && err == nil {
				return
			}
			if e := wantReason(t, err, test.want.Reason); *e != test.want {
				t.Errorf("got %+v, want %+v", *e, test.want)
			}
		})
	}
}

func TestErrorWords(t *testing.T) {
	for err, want := range map[error]string{
		&frame.Error{Reason: frame.BadHead, Offset: 7, Got: 0x47, Want: 0xC8}:    "frame: wrong head at offset 7: 0x47, want 0xc8",
		&frame.Error{Reason: frame.BadTail, Offset: 12, Got: 0x00, Want: 0xC9}:   "frame: wrong tail at offset 12: 0x00, want 0xc9",
		&frame.Error{Reason: frame.BadChecksum, Offset: 9, Got: 0x1234, Want: 1}: "frame: wrong checksum at offset 9: 0x1234, want 0x01",
		&frame.Error{Reason: frame.BadLength, Offset: 1, Got: 7, Want: 8}:        "frame: length 7 at offset 1 is below the smallest frame's, 8",
		&frame.Error{Reason: frame.TooLarge, Offset: 1, Got: 4097, Want: 4096}:   "frame: 4097 bytes are over the limit of 4096 (length at offset 1)",
		&frame.Error{Reason: frame.BadType, Got: 0x10000, Want: 0xFFFF}:          "frame: type 0x10000 is larger than the type field's largest, 0xffff",
		&frame.Error{Reason: frame.Truncated, Offset: 12}:                        "frame: the stream ended at offset 12, inside a frame",
		&frame.Error{Reason: frame.SkipBudget, Offset: 20, Got: 11, Want: 10}:    "frame: no frame up to offset 20: at least 11 bytes to skip, over the budget of 10",
		&frame.Error{}: "frame: reason_0",
		&frame.FormatError{Field: "Length.Width", Problem: "is 3; it must be 1, 2 or 4"}: "frame: format: Length.Width: is 3; it must be 1, 2 or 4",
	} {
		if err.Error() != want {
			t.Errorf("got  %s\nwant %s", err, want)
		}
	}
	if got := frame.Type(0x10).String(); got != "0x0010" {
		t.Errorf("type 0x10 is printed as %s", got)
	}
}
