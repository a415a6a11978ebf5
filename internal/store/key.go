package store

import (
	"fmt"
	"strings"
)

const (
	// subjectRoot keeps the subjects apart from others' on a shared server.
	subjectRoot = "longwire."

	maxPart = 128
	maxKey  = 1024 // so that a subject fits in a line of the engine's protocol
)

// swapDots turns a key into the end of a subject, and back. A slash separates the
// parts of a key as a dot those of a subject, and each may stand inside the parts of
// the other; no other character of a key means anything to the engine.
func swapDots(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '.':
			return '/'
		case '/':
			return '.'
		}
		return r
	}, s)
}

// checkKey returns what is wrong with a key.
func checkKey(key string) error {
	if len(key) > maxKey {
		return fmt.Errorf("store: a key of %d bytes, with %d allowed", len(key), maxKey)
	}
	for part := range strings.SplitSeq(key, "/") {
		if !validPart(part) {
			return fmt.Errorf("store: %q in key %q is not 1 to %d of A-Z a-z 0-9 _ . : -", part, key, maxPart)
		}
	}
	return nil
}

func validPart(part string) bool {
	for i := range len(part) {
		switch c := part[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '_', c == '.', c == ':', c == '-':
		default:
			return false
		}
	}
	return 1 <= len(part) && len(part) <= maxPart
}

// subject returns the subject of a valid key.
func (l *Log) subject(key string) string { return l.root + swapDots(key) }

// key returns the key of a subject of this log.
func (l *Log) key(subject string) string { return swapDots(strings.TrimPrefix(subject, l.root)) }

// filterSubject returns the subject that a filter of Read stands for, and "" for
// one that lets everything pass.
func (l *Log) filterSubject(filter string) (string, error) {
	if filter == "" || filter == ">" {
		return "", nil
	}
	if len(filter) > maxKey {
		return "", fmt.Errorf("store: a filter of %d bytes, with %d allowed", len(filter), maxKey)
	}
	parts := strings.Split(filter, "/")
	for i, part := range parts {
		if part != "*" && !validPart(part) && (part != ">" || i != len(parts)-1) {
			return "", fmt.Errorf("store: %q in filter %q is neither part of a key nor *, nor > at the end", part, filter)
		}
	}
	return l.subject(filter), nil
}
