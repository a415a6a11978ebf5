package main

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"slices"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/longwire/longwire"
)

// A line is a message as a line of JSON. One of Data, Text and Base64 is there:
// the data of the message as JSON when it is JSON, else as text when it is text.
type line struct {
	At     string          `json:"at,omitempty"`
	Type   string          `json:"type"`
	Size   *int            `json:"size,omitempty"`
	Data   json.RawMessage `json:"data,omitempty"`
	Text   *string         `json:"text,omitempty"`
	Base64 *string         `json:"base64,omitempty"`
}

func newLine(t longwire.Type, data []byte) line {
	l := line{Type: t.String()}
	switch {
	case isJSON(data) && fitsInside(data):
		l.Data = data
	case utf8.Valid(data):
		l.Text = new(string(data))
	default:
		l.Base64 = new(base64.StdEncoding.EncodeToString(data))
	}
	return l
}

// isJSON reports whether data is JSON that can be printed as it is.
func isJSON(data []byte) bool { return utf8.Valid(data) && json.Valid(data) }

// fitsInside reports whether JSON can stand inside other JSON: encoding/json knows
// no values that are nested deeper than 10,000 times.
func fitsInside(data []byte) bool {
	return len(data) < 10_000 || json.Valid(slices.Concat([]byte{'['}, data, []byte{']'}))
}

// appendJSONLine appends v as one line of JSON.
func appendJSONLine(dst []byte, v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return dst, err
	}
	return append(appendPrintable(dst, bytes.TrimSuffix(b.Bytes(), []byte{'\n'})), '\n'), nil
}

// appendPrintable appends JSON with everything escaped that is not printable: what
// a peer sent must not move the cursor of a terminal. It is still the same JSON,
// because such characters stand only inside its strings.
func appendPrintable(dst, text []byte) []byte {
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
