package guess_test

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/longwire/longwire/frame"
	"github.com/longwire/longwire/internal/guess"
)

// aaLittle is the frame of examples/config/crc.yaml.
var aaLittle = frame.Format{
	Head:     "\xAA\x55",
	Length:   frame.Length{Offset: 2, Width: 2, Counts: frame.CountsData},
	Type:     frame.TypeField{Offset: 4, Width: 1},
	Order:    frame.LittleEndian,
	Checksum: frame.Checksum{Kind: frame.CRC16Modbus, Order: frame.LittleEndian},
}

// formats are frames as they are found in the field.
var formats = []struct {
	name   string
	format frame.Format
}{
	{"the default", frame.Default.Format()},
	{"meter with CRC-16/MODBUS", aaLittle},
	{"Modbus TCP, as far as a format can say it", frame.Format{
		Length: frame.Length{Offset: 4, Width: 2, Counts: frame.CountsRest},
		Type:   frame.TypeField{Width: 4},
	}},
	{"head 7e7e, sum and tail", frame.Format{
		Head:     "\x7E\x7E",
		Length:   frame.Length{Offset: 2, Width: 2, Counts: frame.CountsFrame},
		Type:     frame.TypeField{Offset: 4, Width: 2},
		Checksum: frame.Checksum{Kind: frame.Sum8},
		Tail:     "\x7E",
	}},
	{"vehicle: type first, xor8 from the type, two bytes at each end", frame.Format{
		Head:     "\x23\x23",
		Type:     frame.TypeField{Offset: 2, Width: 2},
		Length:   frame.Length{Offset: 4, Width: 2, Counts: frame.CountsData},
		Checksum: frame.Checksum{Kind: frame.Xor8, From: 2},
	}},
	{"meter 68…16: length of one byte, sum8", frame.Format{
		Head:     "\x68",
		Type:     frame.TypeField{Offset: 1, Width: 1},
		Length:   frame.Length{Offset: 2, Width: 1, Counts: frame.CountsData},
		Checksum: frame.Checksum{Kind: frame.Sum8},
		Tail:     "\x16",
	}},
	{"tracker 7878…0d0a: what follows the length is counted", frame.Format{
		Head:     "\x78\x78",
		Length:   frame.Length{Offset: 2, Width: 1, Counts: frame.CountsRest},
		Type:     frame.TypeField{Offset: 3, Width: 1},
		Checksum: frame.Checksum{Kind: frame.CRC16CCITTFalse, From: 2},
		Tail:     "\r\n",
	}},
	{"a length alone", frame.Format{Length: frame.Length{Width: 4, Counts: frame.CountsData}}},
	{"little endian with a CRC-32", frame.Format{
		Head:     "\xEB\x90",
		Length:   frame.Length{Offset: 2, Width: 4, Counts: frame.CountsFrame},
		Type:     frame.TypeField{Offset: 6, Width: 2},
		Order:    frame.LittleEndian,
		Checksum: frame.Checksum{Kind: frame.CRC32, Order: frame.LittleEndian},
	}},
}

// traffic are the ways in which boards fill their frames.
var traffic = map[string]func(r *rand.Rand) []byte{
	"json": func(r *rand.Rand) []byte {
		b, _ := json.Marshal(map[string]any{"dev": fmt.Sprintf("meter-%d", r.IntN(90)), "kwh": r.Float64() * 100, "note": strings.Repeat("x", r.IntN(20))})
		return b
	},
	"binary": func(r *rand.Rand) []byte {
		b := make([]byte, 1+r.IntN(40))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	},
	"readings": func(r *rand.Rand) []byte { // two bytes for each value, none of them large
		var b []byte
		for range 1 + r.IntN(12) {
			b = binary.BigEndian.AppendUint16(b, uint16(r.IntN(700)))
		}
		return b
	},
}

// stream makes n frames, with types of which there are a few.
func stream(t testing.TB, f frame.Format, r *rand.Rand, n int, data func(*rand.Rand) []byte) []byte {
	t.Helper()
	codec, err := frame.NewCodec(f)
	if err != nil {
		t.Fatal(err)
	}
	var b []byte
	for range n {
		typ := frame.Type(0)
		if f.Type.Width > 0 {
			typ = []frame.Type{0x01, 0x10, 0x20, 0x81}[r.IntN(4)]
		}
		if b, err = codec.Append(b, typ, data(r)); err != nil {
			t.Fatal(err)
		}
	}
	return b
}

