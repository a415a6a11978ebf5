package main

import (
	"bytes"
	"fmt"
	"strings"
	"time"
	"unicode"
)

// A table is rows of text for people, each with as many cells. What stands in a cell must be
// printable.
type table [][]string

// text returns the table with its columns below each other.
func (t table) text() []byte {
	var widths []int
	for _, row := range t {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], width(cell))
		}
	}
	var text []byte
	for _, row := range t {
		for i, cell := range row {
			text = append(append(text, cell...), strings.Repeat(" ", widths[i]-width(cell)+2)...)
		}
		text = append(bytes.TrimRight(text, " "), '\n')
	}
	return text
}

// excerpt returns text of at most so many bytes, cut between two characters.
func excerpt(text string, limit int) string {
	if len(text) <= limit {
		return text
	}
	return strings.ToValidUTF8(text[:limit], "") + "…"
}

// width returns how many columns of a terminal a text takes.
func width(text string) (n int) {
	for _, r := range text {
		switch {
		case unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf):
		case unicode.Is(wide, r):
			n += 2
		default:
			n++
		}
	}
	return n
}

// wide are the characters that take two columns, as Unicode's annex 11 tells them, near
// enough for a table.
var wide = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x1100, Hi: 0x115F, Stride: 1}, // Hangul
		{Lo: 0x2E80, Hi: 0x303E, Stride: 1}, // radicals and signs of CJK
		{Lo: 0x3041, Hi: 0x4DBF, Stride: 1}, // kana, bopomofo, CJK
		{Lo: 0x4E00, Hi: 0xA4CF, Stride: 1}, // CJK, Yi
		{Lo: 0xA960, Hi: 0xA97C, Stride: 1}, // Hangul
		{Lo: 0xAC00, Hi: 0xD7A3, Stride: 1},
		{Lo: 0xF900, Hi: 0xFAFF, Stride: 1}, // CJK
		{Lo: 0xFE30, Hi: 0xFE6F, Stride: 1},
		{Lo: 0xFF01, Hi: 0xFF60, Stride: 1}, // forms of full width
		{Lo: 0xFFE0, Hi: 0xFFE6, Stride: 1},
	},
	R32: []unicode.Range32{
		{Lo: 0x1F300, Hi: 0x1F64F, Stride: 1}, // pictures
		{Lo: 0x1F680, Hi: 0x1F6FF, Stride: 1},
		{Lo: 0x1F900, Hi: 0x1F9FF, Stride: 1},
		{Lo: 0x20000, Hi: 0x3FFFD, Stride: 1}, // CJK
	},
}

// age says how long ago something was, in its two largest units. The clocks of two machines
// may differ: what is in the future is now.
func age(since, now time.Time) string {
	d := max(now.Sub(since), 0).Truncate(time.Second)
	switch hours := int(d / time.Hour); {
	case d < time.Minute:
		return d.String()
	case hours == 0:
		return fmt.Sprintf("%dm%02ds", d/time.Minute, d%time.Minute/time.Second)
	case hours < 24:
		return fmt.Sprintf("%dh%02dm", hours, d%time.Hour/time.Minute)
	default:
		return fmt.Sprintf("%dd%02dh", hours/24, hours%24)
	}
}
