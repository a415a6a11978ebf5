package show

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"
)

// AppendDump appends bytes as people read them: offset, 16 bytes, and the characters that they
// are in ASCII.
func AppendDump(dst, b []byte) []byte {
	for at := 0; at < len(b); at += 16 {
		row := b[at:min(at+16, len(b))]
		dst = fmt.Appendf(dst, "     %06x  %-23s  %-23s  |", at, fmt.Sprintf("% x", row[:min(8, len(row))]), fmt.Sprintf("% x", row[min(8, len(row)):]))
		for _, c := range row {
			if c < ' ' || c > '~' {
				c = '.'
			}
			dst = append(dst, c)
		}
		dst = append(dst, "|\n"...)
	}
	return dst
}

// A HexError says where text is not hexadecimal.
type HexError struct {
	Line, Column int // from 1; the column counts bytes
	Problem      string
}

func (e *HexError) Error() string {
	return fmt.Sprintf("line %d, column %d: %s", e.Line, e.Column, e.Problem)
}

// HexReader reads bytes out of hexadecimal digits, as people and other programs write them: with or
// without spaces, colons, commas and quotes, with 0x or \x before each byte, as arrays of C, and as the
// dumps of xxd, hexdump -C and Wireshark with their offsets and characters. What follows # on a line
// is passed over. The error of Read is a *HexError when text is something else.
type HexReader struct {
	scan *bufio.Scanner
	line int
	out  []byte // read and not yet returned
	done int64  // bytes returned and to return
	last []byte // the bytes of the last row of a dump
	same bool   // rows as the last one are left out
	err  error
}

const (
	longestLine = 16 << 20
	mostSame    = 64 << 20 // bytes that a dump may leave out at a time
)

// NewHexReader returns a HexReader of the text in r.
func NewHexReader(r io.Reader) *HexReader {
	h := &HexReader{scan: bufio.NewScanner(r)}
	h.scan.Buffer(nil, longestLine)
	return h
}

func (h *HexReader) Read(p []byte) (int, error) {
	for len(h.out) == 0 && h.err == nil {
		switch {
		case h.scan.Scan():
			h.line++
			h.err = h.read(strings.TrimRight(h.scan.Text(), "\r"))
		case errors.Is(h.scan.Err(), bufio.ErrTooLong):
			h.err = h.problem(0, fmt.Sprintf("the line is longer than %d MiB", longestLine>>20))
		case h.scan.Err() != nil:
			h.err = h.scan.Err()
		default:
			h.err = io.EOF
		}
	}
	if len(h.out) == 0 {
		return 0, h.err
	}
	n := copy(p, h.out)
	h.out = h.out[n:]
	return n, nil
}

func (h *HexReader) problem(at int, problem string) error {
	return &HexError{Line: h.line, Column: at + 1, Problem: problem}
}

// A row of a dump begins with an offset, and a colon (xxd) or at least two spaces (others). hexdump -C
// ends with the offset behind the last byte.
var (
	rowXXD  = regexp.MustCompile(`^[ \t]*([0-9A-Fa-f]{4,16}):[ \t]`)
	rowWide = regexp.MustCompile(`^[ \t]*([0-9A-Fa-f]{4,16})(?:  |\t|$)`)
	gapWide = regexp.MustCompile(`[ \t]{3,}`)
)

