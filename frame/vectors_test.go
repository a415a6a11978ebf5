package frame_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"testing/iotest"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// A vector is one line of testdata/vectors.txt, together with the format line
// above it.
type vector struct {
	line   int
	kind   string // good, bad or short
	name   string // of the format
	codec  *frame.Codec
	limit  int // as for Parse
	wire   []byte
	typ    frame.Type
	data   []byte
	reason string
	offset int64
}

// config cuts streams of the vector's format.
func (v vector) config() *frame.Config {
	if v.limit == 0 {
		return &frame.Config{Codec: v.codec, MaxFrame: -1}
	}
	return &frame.Config{Codec: v.codec, MaxFrame: v.limit}
}

var (
	orders = map[string]frame.Order{"big": frame.BigEndian, "little": frame.LittleEndian}
	counts = map[string]frame.Counts{"frame": frame.CountsFrame, "rest": frame.CountsRest, "data": frame.CountsData}
	kinds  = map[string]frame.ChecksumKind{
		"none": frame.NoChecksum, "sum8": frame.Sum8, "xor8": frame.Xor8, "crc32": frame.CRC32,
		"crc16_modbus": frame.CRC16Modbus, "crc16_ccitt_false": frame.CRC16CCITTFalse,
	}
)

// readVectors reads testdata/vectors.txt, which explains itself at its top.
func readVectors(tb testing.TB) (vectors []vector) {
	tb.Helper()
	text, err := os.ReadFile("testdata/vectors.txt")
	if err != nil {
		tb.Fatal(err)
	}
	var format vector // what the format line says
	for line := range strings.Lines(string(text)) {
		format.line++
		v := format
		w := strings.FieldsFunc(line, func(r rune) bool { return strings.ContainsRune(" =,\n", r) })
		switch {
		case len(w) == 0 || w[0] == "#":
		case w[0] == "format" && len(w) == 21:
			format.name, format.limit = w[1], number(tb, w[20])
			format.codec = mustCodec(tb, frame.Format{
				Head:     string(unhex(tb, w[3])),
				Tail:     string(unhex(tb, w[5])),
				Order:    word(tb, orders, w[7]),
				Length:   frame.Length{Offset: number(tb, w[9]), Width: number(tb, w[10]), Counts: word(tb, counts, w[11])},
				Type:     frame.TypeField{Offset: number(tb, w[13]), Width: number(tb, w[14])},
				Checksum: frame.Checksum{Kind: word(tb, kinds, w[16]), From: number(tb, w[17]), Order: word(tb, orders, w[18])},
			})
		case w[0] == "good" && len(w) == 4:
			v.kind, v.wire, v.typ, v.data = w[0], unhex(tb, w[1]), frame.Type(number(tb, w[2])), unhex(tb, w[3])
			vectors = append(vectors, v)
		case w[0] == "bad" && len(w) == 4:
			v.kind, v.wire, v.reason, v.offset = w[0], unhex(tb, w[1]), w[2], int64(number(tb, w[3]))
			vectors = append(vectors, v)
		case w[0] == "short" && len(w) == 2:
			v.kind, v.wire = w[0], unhex(tb, w[1])
			vectors = append(vectors, v)
		default:
			tb.Fatalf("testdata/vectors.txt:%d: not understood: %s", v.line, line)
		}
	}
	return vectors
}

func number(tb rapid.TB, s string) int {
	tb.Helper()
	n, err := strconv.ParseUint(s, 0, 32)
	if err != nil {
		tb.Fatal(err)
	}
	return int(n)
}

