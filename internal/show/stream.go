package show

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/longwire/longwire/frame"
)

// An Event is what a Stream has found: a frame, or bytes that are none, or a problem with them.
// All bytes of the stream are in the Raw of one event, in order. Everything in it is valid until the
// function that gets it returns.
type Event struct {
	Offset  int64 // of the first byte of Raw in the stream
	Raw     []byte
	IsFrame bool
	Frame   frame.Frame
	Problem *Problem // nil unless there is something to tell
}

// A Problem is a run of bytes that are no frame, or are missing.
type Problem struct {
	Reason  string // one word
	Text    string // what is wrong
	Offset  int64  // of the first byte
	Skipped int64  // bytes so far, the missing ones not among them
	Missing int64  // bytes that are not there
	Open    bool   // it is not known yet where the next frame is
	Again   bool   // it has been told before, as Open, and is over now
	Before  []byte // the bytes before it, at most 8
	Bytes   []byte // its first bytes, at most 24
	// Around are the bytes around the one at fault, when that is farther away, and AroundAt is
	// where the first of them stands.
	Around   []byte
	AroundAt int64
}

// Totals counts what a Stream has found.
type Totals struct {
	Frames  int64
	Bytes   int64 // of all kinds
	Errors  int64 // problems, each of them once
	Skipped int64 // bytes in no frame
	Missing int64 // bytes that were not there
}

// Add adds others to t.
func (t *Totals) Add(o Totals) {
	t.Frames += o.Frames
	t.Bytes += o.Bytes
	t.Errors += o.Errors
	t.Skipped += o.Skipped
	t.Missing += o.Missing
}

// A Stream finds the frames in the bytes of one direction. Behind bytes that are no frame it goes
// on at the next whole frame, where the format has enough to recognize one by. It keeps no more
// than one frame of the largest size. It is not safe for concurrent use.
type Stream struct {
	Totals
	// Live says that somebody watches: problems are told when they begin, and not only when they are over.
	Live bool

	codec    *frame.Codec
	maxFrame int
	emit     func(Event)
	room     *Room
	taken    int64 // of room

	buf    []byte
	start  int   // buf[start:] is not used up
	offset int64 // of buf[start] in the stream
	recent []byte

	run    *Problem // bytes that are no frame go on
	told   bool     // of run
	lost   string   // why the next bytes may be inside a frame; "" if they are not
	over   bool     // the rest is not looked at
	edge   int64    // where a damaged frame ends, by its length
	begun  bool     // it is known whether the stream is TLS
	looked int64    // bytes of frames whose checksum was wrong
}

// A Room bounds what several streams keep together, beyond the first bytes of each: who needs more when
// none is left does not wait for the rest of what may be a frame. It is not safe for concurrent use.
type Room struct {
	Left int64 // bytes
}

// NewStream returns a Stream of frames of at most maxFrame bytes, head to tail, which gives what
// it finds to emit. If middle is set the stream may begin inside a frame.
func NewStream(codec *frame.Codec, maxFrame int, middle bool, room *Room, emit func(Event)) *Stream {
	s := &Stream{codec: codec, maxFrame: maxFrame, room: room, emit: emit}
	if middle {
		s.lost = "no whole frame, where the capture begins"
		s.begun = true
	}
	return s
}

// Feed adds bytes.
func (s *Stream) Feed(b []byte) {
	if s.start >= len(s.buf)-s.start { // in place, and not for a few bytes each time
		s.buf = slices.Delete(s.buf, 0, s.start)
		s.start = 0
	}
	s.buf = append(s.buf, b...)
	s.Bytes += int64(len(b))
	s.find(false)
	if s.takeRoom() < 0 {
		s.find(true)
		s.takeRoom()
	}
	if s.run != nil && !s.told && (s.Live || s.run.Skipped >= tellAt) {
		s.tell(true)
	}
	if s.start == len(s.buf) && cap(s.buf) > 64<<10 {
		s.buf, s.start = nil, 0
	}
}

// tellAt is after how many bytes that are no frame a problem is told even if nobody watches.
const tellAt = 4 << 10

// takeRoom takes what the stream keeps from the room of all, and returns what is left.
func (s *Stream) takeRoom() int64 {
	keeps := int64(len(s.buf)-s.start) - 4<<10
	s.room.Left += s.taken - max(keeps, 0)
	s.taken = max(keeps, 0)
	return s.room.Left
}

