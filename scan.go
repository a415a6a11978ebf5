package longwire

import (
	"unicode"
	"unicode/utf8"
)

// maxDepth is how deep arrays and objects may be nested in an envelope.
const maxDepth = 32

// A scanner walks over JSON text, validates it and decodes nothing. It is strict:
// in what it accepts, every JSON parser finds the same five fields, also one that
// ignores case or takes the last of several. Like most of them it lets bytes that
// are not UTF-8 pass in strings it does not know, as boards send that write in an
// older character set.
type scanner struct {
	b []byte
	i int
}

// envelope scans one object and notes where its five known fields stand.
func (s *scanner) envelope(p *parts) bool {
	s.space()
	if !s.take('{') {
		return false
	}
	s.space()
	if s.take('}') {
		return false
	}
	for {
		nameFrom := s.i + 1
		if !s.text() {
			return false
		}
		name := s.b[nameFrom : s.i-1]
		s.space()
		if !s.take(':') {
			return false
		}
		s.space()
		from := s.i
		if !s.value(1) {
			return false
		}
		if !s.note(p, name, span{uint32(from), uint32(s.i)}) {
			return false
		}
		s.space()
		if s.take(',') {
			s.space()
			continue
		}
		if !s.take('}') {
			return false
		}
		s.space()
		return s.i == len(s.b)
	}
}

// note remembers where the value of a field stands. It returns false when the
// field makes the envelope ambiguous: a known one that is given twice, that is no
// text or not UTF-8, or whose name is written in another way.
func (s *scanner) note(p *parts, name []byte, at span) bool {
	field := p.field(name)
	if field == nil {
		return !p.resembles(name)
	}
	if *field != (span{}) {
		return false
	}
	if field != &p.data {
		if s.b[at.from] != '"' || !utf8.Valid(s.b[at.from:at.to]) {
			return false
		}
		at.from++
		at.to--
	}
	*field = at
	return true
}

// field returns the field of that name, nil when it is not a known one.
func (p *parts) field(name []byte) *span {
	switch string(name) {
	case "data":
		return &p.data
	case "data_type":
		return &p.dataType
	case "call_back_key":
		return &p.key
	case "status":
		return &p.status
	case "message":
		return &p.message
	}
	return nil
}

// resembles reports whether a name is a known one when it is unescaped and its
// case ignored. Parsers differ in whether they do that.
func (p *parts) resembles(name []byte) bool {
	var plain [len("call_back_key")]byte // no known name is longer
	n := 0
	for i := 0; i < len(name); n++ {
		r, size := rune(name[i]), 1
		switch {
		case r == '\\' && name[i+1] != 'u':
			return false
		case r == '\\':
			r, _ = hex4(name[i+2:])
			size = len(`\u0000`)
		case r >= utf8.RuneSelf:
			r, size = utf8.DecodeRune(name[i:])
		}
		r = unicode.ToLower(unicode.ToUpper(r)) // the long s and the Kelvin sign, too
		if r >= utf8.RuneSelf || n == len(plain) {
			return false
		}
		plain[n] = byte(r)
		i += size
	}
	return p.field(plain[:n]) != nil
}

// value scans any value; depth counts the arrays and objects around it.
func (s *scanner) value(depth int) bool {
	if s.i >= len(s.b) {
		return false
	}
	switch c := s.b[s.i]; c {
	case '"':
		return s.text()
	case '{':
		return depth < maxDepth && s.list('}', depth, true)
	case '[':
		return depth < maxDepth && s.list(']', depth, false)
	case 't':
		return s.word("true")
	case 'f':
		return s.word("false")
	case 'n':
		return s.word("null")
	default:
		return s.number()
	}
}

// list scans an object or an array, from its bracket to the closing one.
func (s *scanner) list(closing byte, depth int, named bool) bool {
	s.i++
	s.space()
	if s.take(closing) {
		return true
	}
	for {
		if named {
			if !s.text() {
				return false
			}
			s.space()
			if !s.take(':') {
				return false
			}
			s.space()
		}
		if !s.value(depth + 1) {
			return false
		}
		s.space()
		if s.take(closing) {
			return true
		}
		if !s.take(',') {
			return false
		}
		s.space()
	}
}

// text scans a string with its quotes.
func (s *scanner) text() bool {
	if !s.take('"') {
		return false
	}
	b := s.b
	for i := s.i; i < len(b); i++ {
		switch c := b[i]; {
		case c == '"':
			s.i = i + 1
			return true
		case c < 0x20:
			return false
		case c == '\\':
			n := escapeLen(b[i:])
			if n == 0 {
				return false
			}
			i += n - 1
		}
	}
	return false
}

// escapeLen returns how long the escape at the start of b is, 0 when it is none.
func escapeLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch b[1] {
	case '"', '\\', '/', 'b', 'f', 'n', 'r', 't':
		return 2
	case 'u':
		if _, ok := hex4(b[2:]); ok {
			return 6
		}
	}
	return 0
}

// hex4 returns the number that the four hexadecimal digits at the start of b are.
func hex4(b []byte) (r rune, ok bool) {
	if len(b) < 4 {
		return 0, false
	}
	for _, c := range b[:4] {
		switch {
		case isDigit(c):
			c -= '0'
		case 'a' <= c && c <= 'f':
			c -= 'a' - 10
		case 'A' <= c && c <= 'F':
			c -= 'A' - 10
		default:
			return 0, false
		}
		r = r<<4 | rune(c)
	}
	return r, true
}

// number scans -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
func (s *scanner) number() bool {
	s.take('-')
	if !s.take('0') && !s.digits() {
		return false
	}
	if s.take('.') && !s.digits() {
		return false
	}
	if s.take('e') || s.take('E') {
		if !s.take('+') {
			s.take('-')
		}
		return s.digits()
	}
	return true
}

func (s *scanner) digits() bool {
	b, i := s.b, s.i
	for i < len(b) && isDigit(b[i]) {
		i++
	}
	found := i > s.i
	s.i = i
	return found
}

func isDigit(c byte) bool { return '0' <= c && c <= '9' }

func (s *scanner) word(w string) bool {
	if len(s.b)-s.i < len(w) || string(s.b[s.i:s.i+len(w)]) != w {
		return false
	}
	s.i += len(w)
	return true
}

func (s *scanner) take(c byte) bool {
	if s.i < len(s.b) && s.b[s.i] == c {
		s.i++
		return true
	}
	return false
}

func (s *scanner) space() {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return
		}
	}
}