func unhex(tb rapid.TB, s string) []byte {
	tb.Helper()
	if s == "-" {
		return nil
	}
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func word[T any](tb rapid.TB, words map[string]T, s string) T {
	tb.Helper()
	v, ok := words[s]
	if !ok {
		tb.Fatalf("unknown word %q", s)
	}
	return v
}

func mustCodec(tb rapid.TB, f frame.Format) *frame.Codec {
	tb.Helper()
	c, err := frame.NewCodec(f)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestVectors(t *testing.T) {
	behind := [][]byte{nil, {0x00}, []byte("\xC8\xC9\xC8\xC9\xC8\xC9")}
	for _, v := range readVectors(t) {
		t.Run(fmt.Sprintf("%s/line%d", v.name, v.line), func(t *testing.T) {
			switch v.kind {
			case "good":
				testWritten(t, v)
				for _, more := range behind {
					testGood(t, v, more)
				}
				for n := range v.wire {
					testShort(t, v, v.wire[:n])
				}
			case "bad":
				for _, more := range behind {
					testBad(t, v, more)
				}
			case "short":
				testShort(t, v, v.wire)
			}
		})
	}
}

// testWritten checks that the frame of the vector is written as the vector says.
func testWritten(t *testing.T, v vector) {
	got, err := v.codec.Append([]byte("before"), v.typ, v.data)
	if err != nil || string(got) != "before"+string(v.wire) {
		t.Errorf("Append(%v, %x) = %x, %v; want %x", v.typ, v.data, got, err, v.wire)
	}
	var sent bytes.Buffer
	if err := frame.NewWriter(&sent, v.codec).WriteFrame(v.typ, v.data); err != nil || !bytes.Equal(sent.Bytes(), v.wire) {
		t.Errorf("WriteFrame(%v, %x) wrote %x, %v; want %x", v.typ, v.data, sent.Bytes(), err, v.wire)
	}
}

// testGood checks that the vector's frame is found, with more bytes behind it.
func testGood(t *testing.T, v vector, more []byte) {
	check := func(who string, f frame.Frame, err error) {
		t.Helper()
		if err != nil || f.Type != v.typ || !bytes.Equal(f.Data, v.data) {
			t.Errorf("%s: got type %v, data %x, %v; want %v, %x", who, f.Type, f.Data, err, v.typ, v.data)
		}
	}
	stream := append(bytes.Clone(v.wire), more...)
	f, n, err := v.codec.Parse(stream, v.limit)
	check("Parse", f, err)
	if n != len(v.wire) {
		t.Errorf("Parse: size %d, want %d", n, len(v.wire))
	}
	d := frame.NewDecoder(v.config())
	f, n, err = d.Next(stream)
	check("Decoder", f, err)
	if n != len(v.wire) || d.Offset() != int64(n) {
		t.Errorf("Decoder: consumed %d, at offset %d, want %d", n, d.Offset(), len(v.wire))
	}
	for _, r := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
		f, err = frame.NewReader(r, v.config()).Next()
		check("Reader", f, err)
	}
}

// testBad checks that the vector's bytes are refused as it says, whatever follows.
func testBad(t *testing.T, v vector, more []byte) {
	check := func(who string, err error) {
		t.Helper()
		e, ok := errors.AsType[*frame.Error](err)
		if !ok || e.Reason.String() != v.reason || e.Offset != v.offset {
			t.Errorf("%s: got %v, want %s at %d", who, err, v.reason, v.offset)
		}
	}
	stream := append(bytes.Clone(v.wire), more...)
	_, n, err := v.codec.Parse(stream, v.limit)
	check("Parse", err)
	d := frame.NewDecoder(v.config())
	_, m, err := d.Next(stream)
	check("Decoder", err)
	if n != 0 || m != 0 {
		t.Errorf("Parse consumed %d and Decoder %d bytes of what is no frame", n, m)
	}
	for _, r := range []io.Reader{bytes.NewReader(stream), iotest.OneByteReader(bytes.NewReader(stream))} {
		_, err = frame.NewReader(r, v.config()).Next()
		check("Reader", err)
	}
}

// testShort checks that b is taken for the beginning of a frame.
func testShort(t *testing.T, v vector, b []byte) {
	if _, n, err := v.codec.Parse(b, v.limit); n != 0 || !errors.Is(err, frame.ErrShort) {
		t.Errorf("Parse(%x): size %d, %v; want 0, ErrShort", b, n, err)
	}
	d := frame.NewDecoder(v.config())
	if _, n, err := d.Next(b); n != 0 || !errors.Is(err, frame.ErrShort) {
		t.Errorf("Decoder: consumed %d of %x, %v; want 0, ErrShort", n, b, err)
	}
	_, err := frame.NewReader(bytes.NewReader(b), v.config()).Next()
	if e, ok := errors.AsType[*frame.Error](err); len(b) > 0 && (!ok || e.Reason != frame.Truncated || e.Offset != int64(len(b))) {
		t.Errorf("Reader: %v after %x, want truncated at %d", err, b, len(b))
	} else if len(b) == 0 && !errors.Is(err, io.EOF) {
		t.Errorf("Reader: %v after nothing, want EOF", err)
	}
}

// TestVectorsCoverTheFormats keeps the vectors complete: an implementation that
// passes them has met every value of every field of a Format.
func TestVectorsCoverTheFormats(t *testing.T) {
	seen := map[string]bool{}
	for _, v := range readVectors(t) {
		f := v.codec.Format()
		for _, what := range []string{
			fmt.Sprintf("head of %d, %s", len(f.Head), v.kind),
			fmt.Sprintf("tail of %d, %s", len(f.Tail), v.kind),
			fmt.Sprintf("length of %d, counts %d, %s", f.Length.Width, f.Length.Counts, v.kind),
			fmt.Sprintf("order %d, %s", f.Order, v.kind),
			fmt.Sprintf("type of %d, length first %t, %s", f.Type.Width, f.Length.Offset == len(f.Head), v.kind),
			fmt.Sprintf("checksum %d %d, all %t, %s", f.Checksum.Kind, f.Checksum.Order, f.Checksum.From == 0, v.reason),
		} {
			seen[what] = true
		}
	}
	want := func(format string, args ...any) {
		if what := fmt.Sprintf(format, args...); !seen[what] {
			t.Errorf("no vector with %s", what)
		}
	}
	for _, kind := range []string{"good", "bad", "short"} {
		for n := range 5 {
			want("head of %d, %s", n, kind)
			want("tail of %d, %s", n, kind)
		}
		for _, n := range []int{0, 1, 2, 4} {
			want("type of %d, length first true, %s", n, kind)
		}
		for _, n := range []int{1, 2, 4} {
			want("type of %d, length first false, %s", n, kind)
			want("length of %d, counts %d, %s", n, frame.CountsFrame, kind)
			want("length of %d, counts %d, %s", n, frame.CountsRest, kind)
			want("length of %d, counts %d, %s", n, frame.CountsData, kind)
		}
		want("order %d, %s", frame.BigEndian, kind)
		want("order %d, %s", frame.LittleEndian, kind)
	}
	for kind := frame.Sum8; kind <= frame.CRC32; kind++ {
		want("checksum %d %d, all true, bad_checksum", kind, frame.BigEndian)
		want("checksum %d %d, all false, bad_checksum", kind, frame.BigEndian)
		if kind > frame.Xor8 {
			want("checksum %d %d, all true, bad_checksum", kind, frame.LittleEndian)
			want("checksum %d %d, all false, bad_checksum", kind, frame.LittleEndian)
		}
	}
}
