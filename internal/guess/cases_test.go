package guess_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/guess"
)

// wantSame checks that the best suggestion for streams gives the data that f gives.
func wantSame(t *testing.T, f frame.Format, streams ...[]byte) guess.Suggestion {
	t.Helper()
	got := guess.Formats(streams)
	if len(got) == 0 {
		t.Fatalf("no suggestion")
	}
	for _, s := range streams {
		if have, want := cuts(t, got[0].Format, s), cuts(t, f, s); !slices.Equal(have, want) {
			t.Fatalf("%+v gives other data than %+v: %v, want %v", got[0], f, have, want)
		}
	}
	return got[0]
}

// TestOneFrame shows single frames: enough for a guess, which says that it is one.
func TestOneFrame(t *testing.T) {
	for _, data := range []string{`66666`, `{"kwh":21.5}`} {
		b, _ := frame.Default.Append(nil, 16, []byte(data))
		s := wantSame(t, frame.Default.Format(), b)
		if s.Format != frame.Default.Format() || s.Frames != 1 || !strings.Contains(s.Why, "only one whole frame") {
			t.Errorf("%s: %+v", data, s)
		}
	}
	codec, _ := frame.NewCodec(aaLittle)
	b, _ := codec.Append(nil, 0x20, []byte(`{"a":1}`))
	if s := wantSame(t, aaLittle, b); s.Format != aaLittle {
		t.Errorf("%+v", s)
	}
	if got := guess.Formats([][]byte{{0xC8, 0, 0}}); len(got) > 0 {
		t.Errorf("three bytes: %+v", got)
	}
	if got := guess.Formats(nil); got != nil {
		t.Errorf("no bytes: %+v", got)
	}
}

// TestManyStreams shows connections on which one frame was sent, each with another size.
func TestManyStreams(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 3))
	codec, _ := frame.NewCodec(aaLittle)
	var streams [][]byte
	for i := range 6 {
		b, _ := codec.Append(nil, frame.Type(1+i%2), traffic["binary"](r))
		streams = append(streams, b, nil)
	}
	if s := wantSame(t, aaLittle, streams...); s.Frames != 6 || s.Skipped != 0 {
		t.Errorf("%+v", s)
	}
}

// TestGarbage shows streams that begin and end in the middle of a frame, with bytes
// between frames that are none.
func TestGarbage(t *testing.T) {
	for _, known := range formats[:2] {
		r := rand.New(rand.NewPCG(5, 5))
		a, b := stream(t, known.format, r, 30, traffic["binary"]), stream(t, known.format, r, 30, traffic["json"])
		b = slices.Concat(a[7:], []byte("\x01\x02garbage\xFF"), b[:len(b)-6])
		if s := wantSame(t, known.format, b); s.Skipped == 0 || !strings.Contains(s.Why, fmt.Sprintf("%d bytes are in no frame", s.Skipped)) {
			t.Errorf("%s: %+v", known.name, s)
		}
	}
}

// TestExact checks that formats of the field come out as they are, byte for byte, and
// not only as ones that give the same data.
func TestExact(t *testing.T) {
	for _, known := range formats {
		if known.format.Head == "" || known.format.Type.Offset == 2 {
			continue // these have more than one true answer
		}
		b := stream(t, known.format, rand.New(rand.NewPCG(9, 9)), 60, traffic["binary"])
		if s := wantSame(t, known.format, b); s.Format != known.format {
			t.Errorf("%s: %+v, want %+v", known.name, s.Format, known.format)
		}
	}
}

// TestModbusTCP shows answers to a master that counts its questions: what stands first
// is another number each time. Of unit, function and count, behind the length, nothing
// is a type that a format can have elsewhere.
func TestModbusTCP(t *testing.T) {
	r := rand.New(rand.NewPCG(4, 4))
	var b []byte
	for i := range 40 {
		n := 2 + 2*r.IntN(6)
		b = append(b, byte(i>>8), byte(i), 0, 0, 0, byte(3+n), 1, 3, byte(n))
		for range n {
			b = append(b, byte(r.Uint32()))
		}
	}
	wantSame(t, frame.Format{Length: frame.Length{Offset: 2, Width: 4, Counts: frame.CountsRest}, Type: frame.TypeField{Width: 2}}, b)
}

// TestOther checks what is said of streams that are something else.
func TestOther(t *testing.T) {
	for want, b := range map[string]string{
		"text": "temp=21.4 °C\r\n",
		"HTTP": "POST /v1 HTTP/1.1\r\nHost: x\r\n\r\n\x00\x01",
		"TLS":  "\x16\x03\x01\x00\x04\x01\x00\x00\x00\x17\x03\x03\x00\x90rest",
		"SSH":  "SSH-2.0-OpenSSH_9.2\r\n\x00\x00",
		"":     "\xC8\x00\x00\x00\x08\x00\x10\xC9",
	} {
		if got := guess.Other([][]byte{[]byte(b)}); got != want {
			t.Errorf("Other(%q) = %q, want %q", b, got, want)
		}
	}
}

// much is how many bytes TestBounded looks at.
var much = 1 << 20

// TestBounded gives it bytes that take long, if any do. A machine that has nothing else
// to do needs half a second for the worst of them; what takes a minute goes through
// something again and again.
func TestBounded(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	random := make([]byte, much)
	for i := range random {
		random[i] = byte(r.Uint32())
	}
	var large []byte
	for i := range 14 { // of nearly one size
		large, _ = frame.Default.Append(large, 16, random[i:much/15])
	}
	for name, b := range map[string][]byte{
		"random":       random,
		"zeros":        make([]byte, much),
		"ones":         bytes.Repeat([]byte{1}, much),
		"heads":        bytes.Repeat([]byte{0xC8}, much),
		"short ones":   bytes.Repeat([]byte{0xC8, 0, 0, 0, 8, 0, 16, 0xC9}, much/8),
		"large frames": large,
		"frames":       bytes.Repeat(stream(t, aaLittle, r, 400, traffic["binary"]), 100)[:much],
		"small values": func() []byte {
			b := slices.Clone(random)
			for i := range b {
				b[i] &= 0x07
			}
			return b
		}(),
	} {
		start := time.Now()
		got := guess.Formats([][]byte{b})
		took := time.Since(start)
		t.Logf("%s: %v, %d", name, took, len(got))
		if took > time.Minute {
			t.Errorf("%s: takes %v", name, took)
		}
		if (name == "large frames" || name == "frames") && len(got) == 0 {
			t.Errorf("%s: no suggestion", name)
		}
	}
}

// FuzzFormats checks that what is suggested is a format, and what is said of it true.
func FuzzFormats(f *testing.F) {
	f.Add([]byte("\xC8\x00\x00\x00\x08\x00\x10\xC9"), []byte("\xC8\x00\x00\x00\x09\x00\x10a\xC9"))
	f.Add([]byte("\xAA\x55\x01\x00\x01x\x00\x00"), []byte(nil))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		if len(a)+len(b) > 512 {
			return
		}
		for _, s := range guess.Formats([][]byte{a, b}) {
			if _, err := frame.NewCodec(s.Format); err != nil {
				t.Fatal(err)
			}
			if s.Frames < 1 || s.Skipped < 0 || s.Covered+s.Skipped > len(a)+len(b) || s.Why == "" {
				t.Fatalf("%+v", s)
			}
		}
	})
}
