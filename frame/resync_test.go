package frame_test

import (
	"bytes"
	"io"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

const (
	wireA = "\xC8\x00\x00\x00\x09\x00\x0AA\xC9"
	wireB = "\xC8\x00\x00\x00\x09\x00\x0BB\xC9"
)

func TestResync(t *testing.T) {
	long := strings.Repeat("garbage ", 20)
	skipped := func(cause frame.Reason, offset int64, bytes, runs int64, sample string) frame.Skipped {
		return frame.Skipped{Bytes: bytes, Runs: runs, Cause: cause, Offset: offset, Sample: []byte(sample)}
	}
	a, b := func(skipped int64) found { return found{0xA, "A", skipped} }, func(skipped int64) found { return found{0xB, "B", skipped} }
	for _, test := range []struct {
		name   string
		stream string
		want   told // Err nil means EOF
	}{
		{"no garbage", wireA + wireB,
			told{Frames: []found{a(0), b(0)}}},
		{"garbage first", "GET /" + wireA + wireB,
			told{Frames: []found{a(5), b(5)}, Skipped: skipped(frame.BadHead, 0, 5, 1, "GET /")}},
		{"garbage between", wireA + "GET /" + wireB,
			told{Frames: []found{a(0), b(5)}, Skipped: skipped(frame.BadHead, 9, 5, 1, "GET /")}},
		{"garbage last", wireA + wireB + "GET /",
			told{Frames: []found{a(0), b(0)}, Skipped: skipped(frame.BadHead, 18, 5, 1, "GET /")}},
		{"nothing else", "GET / HTTP/1.1\r\n",
			told{Skipped: skipped(frame.BadHead, 0, 16, 1, "GET / HTTP/1.1\r\n")}},
		{"two runs, the latest is shown", "one" + wireA + "\xC8three" + wireB,
			told{Frames: []found{a(3), b(9)}, Skipped: skipped(frame.TooLarge, 12, 9, 2, "\xC8three")}},
		{"the sample is of 64 bytes", long + wireA,
			told{Frames: []found{a(160)}, Skipped: skipped(frame.BadHead, 0, 160, 1, long[:64])}},
		{"heads alone", "\xC8\xC8\xC8\xC8" + wireA,
			told{Frames: []found{a(4)}, Skipped: skipped(frame.TooLarge, 0, 4, 1, "\xC8\xC8\xC8\xC8")}},
		{"tails alone", "\xC9\xC9\xC9" + wireA,
			told{Frames: []found{a(3)}, Skipped: skipped(frame.BadHead, 0, 3, 1, "\xC9\xC9\xC9")}},
		{"length too small", "\xC8\x00\x00\x00\x07" + wireA,
			told{Frames: []found{a(5)}, Skipped: skipped(frame.BadLength, 0, 5, 1, "\xC8\x00\x00\x00\x07")}},
		{"wrong tail", wireA[:8] + "\x00" + wireB,
			told{Frames: []found{b(9)}, Skipped: skipped(frame.BadTail, 0, 9, 1, wireA[:8]+"\x00")}},
		{"a byte lost inside a frame", wireA[:7] + "\xC9" + wireB,
			told{Frames: []found{b(8)}, Skipped: skipped(frame.BadTail, 0, 8, 1, wireA[:7]+"\xC9")}},
		{"a byte too many inside a frame", wireA[:7] + "AA\xC9" + wireB,
			told{Frames: []found{b(10)}, Skipped: skipped(frame.BadTail, 0, 10, 1, wireA[:7]+"AA\xC9")}},
		// The frame that is promised would end one byte before A does.
		{"a false beginning holds a frame back", "\xC8\x00\x00\x00\x0D" + wireA + wireB,
			told{Frames: []found{a(5), b(5)}, Skipped: skipped(frame.BadTail, 0, 5, 1, "\xC8\x00\x00\x00\x0D")}},
		// No byte that ends what the false beginning promises has come when the
		// stream ends: the frames in it may be its data.
		{"a false beginning holds back the end", wireA + "\xC8\x00\x00\x00\xFF" + wireA + wireB,
			told{Frames: []found{a(0)}, Err: &frame.Error{Reason: frame.Truncated, Offset: 32}}},
		{"a false beginning in a false beginning", "\xC8\x00\x00\x00\x10\xC8\x00\x00\x00\x0C" + wireA + wireB,
			told{Frames: []found{a(10), b(10)}, Skipped: skipped(frame.BadTail, 0, 10, 1, "\xC8\x00\x00\x00\x10\xC8\x00\x00\x00\x0C")}},
		{"the end inside a frame", "GET /" + wireA[:8],
			told{Skipped: skipped(frame.BadHead, 0, 5, 1, "GET /"), Err: &frame.Error{Reason: frame.Truncated, Offset: 13}}},
		// What validates is taken: a whole frame inside a damaged one is found.
		{"a frame in the data of a damaged one", "\xC8\x00\x00\x00\x11\x00\x0C" + wireA + "\x00" + wireB,
			told{Frames: []found{a(7), b(8)}, Skipped: skipped(frame.BadHead, 16, 8, 2, "\x00")}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.want.Err == nil {
				test.want.Err = io.EOF
			}
			wantTold(t, &frame.Config{Resync: 1000}, []byte(test.stream), test.want)
		})
	}
}