// cuts returns where the data of each frame begins and ends.
func cuts(t testing.TB, f frame.Format, b []byte) (all [][2]int) {
	t.Helper()
	codec, err := frame.NewCodec(f)
	if err != nil {
		t.Fatal(err)
	}
	header := len(f.Head) + f.Length.Width + f.Type.Width
	for at := 0; at < len(b); {
		got, n, err := codec.Parse(b[at:], 0)
		if err != nil {
			at++
			continue
		}
		all = append(all, [2]int{at + header, at + header + len(got.Data)})
		at += n
	}
	return all
}

// TestKnown shows bytes of frames that are found in the field. A format is right when
// it gives the same data.
func TestKnown(t *testing.T) {
	for _, known := range formats {
		for kind, data := range traffic {
			t.Run(known.name+"/"+kind, func(t *testing.T) {
				r := rand.New(rand.NewPCG(1, 2))
				b := stream(t, known.format, r, 40, data)
				start := time.Now()
				got := guess.Formats([][]byte{b})
				if len(got) == 0 {
					t.Fatalf("no suggestion for %x", b[:80])
				}
				t.Logf("%v", time.Since(start))
				want := cuts(t, known.format, b)
				if kind == "readings" && known.format.Type.Width == 0 {
					// Readings whose first byte is 0, 1 or 2 are as good a type as any; the
					// right format only has to be among those that are suggested.
					got[0] = *among(t, got, b, want)
				}
				if have := cuts(t, got[0].Format, b); !slices.Equal(have, want) {
					for _, s := range got {
						t.Logf("%+v", s)
					}
					t.Errorf("the best one gives other data")
				}
			})
		}
	}
}

// among returns the suggestion that gives the wanted data, or the first one.
func among(t testing.TB, all []guess.Suggestion, b []byte, want [][2]int) *guess.Suggestion {
	for i := range all {
		if slices.Equal(cuts(t, all[i].Format, b), want) {
			return &all[i]
		}
	}
	return &all[0]
}

// rounds is how often something random is tried; the slow tests try it more often.
var rounds = 5

// TestNothing shows bytes in which there is no such frame. One in thirty may mislead it.
func TestNothing(t *testing.T) {
	random := func(r *rand.Rand, n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		return b
	}
	for name, draw := range map[string]func(r *rand.Rand) []byte{
		"random, some": func(r *rand.Rand) []byte { return random(r, 20+r.IntN(200)) },
		"random, more": func(r *rand.Rand) []byte { return random(r, 2000+r.IntN(3000)) },
		"few values": func(r *rand.Rand) []byte { // as in a picture or a file of records
			b := random(r, 500+r.IntN(1000))
			for i, x := range b {
				if x > 60 {
					b[i] = 0
				}
			}
			return b
		},
		"zeros": func(r *rand.Rand) []byte { return make([]byte, 100+r.IntN(2000)) },
		"samples": func(r *rand.Rand) (b []byte) { // a sine, 16 bits each
			from := r.IntN(1000)
			for i := range 300 + r.IntN(300) {
				b = binary.LittleEndian.AppendUint16(b, uint16(int(9000*math.Sin(float64(from+i)/float64(7+r.IntN(2))))))
			}
			return b
		},
		"records": func(r *rand.Rand) (b []byte) { // of one size, without a length
			for range 60 {
				b = append(append(b, 0x01, byte(r.IntN(3))), random(r, 22)...)
			}
			return b
		},
		"text": func(r *rand.Rand) []byte { return []byte(strings.Repeat("temperature 21.4 °C\r\n", 1+r.IntN(50))) },
		"JSON lines": func(r *rand.Rand) (b []byte) {
			for range 20 {
				b = append(append(b, traffic["json"](r)...), '\n')
			}
			return b
		},
		"HTTP": func(r *rand.Rand) []byte {
			body := random(r, 400)
			return append(fmt.Appendf(nil, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\nContent-Encoding: gzip\r\n\r\n", len(body)), body...)
		},
		"TLS": func(r *rand.Rand) (b []byte) {
			for i := range 12 {
				body := random(r, 40+r.IntN(400))
				b = append(append(b, byte(22+min(i/4, 1)), 3, 3, byte(len(body)>>8), byte(len(body))), body...)
			}
			return b
		},
	} {
		t.Run(name, func(t *testing.T) {
			wrong := 0
			for i := range rounds {
				b := draw(rand.New(rand.NewPCG(7, uint64(i))))
				if got := guess.Formats([][]byte{b}); len(got) > 0 {
					wrong++
					t.Logf("%d bytes: %+v", len(b), got[0])
				}
			}
			t.Logf("%d of %d", wrong, rounds)
			if 30*wrong > max(30, rounds) {
				t.Errorf("in %d of %d there was something", wrong, rounds)
			}
		})
	}
}
