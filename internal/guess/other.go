package guess

import (
	"bytes"
	"unicode/utf8"
)

// Other says what the streams are when they are something that has no frames to
// suggest a format for, as in "text" and "TLS"; else it returns "".
func Other(streams [][]byte) string {
	text, tls := true, true
	some := false
	for _, s := range streams {
		if len(s) == 0 {
			continue
		}
		some = true
		for _, w := range []string{"GET ", "POST ", "PUT ", "HEAD ", "DELETE ", "OPTIONS ", "PATCH ", "HTTP/1."} {
			if bytes.HasPrefix(s, []byte(w)) && bytes.Contains(s, []byte("\r\n")) {
				return "HTTP"
			}
		}
		if bytes.HasPrefix(s, []byte("SSH-2.0-")) {
			return "SSH"
		}
		text = text && isCutText(s)
		tls = tls && isTLS(s)
	}
	switch {
	case some && tls:
		return "TLS"
	case some && text:
		return "text"
	}
	return ""
}

// isCutText reports whether b is text, but for a character that is cut at either end.
func isCutText(b []byte) bool {
	for i := 0; i < 3 && len(b) > 0 && !utf8.RuneStart(b[0]); i++ {
		b = b[1:]
	}
	for i := 1; i <= min(3, len(b)); i++ {
		if last := b[len(b)-i:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				b = b[:len(b)-i]
			}
			break
		}
	}
	return isText(b)
}

// isTLS reports whether b begins with records of TLS, of which at least the first is whole.
func isTLS(b []byte) bool {
	n := 0
	for ; len(b) >= 5; n++ {
		size := int(b[3])<<8 | int(b[4])
		if b[0] < 20 || b[0] > 24 || b[1] != 3 || b[2] > 4 || size > 16384+2048 {
			return false
		}
		if 5+size > len(b) {
			break
		}
		b = b[5+size:]
	}
	return n > 0
}