// The budget is of a whole stream, and exact: the byte that would be one too many
// is not skipped.
func TestResyncBudget(t *testing.T) {
	stream := []byte("one" + wireA + "\xC8\xC8three" + wireB + "four")
	a, b := found{0xA, "A", 3}, found{0xB, "B", 10}
	over := func(offset int64, budget uint64) error {
		return &frame.Error{Reason: frame.SkipBudget, Offset: offset, Got: budget + 1, Want: budget}
	}
	for _, test := range []struct {
		budget int
		want   told
	}{
		{14, told{Frames: []found{a, b}, Skipped: frame.Skipped{Bytes: 14, Runs: 3, Cause: frame.BadHead, Offset: 28, Sample: []byte("four")}, Err: io.EOF}},
		{13, told{Frames: []found{a, b}, Skipped: frame.Skipped{Bytes: 13, Runs: 3, Cause: frame.BadHead, Offset: 28, Sample: []byte("fou")}, Err: over(31, 13)}},
		{11, told{Frames: []found{a, b}, Skipped: frame.Skipped{Bytes: 11, Runs: 3, Cause: frame.BadHead, Offset: 28, Sample: []byte("f")}, Err: over(29, 11)}},
		{10, told{Frames: []found{a, b}, Skipped: frame.Skipped{Bytes: 10, Runs: 3, Cause: frame.BadHead, Offset: 28}, Err: over(28, 10)}},
		{9, told{Frames: []found{a}, Skipped: frame.Skipped{Bytes: 9, Runs: 2, Cause: frame.TooLarge, Offset: 12, Sample: []byte("\xC8\xC8thre")}, Err: over(18, 9)}},
		{3, told{Frames: []found{a}, Skipped: frame.Skipped{Bytes: 3, Runs: 2, Cause: frame.TooLarge, Offset: 12}, Err: over(12, 3)}},
		{2, told{Skipped: frame.Skipped{Bytes: 2, Runs: 1, Cause: frame.BadHead, Sample: []byte("on")}, Err: over(2, 2)}},
		{1, told{Skipped: frame.Skipped{Bytes: 1, Runs: 1, Cause: frame.BadHead, Sample: []byte("o")}, Err: over(1, 1)}},
		{0, told{Err: &frame.Error{Reason: frame.BadHead, Got: 'o', Want: 0xC8}}},
		{-1, told{Err: &frame.Error{Reason: frame.BadHead, Got: 'o', Want: 0xC8}}},
	} {
		wantTold(t, &frame.Config{Resync: test.budget}, stream, test.want)
	}
}

