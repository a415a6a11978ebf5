package gateway

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestExcerpt(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, test := range []struct{ data, name, want string }{
		{"", "data", ""},
		{"66666", "data", "66666"},
		{"{\n\t\"a\": 1\r\n}", "data", "{\n\t\"a\": 1\r\n}"},
		{"Gerät ✓", "data", "Gerät ✓"},
		{"\uFFFD", "data", "\uFFFD"},
		{long[:64], "data", long[:64]},
		{long, "data", long[:64] + "…"},
		{long[:63] + "ä", "data", long[:63] + "…"},
		{long[:61] + "😀", "data", long[:61] + "…"},
		{"\xc8\x00\xc9", "data_hex", "c800c9"},
		{"\x1b[31mred", "data_hex", "1b5b33316d726564"},
		{"\u009b31mred", "data_hex", "c29b33316d726564"},               // the same in one character
		{"abc\u202egpj.exe", "data_hex", "616263e280ae67706a2e657865"}, // shown backwards
		{"\u2028", "data_hex", "e280a8"},
		{"del\x7f", "data_hex", "64656c7f"},
		{"\xff" + long, "data_hex", "ff" + strings.Repeat("78", 31) + "…"},
		{strings.Repeat("\x00", 40), "data_hex", strings.Repeat("00", 32) + "…"},
		{long[:64] + "\x1b", "data", long[:64] + "…"},
	} {
		got := excerpt("data", []byte(test.data))
		if got.Key != test.name || got.Value.String() != test.want {
			t.Errorf("%q: %s=%q, want %s=%q", test.data, got.Key, got.Value, test.name, test.want)
		}
	}
}

// What a peer sends can neither begin a line of its own in the log nor move the
// cursor of the terminal that shows it, whatever the format.
func FuzzExcerptIsSafe(f *testing.F) {
	for _, seed := range []string{"66666", "a\nlevel=ERROR msg=forged", "\x1b]0;title\a", "\u009b2J", "\xff\xfe", "a\x7f\u202e\u2028"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var out bytes.Buffer
		for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
			out.Reset()
			slog.New(h).Info("message", excerpt("data", data))
			line, ended := strings.CutSuffix(out.String(), "\n")
			if !ended || !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
				t.Errorf("%q is logged as %q", data, out.String())
			}
		}
	})
}
