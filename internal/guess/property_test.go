package guess_test

import (
	"encoding/json"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/guess"
)

// aFormat draws from the formats that can be told at all: those that have more than a
// length of one byte.
var aFormat = rapid.Custom(func(t *rapid.T) frame.Format {
	order := rapid.SampledFrom([]frame.Order{frame.BigEndian, frame.LittleEndian})
	fixed := rapid.SliceOfN(rapid.ByteRange(0x20, 0xFF), 0, 4)
	f := frame.Format{Head: string(fixed.Draw(t, "head")), Tail: string(fixed.Draw(t, "tail")), Order: order.Draw(t, "order")}
	f.Length.Width = rapid.SampledFrom([]int{1, 2, 4}).Draw(t, "length width")
	f.Length.Counts = rapid.SampledFrom([]frame.Counts{frame.CountsFrame, frame.CountsRest, frame.CountsData}).Draw(t, "counts")
	f.Type.Width = rapid.SampledFrom([]int{0, 1, 2, 4}).Draw(t, "type width")
	f.Length.Offset = len(f.Head)
	switch {
	case f.Type.Width == 0:
	case rapid.Bool().Draw(t, "type first"):
		f.Type.Offset = len(f.Head)
		f.Length.Offset += f.Type.Width
	default:
		f.Type.Offset = len(f.Head) + f.Length.Width
	}
	f.Checksum.Kind = rapid.SampledFrom([]frame.ChecksumKind{0, 0, 1, 2, 3, 4, 5}).Draw(t, "checksum")
	if f.Checksum.Kind != frame.NoChecksum {
		f.Checksum.From = rapid.SampledFrom([]int{0, len(f.Head), len(f.Head) + f.Length.Width + f.Type.Width}).Draw(t, "from")
		f.Checksum.Order = order.Draw(t, "checksum order")
	}
	if f.Length.Width == 1 && f.Head == "" && f.Tail == "" && f.Checksum.Kind == frame.NoChecksum {
		f.Tail = "\r"
	}
	return f
})

var someData = rapid.Custom(func(t *rapid.T) []byte {
	if rapid.Bool().Draw(t, "json") {
		b, _ := json.Marshal(map[string]any{"id": rapid.IntRange(0, 500).Draw(t, "id"), "v": rapid.Float64Range(0, 100).Draw(t, "v"), "s": rapid.StringMatching(`[a-z]{0,20}`).Draw(t, "s")})
		return b
	}
	// Not rapid.Byte, which draws small numbers again and again: those are no
	// more random than a head.
	seed := rapid.Uint64().Draw(t, "seed")
	b := make([]byte, rapid.IntRange(0, 60).Draw(t, "size"))
	for i := range b {
		seed = seed*6364136223846793005 + 1442695040888963407
		b[i] = byte(seed >> 56)
	}
	return b
})

// TestRandomFormats draws formats, and streams of frames of them of which some begin
// and end in the middle of a frame. The best suggestion must give the same data; two
// formats that do are equal here, as these do:
//
//   - a type before the length of which there is only one value, and a longer head;
//   - the first bytes of the next frame's head, and a longer tail, in a stream that
//     begins in the middle of a frame;
//   - a length of two bytes whose first one is always zero, and one of one byte.
//
// It need not always be right: where the type ends and the data begins cannot be seen
// when the length does not count the data alone, and four types followed by data
// that by chance begins alike are a wider type.
func TestRandomFormats(t *testing.T) {
	right, total := 0, 3*rounds
	for i := range total {
		c := aCapture.Example(i)
		got := guess.Formats([][]byte{c.bytes})
		if len(got) > 0 && same(follow(got[0].Format, c.bytes, c.from), c.data) {
			right++
		} else {
			t.Logf("from %d, want %+v, got %+v", c.from, c.format, got)
		}
	}
	t.Logf("%d of %d", right, total)
	if 10*right < 9*total {
		t.Errorf("right for %d of %d formats, want 9 of 10", right, total)
	}
}

// A capture is what was seen of a stream of frames, from an offset on, and where the
// data of each frame is in the stream.
type capture struct {
	format frame.Format
	bytes  []byte
	from   int
	data   [][2]int
}

var aCapture = rapid.Custom(func(t *rapid.T) (c capture) {
	c.format = aFormat.Draw(t, "format")
	codec, err := frame.NewCodec(c.format)
	if err != nil {
		t.Fatal(err)
	}
	types := rapid.SliceOfNDistinct(rapid.Uint32Range(1, uint32(min(codec.MaxType(), 300))|1), 1, 5, rapid.ID).Draw(t, "types")
	header := len(c.format.Head) + c.format.Length.Width + c.format.Type.Width
	for range rapid.IntRange(20, 60).Draw(t, "frames") {
		typ := frame.Type(0)
		if c.format.Type.Width > 0 {
			typ = frame.Type(rapid.SampledFrom(types).Draw(t, "type"))
		}
		data, at := someData.Draw(t, "data"), len(c.bytes)
		if c.bytes, err = codec.Append(c.bytes, typ, data); err != nil {
			t.Fatal(err)
		}
		c.data = append(c.data, [2]int{at + header, at + header + len(data)})
	}
	if rapid.IntRange(0, 3).Draw(t, "cut") == 0 {
		c.from = rapid.IntRange(0, min(20, len(c.bytes)/4)).Draw(t, "from")
		c.bytes = c.bytes[c.from : len(c.bytes)-rapid.IntRange(0, 5).Draw(t, "less")]
	}
	return c
})

// follow returns where the data of the frames in b is, when b begins at an offset.
func follow(f frame.Format, b []byte, offset int) [][2]int {
	codec, _ := frame.NewCodec(f)
	header := len(f.Head) + f.Length.Width + f.Type.Width
	var best [][2]int
	for start := range min(200, len(b)) {
		var all [][2]int
		for at := start; at < len(b); {
			got, n, err := codec.Parse(b[at:], 0)
			if err != nil {
				break
			}
			all = append(all, [2]int{offset + at + header, offset + at + header + len(got.Data)})
			at += n
		}
		if len(all) > len(best) {
			best = all
		}
	}
	return best
}

// same reports whether got is want, but for frames that are cut off.
func same(got, want [][2]int) bool {
	if len(got) < len(want)-3 || len(got) == 0 {
		return false
	}
	at := slices.Index(want, got[0])
	return at >= 0 && at+len(got) <= len(want) && slices.Equal(want[at:at+len(got)], got)
}