// Gap says that bytes of the stream are missing.
func (s *Stream) Gap(n int64, why string) {
	s.find(true)
	s.endRun()
	s.Errors++
	s.Missing += n
	s.emit(Event{Offset: s.offset, Problem: &Problem{
		Reason: "missing", Text: fmt.Sprintf("%s missing at offset %d: %s", plural(n, "byte is", "bytes are"), s.offset, why),
		Offset: s.offset, Missing: n, Before: s.recent,
	}})
	s.offset += n
	s.recent = nil
	s.lost = "no whole frame, behind the missing bytes"
	s.begun = true
	if !s.codec.CanResync() {
		s.giveUp("unsearchable", "the rest is not searched: frames of this format have too little to recognize them by")
	}
}

// End says that the stream is over.
func (s *Stream) End() {
	s.find(true)
	s.endRun()
	s.takeRoom()
}

// find uses up what can be told of the bytes; at the end of the stream that is all of them.
func (s *Stream) find(end bool) {
	for s.start < len(s.buf) {
		b := s.buf[s.start:]
		if s.over {
			s.skip(len(b))
			return
		}
		if !s.begun {
			if tls, short := isTLS(b); short && !end {
				return
			} else if tls && !strings.HasPrefix(s.codec.Format().Head, "\x16") {
				s.giveUp("tls", "this is TLS, which is not decrypted; the rest is not looked at")
				continue
			}
			s.begun = true
		}
		f, n, err := s.codec.Parse(b, s.maxFrame)
		switch {
		case err == nil:
			s.endRun()
			s.lost = ""
			s.Frames++
			s.consume(n, Event{IsFrame: true, Frame: f})
			continue
		case errors.Is(err, frame.ErrShort) && !end:
			return
		}
		s.noFrame(b, err)
	}
}

// noFrame skips the bytes up to the next that may begin a frame.
func (s *Stream) noFrame(b []byte, err error) {
	e, ok := errors.AsType[*frame.Error](err)
	if ok && e.Reason == frame.BadChecksum {
		s.looked += e.Offset
	}
	size := int64(0)
	if ok {
		size = s.damaged(e)
	}
	if size > 0 || s.offset == s.edge {
		s.endRun() // what begins here is not the garbage before it
	}
	if size > 0 {
		s.edge = s.offset + size
	}
	if s.run == nil {
		s.begin(b, err)
	}
	if !s.codec.CanResync() {
		s.run.Text += "; the rest is not searched: frames of this format have too little to recognize them by"
		s.over = true
		return
	}
	if s.looked > 16<<20+16*s.Bytes { // each byte may begin a large frame whose checksum has to be computed
		s.run.Text += "; the rest is not searched: too much of it looks like a frame and is none"
		s.over = true
		return
	}
	step := 1 + bytes.IndexByte(b[1:], s.codec.Format().Head[0])
	if step == 0 {
		step = len(b)
	}
	if left := s.edge - s.offset; left > 0 {
		step = int(min(int64(step), left))
	}
	s.skip(step)
}

// wrong says what is wrong with bytes that are no frame.
func (s *Stream) wrong(e *frame.Error) string {
	switch f := s.codec.Format(); e.Reason {
	case frame.BadChecksum:
		n := 2 * (s.codec.Overhead() - len(f.Head) - f.Length.Width - f.Type.Width - len(f.Tail))
		return fmt.Sprintf("wrong checksum at offset %d: 0x%0*x, want 0x%0*x", e.Offset, n, e.Got, n, e.Want)
	case frame.BadTail:
		n := 2 * len(f.Tail)
		return fmt.Sprintf("wrong tail at offset %d: 0x%0*x, want 0x%0*x", e.Offset, n, e.Got, n, e.Want)
	}
	return strings.TrimPrefix(e.Error(), "frame: ")
}

// damaged returns the size of a frame whose end is wrong and everything before it right, 0 for other bytes.
func (s *Stream) damaged(e *frame.Error) int64 {
	f := s.codec.Format()
	switch e.Reason {
	case frame.BadTail:
		return e.Offset + int64(len(f.Tail))
	case frame.BadChecksum: // stands behind the data
		return e.Offset + int64(s.codec.Overhead()-len(f.Head)-f.Length.Width-f.Type.Width)
	}
	return 0
}

