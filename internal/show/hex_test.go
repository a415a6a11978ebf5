package show_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/longwire/longwire/internal/show"
)

func TestHexReader(t *testing.T) {
	const frame = "c80000000d00103636363636c9"
	squeezed := strings.Repeat("00", 64) + "c9"
	tests := []struct{ name, text, want string }{
		{"digits", frame, frame},
		{"spaces and lines", "c8 0000000d\r\n\n0010 36 36363636\tc9\n", frame},
		{"capitals and 0x", "0xC8,0x00,0x00,0x0,0x0D, 0x00, 0x10", "c80000000d0010"},
		{"0x without spaces", "0xc80x000x10", "c80010"},
		{"escapes", `\xc8\x00"\x0d`, "c8000d"},
		{"C", "{0xc8, 0x00}; # the head\n0x0d", "c8000d"},
		{"colons", "c8:00:0d", "c8000d"},
		{"xxd", "00000000: c800 0000 0d00 1036 3636 3636 c9    .......66666.\n", frame},
		{"xxd, other offset, digits in the text", "00000010: 6162 6364                                abcd\n00000014: 65                                       e\n", "6162636465"},
		{"hexdump -C", "00000000  c8 00 00 00 0d 00 10 36  36 36 36 36 c9           |.......66666.|\n0000000d\n", frame},
		{"hexdump -C, two rows", "00000000  61 61 61 61 61 61 61 61  61 61 61 61 61 61 61 61  |aaaaaaaaaaaaaaaa|\n00000010  62 7c                                             |b||\n00000012\n",
			strings.Repeat("61", 16) + "627c"},
		{"hexdump -C, rows left out", "00000000  00 00 00 00 00 00 00 00  00 00 00 00 00 00 00 00  |................|\n*\n00000040  c9                                                |.|\n00000041\n", squeezed},
		{"Wireshark", "0000   c8 00 00 00 0d 00 10 36 36 36 36 36 c9            .......66666.\n", frame},
		{"Wireshark, digits in the text", "0000   61 62                                             ab\n", "6162"},
		{"our own", string(show.AppendDump(nil, []byte("0123456789abcdef|cd"))), hex.EncodeToString([]byte("0123456789abcdef|cd"))},
		{"zeros", "00000000", "00000000"},
		{"empty", " \n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			got, err := io.ReadAll(show.NewHexReader(strings.NewReader(test.text)))
			if err != nil || hex.EncodeToString(got) != test.want {
				t.Errorf("got %x, %v, want %s", got, err, test.want)
			}
		})
	}
}

func TestHexReaderProblems(t *testing.T) {
	tests := []struct {
		text         string
		line, column int
		problem      string
	}{
		{"c8 00\nc8 0g", 2, 5, `"g" is no hexadecimal digit`},
		{"hello", 1, 1, `"h" is no hexadecimal digit`},
		{"c8 0 00", 1, 4, "one digit alone"},
		{"c8000", 1, 1, "5 digits in a row"},
		{"0x", 1, 1, "no hexadecimal digit behind 0x"},
		{"c8 \x1b[2J", 1, 4, `"\x1b" is no hexadecimal digit`},
		{"00000000  00 00  |..|\n*\n00000041\n", 3, 1, "do not fit its offset"},
		{"00000000  00 00  |..|\n*\nffffffff0\n", 3, 1, "do not fit its offset"},
	}
	for _, test := range tests {
		_, err := io.ReadAll(show.NewHexReader(strings.NewReader(test.text)))
		e, ok := errors.AsType[*show.HexError](err)
		if !ok || e.Line != test.line || e.Column != test.column || !strings.Contains(e.Problem, test.problem) {
			t.Errorf("%q: %v", test.text, err)
		}
	}
}

// Text is read or refused, and all bytes that are written as digits come back.
func FuzzHexReader(f *testing.F) {
	f.Add("c8 00 0x0d", []byte("c8"))
	f.Add("00000000: c800  ..\n*\n00000010: 00", []byte{0})
	f.Add("00000000  00 00  |..|\n*\n00000004\n", []byte("|\x00"))
	f.Fuzz(func(t *testing.T, text string, b []byte) {
		got, err := io.ReadAll(show.NewHexReader(strings.NewReader(text)))
		if e, ok := errors.AsType[*show.HexError](err); err != nil && (!ok || e.Line < 1 || e.Column < 1) {
			t.Errorf("%v", err)
		}
		if len(got) > len(text) && !strings.Contains(text, "*") && !strings.Contains(text, "0x") && !strings.Contains(text, "0X") {
			t.Errorf("%d bytes out of %d", len(got), len(text))
		}
		for _, text := range []string{hex.EncodeToString(b), string(show.AppendDump(nil, b)), hex.Dump(b)} {
			if got, err := io.ReadAll(show.NewHexReader(strings.NewReader(text))); err != nil || !bytes.Equal(got, b) {
				t.Errorf("%q: %x, %v", text, got, err)
			}
		}
	})
}
