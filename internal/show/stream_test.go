package show_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/show"
)

// The formats of the tests: the default, one with a checksum, and one by which nothing can be recognized.
var (
	plain, _ = frame.NewCodec(frame.Format{})
	sum, _   = frame.NewCodec(frame.Format{Head: "\xAA\x55", Length: frame.Length{Offset: 2, Width: 2, Counts: frame.CountsData}, Type: frame.TypeField{Offset: 4, Width: 1},
		Order: frame.LittleEndian, Checksum: frame.Checksum{Kind: frame.CRC16Modbus}})
	bare, _ = frame.NewCodec(frame.Format{Length: frame.Length{Width: 2}})
)

func encode(c *frame.Codec, typ frame.Type, data string) string {
	b, err := c.Append(nil, typ, []byte(data))
	if err != nil {
		panic(err)
	}
	return string(b)
}

// collect returns a Stream and what it has told, a line for each; and checks that it passes on
// all bytes in order.
func collect(c *frame.Codec, limit int, middle bool) (s *show.Stream, told func() []string, raw *bytes.Buffer) {
	var lines []string
	raw = new(bytes.Buffer)
	s = show.NewStream(c, limit, middle, &show.Room{Left: 1 << 30}, func(e show.Event) {
		raw.Write(e.Raw)
		switch p := e.Problem; {
		case e.IsFrame:
			lines = append(lines, fmt.Sprintf("@%d %v %s", e.Offset, e.Frame.Type, e.Frame.Data))
		case p != nil && p.Open:
			lines = append(lines, fmt.Sprintf("@%d %s: %s; open", p.Offset, p.Reason, p.Text))
		case p != nil && p.Again:
			lines = append(lines, fmt.Sprintf("@%d over; %d skipped", p.Offset, p.Skipped))
		case p != nil:
			lines = append(lines, fmt.Sprintf("@%d %s: %s; %d skipped", p.Offset, p.Reason, p.Text, p.Skipped))
		}
	})
	return s, func() []string { return lines }, raw
}

func TestStream(t *testing.T) {
	good := encode(plain, 0x10, "66666")
	damaged := good[:12] + "X"
	tests := []struct {
		name  string
		codec *frame.Codec
		bytes string
		want  []string
	}{
		{"frames", plain, good + encode(plain, 0x11, ""), []string{"@0 0x0010 66666", "@13 0x0011 "}},
		{"garbage between", plain, good + "\xff\xff" + good, []string{"@0 0x0010 66666", "@13 bad_head: wrong head at offset 13: 0xff, want 0xc8; 2 skipped", "@15 0x0010 66666"}},
		{"a wrong tail", plain, damaged + good, []string{"@0 bad_tail: wrong tail at offset 12: 0x58, want 0xc9; 13 skipped", "@13 0x0010 66666"}},
		{"garbage and a wrong tail", plain, "ab" + damaged + good, []string{"@0 bad_head: wrong head at offset 0: 0x61, want 0xc8; 2 skipped",
			"@2 bad_tail: wrong tail at offset 14: 0x58, want 0xc9; 13 skipped", "@15 0x0010 66666"}},
		{"a length below all", plain, "\xc8\x00\x00\x00\x03\x00\x10\xc9" + good, []string{"@0 bad_length: length 3 at offset 1 is below the smallest frame's, 8; 8 skipped", "@8 0x0010 66666"}},
		{"a length over the limit", plain, "\xc8\x00\xff\x00\x00\x00\x10\xc9" + good, []string{"@0 too_large: 16711680 bytes are over the limit of 1000 (length at offset 1); 8 skipped", "@8 0x0010 66666"}},
		{"a checksum", sum, encode(sum, 7, "ab") + "\xAA\x55\x02\x00\x07ab\x00\x00" + encode(sum, 7, "ab"),
			[]string{"@0 0x0007 ab", "@9 bad_checksum: wrong checksum at offset 16: 0x0000, want 0x777d; 9 skipped", "@18 0x0007 ab"}},
		{"an incomplete frame", plain, good + good[:9], []string{"@0 0x0010 66666", "@13 truncated: incomplete frame: it has 13 bytes, and they end at offset 22 behind 9 of them; 9 skipped"}},
		{"an incomplete length", plain, good[:3], []string{"@0 truncated: incomplete frame: the bytes end at offset 3, before its length; 3 skipped"}},
		{"frames behind what looked like one", plain, "\xc8\x00\x00\x03\x00\x00\x10" + good + good, []string{
			"@0 truncated: incomplete frame: it has 768 bytes, and they end at offset 33 behind 33 of them; 7 skipped", "@7 0x0010 66666", "@20 0x0010 66666"}},
		{"nothing to recognize", bare, "\x00\x03a\x00\x01bbbb", []string{"@0 0x0000 a",
			"@3 bad_length: length 1 at offset 3 is below the smallest frame's, 2; the rest is not searched: frames of this format have too little to recognize them by; 6 skipped"}},
		{"TLS", plain, "\x16\x03\x01\x02\x00\x01\x00\x01" + good, []string{"@0 tls: this is TLS, which is not decrypted; the rest is not looked at; 21 skipped"}},
		{"nearly TLS", plain, "\x16\x03\x01\x02\x00\x05" + good, []string{"@0 bad_head: wrong head at offset 0: 0x16, want 0xc8; 6 skipped", "@6 0x0010 66666"}},
		{"empty", plain, "", nil},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			for _, size := range []int{1, 3, 1000} {
				s, told, raw := collect(test.codec, 1000, false)
				for piece := range slices.Chunk([]byte(test.bytes), size) {
					s.Feed(piece)
				}
				s.End()
				if got := told(); !slices.Equal(got, test.want) {
					t.Errorf("%d bytes at a time: got\n%s\nwant\n%s", size, strings.Join(got, "\n"), strings.Join(test.want, "\n"))
				}
				if raw.String() != test.bytes {
					t.Errorf("passed on %q of %q", raw, test.bytes)
				}
				if s.Bytes != int64(len(test.bytes)) {
					t.Errorf("%d bytes", s.Bytes)
				}
			}
		})
	}
}

