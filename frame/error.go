package frame

import (
	"errors"
	"fmt"
	"io"
)

// ErrShort is returned by [Codec.Parse] and [Decoder.Next] when the bytes end
// before the frame does: all is well so far, and more bytes are needed.
var ErrShort = errors.New("frame: more bytes are needed")

// A Reason says what is wrong with bytes that are no frame.
type Reason uint8

const (
	BadHead     Reason = iota + 1 // the frame does not start with the head
	BadLength                     // the length is smaller than the smallest frame's
	TooLarge                      // the frame is larger than the limit, or than its length field can say
	BadChecksum                   // the checksum does not fit the bytes
	BadTail                       // the frame does not end with the tail
	BadType                       // the type does not fit in the format's type field
	Truncated                     // the stream ended inside a frame
	SkipBudget                    // more bytes were skipped than Config.Resync allows
)

// short is the internal verdict that goes out as ErrShort.
const short Reason = 255

var reasonWords = [...]string{
	BadHead:     "bad_head",
	BadLength:   "bad_length",
	TooLarge:    "too_large",
	BadChecksum: "bad_checksum",
	BadTail:     "bad_tail",
	BadType:     "bad_type",
	Truncated:   "truncated",
	SkipBudget:  "skip_budget",
}

// String returns the reason as one word, the same in errors, logs and metrics.
func (r Reason) String() string {
	if int(r) < len(reasonWords) && reasonWords[r] != "" {
		return reasonWords[r]
	}
	return fmt.Sprintf("reason_%d", uint8(r))
}

// An Error says why bytes are no frame, or why a frame cannot be made.
type Error struct {
	Reason Reason
	// Offset is where the bytes at fault stand: in the slice for Codec.Parse and
	// Codec.Append, in the whole stream for Decoder and Reader.
	Offset int64
	// Got and Want are what was found and what would have been right: tail,
	// checksum and the head up to its first wrong byte as numbers, in the order in
	// which their bytes stand on the wire; for BadLength the length and the
	// smallest one, for TooLarge, BadType and SkipBudget the number and the
	// largest one allowed.
	Got, Want uint64
}

func (e *Error) Error() string {
	switch e.Reason {
	case BadHead, BadTail, BadChecksum:
		what := map[Reason]string{BadHead: "head", BadTail: "tail", BadChecksum: "checksum"}[e.Reason]
		return fmt.Sprintf("frame: wrong %s at offset %d: 0x%02x, want 0x%02x", what, e.Offset, e.Got, e.Want)
	case BadLength:
		return fmt.Sprintf("frame: length %d at offset %d is below the smallest frame's, %d", e.Got, e.Offset, e.Want)
	case TooLarge:
		return fmt.Sprintf("frame: %d bytes are over the limit of %d (length at offset %d)", e.Got, e.Want, e.Offset)
	case BadType:
		return fmt.Sprintf("frame: type 0x%x is larger than the type field's largest, 0x%x", e.Got, e.Want)
	case Truncated:
		return fmt.Sprintf("frame: the stream ended at offset %d, inside a frame", e.Offset)
	case SkipBudget:
		return fmt.Sprintf("frame: no frame up to offset %d: at least %d bytes to skip, over the budget of %d", e.Offset, e.Got, e.Want)
	}
	return "frame: " + e.Reason.String()
}

// Unwrap returns [io.ErrUnexpectedEOF] for Truncated, and nil otherwise.
func (e *Error) Unwrap() error {
	if e.Reason == Truncated {
		return io.ErrUnexpectedEOF
	}
	return nil
}