// To find that a checksum is wrong costs work in proportion to the frame. The
// budget counts it, so that a peer cannot have the same bytes summed for each of
// a thousand false heads.
func TestResyncBudgetCountsChecksums(t *testing.T) {
	c := mustCodec(t, frame.Format{
		Head:     "\xC8",
		Length:   frame.Length{Offset: 1, Width: 1},
		Checksum: frame.Checksum{Kind: frame.Xor8},
	})
	good, err := c.Append(nil, 0, []byte("good"))
	if err != nil {
		t.Fatal(err)
	}
	damaged := bytes.Replace(good, []byte("good"), []byte("hood"), 1) // 7 bytes to skip, 7 more for looking
	stream := slices.Concat(damaged, good)
	end := told{Frames: []found{{Data: "good", Skipped: 7}}, Skipped: frame.Skipped{Bytes: 7, Runs: 1, Cause: frame.BadChecksum, Sample: damaged}, Err: io.EOF}
	wantTold(t, &frame.Config{Codec: c, Resync: 14}, stream, end)
	for budget, skipped := range map[int]int64{13: 6, 8: 1, 7: 0, 6: 0} {
		wantTold(t, &frame.Config{Codec: c, Resync: budget}, stream, told{
			Skipped: frame.Skipped{Bytes: skipped, Runs: 1, Cause: frame.BadChecksum, Sample: append([]byte(nil), damaged[:skipped]...)},
			Err:     &frame.Error{Reason: frame.SkipBudget, Offset: skipped, Got: uint64(skipped) + 8, Want: uint64(budget)},
		})
	}
}

// Once the budget is spent, the stream is over, whatever is given next.
func TestResyncBudgetStaysSpent(t *testing.T) {
	d := frame.NewDecoder(&frame.Config{Resync: 4})
	rest := []byte("garbage")
	for range 3 {
		_, n, err := d.Next(rest)
		rest = append(rest[n:], wireA...)
		wantReason(t, err, frame.SkipBudget)
	}
	if s := d.Skipped(); s.Bytes != 4 || s.Runs != 1 || d.Offset() != 4 {
		t.Errorf("%+v, at offset %d", s, d.Offset())
	}
}

// Between good frames, garbage without a byte that a head begins with costs
// exactly itself.
func TestResyncFindsEveryFrameBetweenGarbage(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := aResyncFormat.Draw(t, "format")
		c := mustCodec(t, f)
		head := c.Format().Head[0]
		garbage := rapid.SliceOfN(aByte.Filter(func(b byte) bool { return b != head }), 0, 100)
		want := told{Err: io.EOF}
		var stream []byte
		skip := func() {
			g := garbage.Draw(t, "garbage")
			if len(g) > 0 {
				s := &want.Skipped
				s.Bytes += int64(len(g))
				s.Runs++
				s.Cause, s.Offset, s.Sample = frame.BadHead, int64(len(stream)), g[:min(len(g), 64)]
			}
			stream = append(stream, g...)
		}
		for range rapid.IntRange(0, 8).Draw(t, "frames") {
			skip()
			typ, data, wire := drawFrame(t, c)
			want.Frames = append(want.Frames, found{typ, string(data), want.Skipped.Bytes})
			stream = append(stream, wire...)
		}
		skip()
		wantTold(t, &frame.Config{Codec: c, Resync: max(len(stream), 1)}, stream, want, drawChunks(t, stream))
	})
}

// Of any stream, however it is cut, a Decoder and a Reader tell what a plain
// search tells, to the last byte of the budget.
func TestResyncIsASearch(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := mustCodec(t, rapid.OneOf(aResyncFormat, aFormat).Draw(t, "format"))
		stream := drawStream(t, c)
		// A small limit makes more lengths impossible and false beginnings short.
		maxFrame := rapid.SampledFrom([]int{1 << 20, 80, 40}).Draw(t, "limit")
		resync := rapid.OneOf(rapid.Just(1<<20), rapid.IntRange(0, 100)).Draw(t, "resync")
		want := search(c, maxFrame, resync, stream)
		conf := &frame.Config{Codec: c, MaxFrame: maxFrame, Resync: resync}
		wantTold(t, conf, stream, want, drawChunks(t, stream))
	})
}

// In noise that is made to look like frames, no frame is told of that does not
// stand there: decode compares each with the stream.
func TestResyncOfNoise(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	frames, noise := 0, []byte{0xC8, 0xC8, 0x00, 0x00, 0x00, 0x08, 0x09, 0xC9, 0xC9}
	conf := &frame.Config{MaxFrame: 32, Resync: 1 << 20}
	for range 200 {
		stream := make([]byte, 4000)
		for i := range stream {
			stream[i] = noise[random.IntN(len(noise))]
		}
		got := decode(t, conf, cut(stream, []int{1000}))
		frames += len(got.Frames)
	}
	if frames == 0 {
		t.Error("the noise has no frame at all; the test tests nothing")
	}
}
