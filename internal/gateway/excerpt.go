package gateway

import (
	"encoding/hex"
	"log/slog"
	"unicode"
	"unicode/utf8"
)

// maxExcerpt is how many bytes of a message a log line shows.
const maxExcerpt = 64

// excerpt makes the beginning of what a peer sent safe to log: as it is when it is
// text, or else, under a name that says so, in hexadecimal. Text has nothing but
// printable characters and line breaks and tabs, which all handlers of slog
// escape; other control characters some of them do not.
func excerpt(name string, b []byte) slog.Attr {
	cut := b[:min(len(b), maxExcerpt)]
	more := ""
	if len(cut) < len(b) {
		more = "…"
		cut = wholeRunes(cut)
	}
	if !isText(cut) {
		name += "_hex"
		cut = hex.AppendEncode(nil, b[:min(len(b), maxExcerpt/2)])
		if len(b) > maxExcerpt/2 {
			more = "…"
		}
	}
	return slog.String(name, string(cut)+more)
}

// wholeRunes drops a character that stands cut in two at the end.
func wholeRunes(b []byte) []byte {
	for i := range min(len(b), utf8.UTFMax) {
		if start := len(b) - 1 - i; utf8.RuneStart(b[start]) {
			if !utf8.FullRune(b[start:]) {
				return b[:start]
			}
			break
		}
	}
	return b
}

func isText(b []byte) bool {
	for len(b) > 0 {
		r, n := utf8.DecodeRune(b)
		if r == utf8.RuneError && n == 1 || !unicode.IsPrint(r) && r != '\n' && r != '\r' && r != '\t' {
			return false
		}
		b = b[n:]
	}
	return true
}
