package frame_test

import (
	"io"
	"slices"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// Heads, tails and data are drawn from few bytes, so that they are often found
// inside each other, and small numbers are among them, so that lengths are too.
var aByte = rapid.OneOf(rapid.SampledFrom([]byte{0xC8, 0xC9, 0x00, 0x01, 0x08, 0x10}), rapid.Byte())

var (
	someBytes = rapid.SliceOfN(aByte, 0, 48)
	upTo4     = rapid.SliceOfN(aByte, 0, 4)
	oneTo4    = rapid.SliceOfN(aByte, 1, 4)
)

// aFormat draws from all the valid formats.
var aFormat = rapid.Custom(func(t *rapid.T) frame.Format {
	return formatOf(t, upTo4, upTo4, frame.NoChecksum)
})

// aResyncFormat draws from the formats with which a frame can be recognized in
// the middle of a stream.
var aResyncFormat = rapid.Custom(func(t *rapid.T) frame.Format {
	if rapid.Bool().Draw(t, "default") {
		return frame.Format{}
	}
	if rapid.Bool().Draw(t, "with tail") {
		return formatOf(t, oneTo4, oneTo4, frame.NoChecksum)
	}
	return formatOf(t, oneTo4, upTo4, frame.Sum8)
})

func formatOf(t *rapid.T, head, tail *rapid.Generator[[]byte], leastSum frame.ChecksumKind) frame.Format {
	order := rapid.SampledFrom([]frame.Order{frame.BigEndian, frame.LittleEndian})
	f := frame.Format{
		Head:  string(head.Draw(t, "head")),
		Tail:  string(tail.Draw(t, "tail")),
		Order: order.Draw(t, "order"),
	}
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
	f.Checksum.Kind = frame.ChecksumKind(rapid.IntRange(int(leastSum), int(frame.CRC32)).Draw(t, "checksum"))
	if f.Checksum.Kind != frame.NoChecksum {
		f.Checksum.From = rapid.IntRange(0, len(f.Head)+f.Length.Width+f.Type.Width).Draw(t, "from")
		f.Checksum.Order = order.Draw(t, "checksum order")
	}
	return f
}

// drawFrame draws a type and data that c can say, and their frame.
func drawFrame(t *rapid.T, c *frame.Codec) (frame.Type, []byte, []byte) {
	typ := frame.Type(rapid.Uint32Max(uint32(c.MaxType())).Draw(t, "type"))
	data := someBytes.Draw(t, "data")
	wire, err := c.Append(nil, typ, data)
	if err != nil {
		t.Fatalf("Append(%v, %x): %v", typ, data, err)
	}
	return typ, data, wire
}

// drawStream draws bytes as a bad line or a bad peer sends them: frames, whole,
// torn and damaged, with garbage between them.
func drawStream(t *rapid.T, c *frame.Codec) (stream []byte) {
	for range rapid.IntRange(0, 8).Draw(t, "pieces") {
		switch piece := rapid.SampledFrom([]string{"frame", "frame", "torn", "damaged", "garbage", "head"}).Draw(t, "piece"); piece {
		case "frame", "torn", "damaged":
			_, _, wire := drawFrame(t, c)
			at := rapid.IntRange(0, len(wire)-1).Draw(t, "at")
			switch piece {
			case "torn":
				wire = wire[:at]
			case "damaged":
				wire[at] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
			}
			stream = append(stream, wire...)
		case "garbage":
			stream = append(stream, someBytes.Draw(t, "garbage")...)
		case "head":
			stream = append(stream, c.Format().Head...)
		}
	}
	return stream
}

// drawChunks cuts a stream as a network may.
func drawChunks(t *rapid.T, stream []byte) [][]byte {
	most := rapid.SampledFrom([]int{1, 2, 5, 100, 10000}).Draw(t, "largest chunk")
	return cut(stream, rapid.SliceOfN(rapid.IntRange(0, most), 1, 20).Draw(t, "chunks"))
}

// cut cuts stream into chunks of the given sizes, over and over.
func cut(stream []byte, sizes []int) (chunks [][]byte) {
	if slices.Max(sizes) == 0 {
		return [][]byte{stream}
	}
	for i := 0; len(stream) > 0; i++ {
		n := min(sizes[i%len(sizes)], len(stream))
		chunks, stream = append(chunks, stream[:n]), stream[n:]
	}
	return chunks
}

// chunkReader returns a chunk for every Read; an empty one is a Read of nothing.
type chunkReader struct{ chunks [][]byte }

func (r *chunkReader) Read(p []byte) (int, error) {
	if len(r.chunks) == 0 {
		return 0, io.EOF
	}
	n := copy(p, r.chunks[0])
	if r.chunks[0] = r.chunks[0][n:]; len(r.chunks[0]) == 0 {
		r.chunks = r.chunks[1:]
	}
	return n, nil
}