// read reads a line.
func (h *HexReader) read(line string) error {
	if strings.TrimSpace(line) == "*" && h.last != nil {
		h.same = true
		return nil
	}
	from, to := 0, len(line)
	if m := rowXXD.FindStringSubmatchIndex(line); m != nil {
		from = m[1]
		if i := strings.Index(line[from:], "  "); i >= 0 {
			to = from + i
		}
		if err := h.repeat(line[m[2]:m[3]], m[2]); err != nil {
			return err
		}
	} else if m := rowWide.FindStringSubmatchIndex(line); m != nil && (h.last != nil || m[1] < len(line)) && h.isOffset(line[m[2]:m[3]]) {
		from = m[1]
		if i := strings.IndexByte(line, '|'); i >= 0 {
			to = i
		}
		rest := line[from:to]
		begin := len(rest) - len(strings.TrimLeft(rest, " \t"))
		if gap := gapWide.FindStringIndex(rest[begin:]); gap != nil {
			to = from + begin + gap[0]
		}
		if err := h.repeat(line[m[2]:m[3]], m[2]); err != nil {
			return err
		}
	}
	before := len(h.out)
	if err := h.digits(line, from, max(from, to)); err != nil {
		return err
	}
	if from > 0 {
		h.last = append(h.last[:0], h.out[before:]...)
		if h.last == nil {
			h.last = []byte{}
		}
	}
	return nil
}

// isOffset reports whether a number at the beginning of a line is where its bytes stand.
func (h *HexReader) isOffset(text string) bool {
	n, err := strconv.ParseUint(text, 16, 64)
	return err == nil && (n == uint64(h.done) || h.same && n > uint64(h.done))
}

// repeat adds the rows that a dump has left out before the one at an offset.
func (h *HexReader) repeat(offset string, at int) error {
	if !h.same {
		return nil
	}
	h.same = false
	n, err := strconv.ParseUint(offset, 16, 63)
	missing := int64(n) - h.done
	if err != nil || missing < 0 || missing > mostSame || len(h.last) == 0 || missing%int64(len(h.last)) != 0 {
		return h.problem(at, "the rows left out before this one do not fit its offset")
	}
	for range missing / int64(len(h.last)) {
		h.out = append(h.out, h.last...)
	}
	h.done += missing
	return nil
}

// between is what may stand between bytes.
const between = " \t,;:-_{}[]()\"'"

// digits reads the bytes in line[from:to].
func (h *HexReader) digits(line string, from, to int) error {
	for i := from; i < to; {
		c := line[i]
		switch {
		case c == '#':
			return nil
		case strings.IndexByte(between, c) >= 0:
			i++
		case c == '\\' && i+1 < to && line[i+1] == 'x', c == '0' && i+1 < to && (line[i+1] == 'x' || line[i+1] == 'X'):
			n := run(line[i+2 : to])
			if n == 0 {
				return h.problem(i, fmt.Sprintf("no hexadecimal digit behind %s", line[i:i+2]))
			}
			digits := line[i+2 : i+2+n]
			if n == 1 {
				digits = "0" + digits
			}
			if err := h.add(digits, i+2); err != nil {
				return err
			}
			i += 2 + n
		default:
			n := run(line[i:to])
			if end := i + n; n%2 != 0 && end < to && strings.IndexByte(between+"#0\\", line[end]) < 0 {
				i, n = end, 0
			}
			if n == 0 {
				return h.problem(i, fmt.Sprintf("%q is no hexadecimal digit", firstRune(line[i:])))
			}
			if err := h.add(line[i:i+n], i); err != nil {
				return err
			}
			i += n
		}
	}
	return nil
}

func firstRune(s string) string {
	for _, r := range s {
		return string(r)
	}
	return ""
}

// add adds the bytes of digits without anything between them.
func (h *HexReader) add(digits string, at int) error {
	if len(digits)%2 != 0 {
		if len(digits) == 1 {
			return h.problem(at, "one digit alone; each byte takes two")
		}
		return h.problem(at, fmt.Sprintf("%d digits in a row; each byte takes two", len(digits)))
	}
	b, err := hex.DecodeString(digits)
	if err != nil {
		return h.problem(at, err.Error()) // run has looked at them
	}
	h.out = append(h.out, b...)
	h.done += int64(len(b))
	return nil
}

// run returns how many digits text begins with. 0x may stand before the next byte without a space.
func run(text string) int {
	for i := range len(text) {
		c := text[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F') {
			if i > 0 && (c == 'x' || c == 'X') && text[i-1] == '0' {
				return i - 1
			}
			return i
		}
	}
	return len(text)
}
