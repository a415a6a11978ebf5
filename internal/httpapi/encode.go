package httpapi

import (
	"encoding/json"
	"fmt"
	"io"
	"unicode"
	"unicode/utf8"
)

// writeJSON writes v as JSON and a line break. That nobody reads it is no error: there is
// nobody to tell.
func writeJSON(w io.Writer, v any) error {
	b, err := json.Marshal(v)
	if err == nil {
		w.Write(append(printable(b), '\n'))
	}
	return err
}

// printable returns the same JSON with nothing in it that a terminal or a page could take for
// more than text: what is not printable is escaped, and bytes that are no UTF-8, which
// package json lets pass in what it is given as JSON, are replaced. Outside of
// strings there is neither.
func printable(b []byte) []byte {
	clean := 0
	for clean < len(b) && ' ' <= b[clean] && b[clean] < unicode.MaxASCII {
		clean++
	}
	if clean == len(b) {
		return b
	}
	safe := append(make([]byte, 0, len(b)+64), b[:clean]...)
	for rest := b[clean:]; len(rest) > 0; {
		r, n := utf8.DecodeRune(rest)
		switch {
		case r == utf8.RuneError && n == 1:
			safe = append(safe, `\ufffd`...)
		case unicode.IsPrint(r):
			safe = append(safe, rest[:n]...)
		case r > 0xFFFF:
			r -= 0x10000
			safe = fmt.Appendf(safe, `\u%04x\u%04x`, 0xD800+r>>10, 0xDC00+r&0x3FF)
		default:
			safe = fmt.Appendf(safe, `\u%04x`, r)
		}
		rest = rest[n:]
	}
	return safe
}
