// Package show prints frames, for people and for programs, the same way wherever they were
// seen: on the wire, in a file, at a gateway. It finds them in streams of bytes too, and says what is
// wrong with bytes that are none. What peers have sent never reaches a terminal as it is.
package show

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Content is the data of a frame in a line of JSON. One of the three is there: the data as JSON
// when it is JSON, else as text when it is text.
type Content struct {
	Data   json.RawMessage `json:"data,omitempty"`
	Text   *string         `json:"text,omitempty"`
	Base64 *string         `json:"base64,omitempty"`
}

// NewContent returns data as content. JSON is not copied.
func NewContent(data []byte) (c Content) {
	switch {
	case IsJSON(data) && fitsInside(data):
		c.Data = data
	case utf8.Valid(data):
		c.Text = new(string(data))
	default:
		c.Base64 = new(base64.StdEncoding.EncodeToString(data))
	}
	return c
}

// IsJSON reports whether data is JSON that can be printed as it is.
func IsJSON(data []byte) bool { return utf8.Valid(data) && json.Valid(data) }

// fitsInside reports whether JSON can stand inside other JSON: encoding/json knows
// no values that are nested deeper than 10,000 times.
func fitsInside(data []byte) bool {
	return len(data) < 10_000 || json.Valid(slices.Concat([]byte{'['}, data, []byte{']'}))
}

// AppendJSONLine appends v as one line of JSON, which is safe to print.
func AppendJSONLine(dst []byte, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	return append(AppendPrintable(dst, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})), '\n'), nil
}

// AppendPrintable appends JSON with everything escaped that is not printable: what
// a peer sent must not move the cursor of a terminal. It is still the same JSON,
// because such characters stand only inside its strings.
func AppendPrintable(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		switch {
		case unicode.IsPrint(r):
			dst = append(dst, text[:n]...)
		case r <= 0xFFFF:
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			high, low := utf16.EncodeRune(r)
			dst = fmt.Appendf(dst, `\u%04x\u%04x`, high, low)
		}
		text = text[n:]
	}
	return dst
}
