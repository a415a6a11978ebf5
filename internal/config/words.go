package config

import (
	"fmt"
	"slices"
	"strings"
)

// word is a setting that is one of a few words. Its default has a name; what the others mean is
// known where they are used.
type word interface {
	// words returns them. Where they stand for constants of the library, they are
	// in the order of these.
	words() []string
}

// Policy is what happens when a device connects that is connected already.
type Policy string

const Takeover Policy = "takeover"

func (Policy) words() []string { return []string{"takeover", "reject", "single"} }

// Ack says which messages of a board are answered.
type Ack string

const AckAlways Ack = "always"

func (Ack) words() []string { return []string{"always", "asked", "never"} }

// Overflow is what becomes of a message to a board that has no room for it; see
// [longwire.Overflow].
type Overflow string

const Wait Overflow = "wait"

func (Overflow) words() []string {
	return []string{"wait", "close", "drop_newest", "drop_oldest", "latest"}
}

// Order is a byte order.
type Order string

const BigEndian Order = "big"

func (Order) words() []string { return []string{"big", "little"} }

// Counts is what the length of a frame counts.
type Counts string

const CountsFrame Counts = "frame"

func (Counts) words() []string { return []string{"frame", "rest", "data"} }

// Kind is the algorithm of a checksum.
type Kind string

const NoChecksum Kind = "none"

func (Kind) words() []string {
	return []string{"none", "sum8", "xor8", "crc16_modbus", "crc16_ccitt_false", "crc32"}
}

// LogFormat is how a line of the log looks.
type LogFormat string

const Text LogFormat = "text"

func (LogFormat) words() []string { return []string{"text", "json"} }

// LogLevel is the least that is logged, in a word of package slog.
type LogLevel string

const Info LogLevel = "info"

func (LogLevel) words() []string { return []string{"debug", "info", "warn", "error"} }

// index returns which of its words w is.
func index[W interface {
	~string
	word
}](w W) int {
	return max(0, slices.Index(w.words(), string(w)))
}

// choose returns the one of words that text is.
func choose(text string, words []string) (string, error) {
	for _, w := range words {
		if strings.EqualFold(w, text) {
			return w, nil
		}
	}
	last := len(words) - 1
	return "", fmt.Errorf("%.64q is neither %s nor %s", text, strings.Join(words[:last], ", "), words[last])
}
