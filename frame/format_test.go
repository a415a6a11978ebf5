package frame_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// wantRefused checks that the format is refused for this field.
func wantRefused(t rapid.TB, f frame.Format, field string) {
	t.Helper()
	c, err := frame.NewCodec(f)
	e, ok := errors.AsType[*frame.FormatError](err)
	if !ok || c != nil {
		t.Fatalf("NewCodec(%+v) = %v, %v; want a FormatError", f, c, err)
	}
	if e.Field != field || e.Problem == "" {
		t.Errorf("NewCodec(%+v): %v; want the field %s at fault", f, e, field)
	}
}

func TestFormatsRefused(t *testing.T) {
	for _, test := range []struct {
		name   string
		change func(f *frame.Format) // of the default format
		field  string
	}{
		{"head of 5 bytes", func(f *frame.Format) { f.Head = "12345" }, "Head"},
		{"tail of 5 bytes", func(f *frame.Format) { f.Tail = "12345" }, "Tail"},
		{"unknown order", func(f *frame.Format) { f.Order = 2 }, "Order"},

		{"no length", func(f *frame.Format) { f.Length = frame.Length{} }, "Length.Width"},
		{"length of 3 bytes", func(f *frame.Format) { f.Length.Width = 3 }, "Length.Width"},
		{"length of 8 bytes", func(f *frame.Format) { f.Length.Width = 8 }, "Length.Width"},
		{"negative width of the length", func(f *frame.Format) { f.Length.Width = -1 }, "Length.Width"},
		{"length that counts something else", func(f *frame.Format) { f.Length.Counts = 3 }, "Length.Counts"},
		{"length inside the head", func(f *frame.Format) { f.Length.Offset = 0 }, "Length.Offset"},
		{"length at a negative offset", func(f *frame.Format) { f.Length.Offset = -1 }, "Length.Offset"},
		{"length at a negative offset without a head", func(f *frame.Format) { f.Head, f.Length.Offset = "", -1 }, "Length.Offset"},
		{"length far away, no type", func(f *frame.Format) { f.Length.Offset, f.Type = 2, frame.TypeField{} }, "Length.Offset"},
		{"gap between the type and the length", func(f *frame.Format) { f.Type.Offset, f.Length.Offset = 1, 4 }, "Length.Offset"},
		{"length that begins inside the type", func(f *frame.Format) { f.Type.Offset, f.Length.Offset = 1, 2 }, "Length.Offset"},
		{"length at the end of the world", func(f *frame.Format) { f.Type.Offset, f.Length.Offset = 1, math.MaxInt }, "Length.Offset"},

		{"type of 3 bytes", func(f *frame.Format) { f.Type.Width = 3 }, "Type.Width"},
		{"type of 8 bytes", func(f *frame.Format) { f.Type.Width = 8 }, "Type.Width"},
		{"negative width of the type", func(f *frame.Format) { f.Type.Width = -2 }, "Type.Width"},
		{"place for a type that is not there", func(f *frame.Format) { f.Type.Width = 0 }, "Type.Offset"},
		{"type inside the head", func(f *frame.Format) { f.Type.Offset = 0 }, "Type.Offset"},
		{"type at a negative offset", func(f *frame.Format) { f.Type.Offset = -1 }, "Type.Offset"},
		{"type in the place of the length", func(f *frame.Format) { f.Type.Offset = 1 }, "Type.Offset"},
		{"type that begins inside the length", func(f *frame.Format) { f.Type.Offset = 4 }, "Type.Offset"},
		{"gap between the length and the type", func(f *frame.Format) { f.Type.Offset = 6 }, "Type.Offset"},
		{"type at the end of the world", func(f *frame.Format) { f.Type.Offset = math.MaxInt }, "Type.Offset"},
		{"gap between the head and the type", func(f *frame.Format) { f.Type.Offset, f.Length.Offset = 2, 4 }, "Type.Offset"},

		{"unknown checksum", func(f *frame.Format) { f.Checksum.Kind = frame.CRC32 + 1 }, "Checksum.Kind"},
		{"place for a checksum that is not there", func(f *frame.Format) { f.Checksum.From = 1 }, "Checksum.Kind"},
		{"order of a checksum that is not there", func(f *frame.Format) { f.Checksum.Order = frame.LittleEndian }, "Checksum.Kind"},
		{"unknown order of the checksum", func(f *frame.Format) { f.Checksum = frame.Checksum{Kind: frame.CRC32, Order: 2} }, "Checksum.Order"},
		{"checksum from before the frame", func(f *frame.Format) { f.Checksum = frame.Checksum{Kind: frame.Sum8, From: -1} }, "Checksum.From"},
		{"checksum from inside the data", func(f *frame.Format) { f.Checksum = frame.Checksum{Kind: frame.Sum8, From: 8} }, "Checksum.From"},

		{"zero but for the order", func(f *frame.Format) { *f = frame.Format{Order: frame.LittleEndian} }, "Length.Width"},
	} {
		t.Run(test.name, func(t *testing.T) {
			f := frame.Default.Format()
			test.change(&f)
			wantRefused(t, f, test.field)
		})
	}
}