func (s *Stream) skip(n int) {
	s.Skipped += int64(n)
	if s.run != nil {
		s.run.Skipped += int64(n)
		room := min(len(s.buf)-s.start, n, firstBytes-len(s.run.Bytes))
		s.run.Bytes = append(s.run.Bytes, s.buf[s.start:s.start+room]...)
	}
	s.consume(n, Event{})
}

const (
	firstBytes  = 24 // of a run
	bytesBefore = 8
)

// consume gives out the next n bytes.
func (s *Stream) consume(n int, e Event) {
	e.Offset, e.Raw = s.offset, s.buf[s.start:s.start+n:s.start+n]
	s.emit(e)
	tail := e.Raw[max(0, n-bytesBefore):]
	keep := min(len(s.recent), bytesBefore-len(tail))
	copy(s.recent, s.recent[len(s.recent)-keep:])
	s.recent = append(s.recent[:keep], tail...)
	s.start += n
	s.offset += int64(n)
}

// begin begins a run of bytes that are no frame.
func (s *Stream) begin(b []byte, err error) {
	p := &Problem{Offset: s.offset, Before: slices.Clone(s.recent)}
	s.run, s.told = p, false
	e, ok := errors.AsType[*frame.Error](err)
	switch {
	case s.lost != "":
		p.Reason, p.Text = "missing", s.lost
	case !ok:
		p.Reason, p.Text = frame.Truncated.String(), s.incomplete(b)
	default:
		fault := e.Offset
		e.Offset += s.offset
		p.Reason, p.Text = e.Reason.String(), s.wrong(e)
		if from := fault - bytesBefore; from >= firstBytes {
			p.Around, p.AroundAt = slices.Clone(b[from:min(int(fault)+bytesBefore, len(b))]), s.offset+from
		}
	}
	s.lost = ""
}

// incomplete says what there is of a frame that is not all there.
func (s *Stream) incomplete(b []byte) string {
	f := s.codec.Format()
	if len(b) < f.Length.Offset+f.Length.Width {
		return fmt.Sprintf("incomplete frame: the bytes end at offset %d, before its length", s.offset+int64(len(b)))
	}
	// A frame of the same length with data of zeros has the size that this one declares; the
	// codec tells it for a limit that no frame fits in.
	size := uint64(s.codec.Overhead())
	_, _, err := s.codec.Parse(b, s.codec.Overhead())
	if e, ok := errors.AsType[*frame.Error](err); ok && e.Reason == frame.TooLarge {
		size = e.Got
	}
	return fmt.Sprintf("incomplete frame: it has %d bytes, and they end at offset %d behind %d of them", size, s.offset+int64(len(b)), len(b))
}

// giveUp stops looking for frames.
func (s *Stream) giveUp(reason, text string) {
	s.endRun()
	s.over = true
	s.run, s.told = &Problem{Reason: reason, Text: text, Offset: s.offset, Before: slices.Clone(s.recent)}, false
}

// endRun tells of the run of bytes that are no frame, if there is one, when it is over.
func (s *Stream) endRun() {
	if s.run != nil && (s.told || s.run.Skipped > 0) {
		s.tell(false)
	}
	s.run = nil
}

// tell tells of the run of bytes that are no frame.
func (s *Stream) tell(open bool) {
	p := s.run
	p.Open, p.Again = open, s.told
	if !s.told {
		s.Errors++
	}
	s.told = true
	s.emit(Event{Offset: s.offset, Problem: p})
}

// isTLS reports whether a stream begins with a hello of TLS, or may turn out to.
func isTLS(b []byte) (is, short bool) {
	for i, want := range []func(byte) bool{
		func(c byte) bool { return c == 0x16 }, // handshake
		func(c byte) bool { return c == 3 },    // the version
		func(c byte) bool { return c <= 4 },
		func(byte) bool { return true }, // the length
		func(byte) bool { return true },
		func(c byte) bool { return c == 1 || c == 2 }, // hello of the client, of the server
	} {
		if i >= len(b) {
			return false, true
		}
		if !want(b[i]) {
			return false, false
		}
	}
	return true, false
}

// plural returns n with the words for it.
func plural(n int64, one, more string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, more)
}