// Whoever watches hears of bytes that are no frame when they come.
func TestStreamLive(t *testing.T) {
	s, told, _ := collect(plain, 1000, false)
	s.Live = true
	s.Feed([]byte("GET / "))
	s.Feed([]byte("HTTP"))
	s.Feed([]byte(encode(plain, 1, "a")))
	want := []string{"@0 bad_head: wrong head at offset 0: 0x47, want 0xc8; open", "@0 over; 10 skipped", "@10 0x0001 a"}
	if got := told(); !slices.Equal(got, want) || s.Errors != 1 || s.Skipped != 10 {
		t.Errorf("got %q, %+v", got, s.Totals)
	}
}

// Behind missing bytes it goes on at the next whole frame, with the right offsets.
func TestStreamGap(t *testing.T) {
	good := encode(plain, 0x10, "66666")
	s, told, _ := collect(plain, 1000, false)
	s.Feed([]byte(good + good[:5]))
	s.Gap(3, "not in the capture")
	s.Feed([]byte(good[8:] + good))
	s.End()
	want := []string{"@0 0x0010 66666",
		"@13 truncated: incomplete frame: it has 13 bytes, and they end at offset 18 behind 5 of them; 5 skipped",
		"@18 missing: 3 bytes are missing at offset 18: not in the capture; 0 skipped",
		"@21 missing: no whole frame, behind the missing bytes; 5 skipped", "@26 0x0010 66666"}
	if got := told(); !slices.Equal(got, want) || s.Missing != 3 {
		t.Errorf("got %q, %+v", got, s.Totals)
	}
	s, told, _ = collect(bare, 1000, true)
	s.Gap(1, "lost")
	s.Feed([]byte("\x00\x03a"))
	s.End()
	want = []string{"@0 missing: 1 byte is missing at offset 0: lost; 0 skipped",
		"@1 unsearchable: the rest is not searched: frames of this format have too little to recognize them by; 3 skipped"}
	if got := told(); !slices.Equal(got, want) {
		t.Errorf("got %q", got)
	}
}

// What is found does not depend on how the bytes were cut, and all of them are passed on.
func TestStreamCuts(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		codec := rapid.SampledFrom([]*frame.Codec{plain, sum, bare}).Draw(rt, "codec")
		var whole []byte
		for range rapid.IntRange(0, 8).Draw(rt, "parts") {
			if rapid.Bool().Draw(rt, "frame") {
				whole, _ = codec.Append(whole, frame.Type(rapid.IntRange(0, int(min(codec.MaxType(), 255))).Draw(rt, "type")), rapid.SliceOfN(rapid.Byte(), 0, 40).Draw(rt, "data"))
			} else {
				whole = append(whole, rapid.SliceOfN(rapid.SampledFrom([]byte{0xC8, 0, 0, 9, 0xC9, 0xAA, 0x55, 1}), 0, 20).Draw(rt, "garbage")...)
			}
		}
		one, told, _ := collect(codec, 200, false)
		one.Feed(whole)
		one.End()
		s, cut, raw := collect(codec, 200, false)
		for rest := whole; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(rt, "n")
			s.Feed(rest[:n])
			rest = rest[n:]
		}
		s.End()
		if !slices.Equal(told(), cut()) || !bytes.Equal(raw.Bytes(), whole) || s.Totals != one.Totals {
			rt.Fatalf("got\n%s\nwant\n%s", strings.Join(cut(), "\n"), strings.Join(told(), "\n"))
		}
	})
}

// Streams that wait for the rest of large frames do not keep more than there is room for.
func TestStreamRoom(t *testing.T) {
	room := &show.Room{Left: 100 << 10}
	frames := 0
	emit := func(e show.Event) {
		if e.IsFrame {
			frames++
		}
	}
	begin := append([]byte("\xc8\x00\x0f\xff\xff\x00\x10"), make([]byte, 60<<10)...)
	a := show.NewStream(plain, 1<<20, false, room, emit)
	b := show.NewStream(plain, 1<<20, false, room, emit)
	a.Feed(begin)
	b.Feed(append(begin, encode(plain, 1, "found, because it is not waited")...))
	if frames != 1 || room.Left < 0 {
		t.Errorf("%d frames, %d left", frames, room.Left)
	}
	a.End()
	b.End()
	if room.Left != 100<<10 {
		t.Errorf("%d left", room.Left)
	}
}

// A stream that is made to cost much is given up.
func TestStreamCost(t *testing.T) {
	s, told, _ := collect(sum, 60_000, false)
	hostile := bytes.Repeat([]byte("\xAA\x55\x00\xA0"), 100_000) // each may begin a frame of 40 KiB
	s.Feed(hostile)
	s.End()
	if got := told(); !strings.Contains(got[len(got)-1], "too much of it looks like a frame") && !strings.Contains(strings.Join(got, ""), "too much of it") || s.Skipped != int64(len(hostile)) {
		t.Errorf("%d lines, the last is %q", len(got), got[len(got)-1])
	}
}