// TestEveryLayout tries every place and width of length and type around heads of
// every size: accepted are those in which every byte before the data belongs to
// exactly one of the three.
func TestEveryLayout(t *testing.T) {
	accepted := 0
	for head := range 6 {
		for lengthAt := -1; lengthAt < 10; lengthAt++ {
			for length := range 6 {
				for typeAt := -1; typeAt < 10; typeAt++ {
					for typ := range 6 {
						f := frame.Format{
							Head:   "\xC8\xC8\xC8\xC8\xC8"[:head],
							Length: frame.Length{Offset: lengthAt, Width: length},
							Type:   frame.TypeField{Offset: typeAt, Width: typ},
						}
						if f == (frame.Format{}) {
							continue // means the default format
						}
						c, err := frame.NewCodec(f)
						if want := unambiguous(f); want != (err == nil) {
							t.Fatalf("NewCodec(%+v): %v; want accepted %t", f, err, want)
						}
						if err == nil {
							accepted++
							if c.Overhead() != head+length+typ {
								t.Errorf("%+v: overhead %d", f, c.Overhead())
							}
						}
					}
				}
			}
		}
	}
	// Five heads, three lengths, no type or three types in two places.
	if want := 5 * 3 * (1 + 3*2); accepted != want {
		t.Errorf("%d layouts are accepted, want %d", accepted, want)
	}
}

// unambiguous marks the bytes of each field and looks for gaps and overlaps.
func unambiguous(f frame.Format) bool {
	width := map[int]bool{1: true, 2: true, 4: true}
	if len(f.Head) > 4 || !width[f.Length.Width] || f.Type.Width != 0 && !width[f.Type.Width] {
		return false
	}
	if f.Type.Width == 0 && f.Type.Offset != 0 {
		return false
	}
	owners := make(map[int]int)
	mark := func(from, width int) {
		for at := from; at < from+width; at++ {
			owners[at]++
		}
	}
	mark(0, len(f.Head))
	mark(f.Length.Offset, f.Length.Width)
	mark(f.Type.Offset, f.Type.Width)
	for at := range len(f.Head) + f.Length.Width + f.Type.Width {
		if owners[at] != 1 {
			return false
		}
	}
	return true
}

// Whatever is in a Format, it is refused with a FormatError or it works.
func TestAnyFormatIsRefusedOrWorks(t *testing.T) {
	small := rapid.OneOf(rapid.IntRange(-2, 13), rapid.Int())
	field := rapid.StringN(0, 6, 6)
	rapid.Check(t, func(t *rapid.T) {
		f := frame.Format{
			Head:     field.Draw(t, "head"),
			Length:   frame.Length{Offset: small.Draw(t, "length at"), Width: small.Draw(t, "length"), Counts: frame.Counts(small.Draw(t, "counts"))},
			Type:     frame.TypeField{Offset: small.Draw(t, "type at"), Width: small.Draw(t, "type")},
			Order:    frame.Order(small.Draw(t, "order")),
			Checksum: frame.Checksum{Kind: frame.ChecksumKind(small.Draw(t, "checksum")), From: small.Draw(t, "from"), Order: frame.Order(small.Draw(t, "checksum order"))},
			Tail:     field.Draw(t, "tail"),
		}
		c, err := frame.NewCodec(f)
		if err != nil {
			if _, ok := errors.AsType[*frame.FormatError](err); !ok || c != nil {
				t.Fatalf("%v, %v", c, err)
			}
			return
		}
		_, _, wire := drawFrame(t, c)
		if _, n, err := c.Parse(wire, 0); n != len(wire) || err != nil {
			t.Errorf("Parse(%x): %d, %v", wire, n, err)
		}
	})
}

func TestValidFormatsAreAccepted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := aFormat.Draw(t, "format")
		c := mustCodec(t, f)
		if c.Format() != f {
			t.Errorf("Format() is %+v, want %+v", c.Format(), f)
		}
		empty, err := c.Append(nil, 0, nil)
		if err != nil || len(empty) != c.Overhead() {
			t.Errorf("the smallest frame is %x, %v; overhead %d", empty, err, c.Overhead())
		}
		again := mustCodec(t, c.Format())
		if *again != *c {
			t.Errorf("the codec of a codec's format differs: %+v, %+v", again, c)
		}
	})
}

// The zero Format is the default one, and asking for it spelled out is the same.
func TestDefaultFormat(t *testing.T) {
	want := frame.Format{
		Head:   "\xC8",
		Length: frame.Length{Offset: 1, Width: 4, Counts: frame.CountsFrame},
		Type:   frame.TypeField{Offset: 5, Width: 2},
		Order:  frame.BigEndian,
		Tail:   "\xC9",
	}
	for _, f := range []frame.Format{{}, want} {
		if c := mustCodec(t, f); c.Format() != want || *c != *frame.Default {
			t.Errorf("%+v is %+v", f, c.Format())
		}
	}
}

// A frame is recognized by its head and by what stands at its end.
func TestCanResync(t *testing.T) {
	for _, test := range []struct {
		head, tail string
		checksum   frame.ChecksumKind
		want       bool
	}{
		{"\xC8", "\xC9", frame.NoChecksum, true},
		{"\xC8", "", frame.Sum8, true},
		{"\xC8", "\xC9", frame.Sum8, true},
		{"\xC8", "", frame.NoChecksum, false},
		{"", "\xC9", frame.NoChecksum, false},
		{"", "\xC9", frame.CRC32, false},
		{"", "", frame.NoChecksum, false},
	} {
		t.Run(fmt.Sprintf("%x-%d-%x", test.head, test.checksum, test.tail), func(t *testing.T) {
			c := mustCodec(t, frame.Format{
				Head:     test.head,
				Length:   frame.Length{Offset: len(test.head), Width: 2},
				Checksum: frame.Checksum{Kind: test.checksum},
				Tail:     test.tail,
			})
			if c.CanResync() != test.want {
				t.Errorf("CanResync is %t", c.CanResync())
			}
			garbage := []byte("\x00\x00garbage")
			got := decode(t, &frame.Config{Codec: c, Resync: 100}, [][]byte{garbage})
			if skipped := got.Skipped.Bytes > 0; skipped != test.want {
				t.Errorf("%d bytes are skipped, %v", got.Skipped.Bytes, got.Err)
			}
		})
	}
}
