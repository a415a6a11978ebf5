package frame

import (
	"encoding/binary"
	"math"
)

// A Frame is one frame without its head, length, checksum and tail.
type Frame struct {
	Type Type
	Data []byte
}

// A Codec makes frames of one [Format] into bytes and back. It is immutable and
// safe for use by any number of goroutines. A nil or zero Codec is the default
// format's.
type Codec struct {
	format   Format
	header   int    // bytes before the data
	overhead int    // bytes that are not data
	counted  int    // bytes that the length does not count
	tailSize int    // len(format.Tail)
	sumSize  int    // bytes of the checksum
	maxSize  uint64 // largest whole frame that the length field can say
	maxType  Type   // largest type that the type field can say
	fast     bool   // the format is the default one, which has its own path
}

// Default is the codec of the default format.
var Default, _ = NewCodec(Format{})

// NewCodec returns the codec of f. It returns a [*FormatError] when frames of
// that format could not be decoded unambiguously.
func NewCodec(f Format) (*Codec, error) {
	if f == (Format{}) {
		f = defaultFormat
	}
	if err := f.check(); err != nil {
		return nil, err
	}
	c := &Codec{
		format:   f,
		header:   len(f.Head) + f.Length.Width + f.Type.Width,
		tailSize: len(f.Tail),
		sumSize:  f.Checksum.Kind.width(),
		maxType:  Type(1<<(8*f.Type.Width) - 1),
		fast:     f == defaultFormat,
	}
	c.overhead = c.header + c.sumSize + c.tailSize
	switch f.Length.Counts {
	case CountsRest:
		c.counted = f.Length.Offset + f.Length.Width
	case CountsData:
		c.counted = c.overhead
	}
	c.maxSize = min(1<<(8*f.Length.Width)-1+uint64(c.counted), math.MaxInt32)
	return c, nil
}

// Format returns the format, spelled out when it was the zero one.
func (c *Codec) Format() Format { return c.orDefault().format }

// Overhead returns how many bytes of a frame are not data, which is the size of
// the smallest frame.
func (c *Codec) Overhead() int { return c.orDefault().overhead }

// MaxType returns the largest type that fits in the format's type field; 0 when
// it has none.
func (c *Codec) MaxType() Type { return c.orDefault().maxType }

// MaxSize returns the size in bytes of the largest frame that the format's
// length field can say, at most 2 GiB - 1.
func (c *Codec) MaxSize() int { return int(c.orDefault().maxSize) }

// CanResync reports whether the format has enough to recognize a frame by in the
// middle of a stream: a head, and a tail or a checksum.
func (c *Codec) CanResync() bool {
	c = c.orDefault()
	return c.format.Head != "" && c.sumSize+c.tailSize > 0
}

func (c *Codec) orDefault() *Codec {
	if c == nil || c.overhead == 0 {
		return Default
	}
	return c
}

// Append appends the frame of type t with the given data to dst and returns the
// longer slice. Data must not stand in the capacity of dst that is still free. It
// returns dst as it was and an [*Error] with reason TooLarge when the length field
// cannot say the size, BadType when the type field cannot say the type.
func (c *Codec) Append(dst []byte, t Type, data []byte) ([]byte, error) {
	c = c.orDefault()
	size := uint64(c.overhead) + uint64(len(data))
	if size > c.maxSize {
		return dst, &Error{Reason: TooLarge, Offset: int64(len(dst) + c.format.Length.Offset), Got: size, Want: c.maxSize}
	}
	if t > c.maxType {
		return dst, &Error{Reason: BadType, Offset: int64(len(dst) + c.format.Type.Offset), Got: uint64(t), Want: uint64(c.maxType)}
	}
	if c.fast {
		dst = append(dst, 0xC8, byte(size>>24), byte(size>>16), byte(size>>8), byte(size), byte(t>>8), byte(t))
		return append(append(dst, data...), 0xC9), nil
	}
	f, start := &c.format, len(dst)
	dst = append(dst, f.Head...)
	length := uint32(size - uint64(c.counted))
	if f.Length.Offset == len(f.Head) {
		dst = appendUint(dst, length, f.Length.Width, f.Order)
		dst = appendUint(dst, uint32(t), f.Type.Width, f.Order)
	} else {
		dst = appendUint(dst, uint32(t), f.Type.Width, f.Order)
		dst = appendUint(dst, length, f.Length.Width, f.Order)
	}
	dst = append(dst, data...)
	if c.sumSize > 0 {
		dst = appendUint(dst, f.Checksum.Kind.sum(dst[start+f.Checksum.From:]), c.sumSize, f.Checksum.Order)
	}
	return append(dst, f.Tail...), nil
}

// Parse returns the frame at the start of b and its whole size in bytes. The
// frame's data is a window into b, with no room to append to. Limit is the size
// in bytes of the largest whole frame to accept; 0 and less mean no limit but
// that of the format.
//
// It returns [ErrShort] when b holds only the beginning of a frame, and an
// [*Error] as soon as the bytes cannot become one: the length is judged when it
// is there, before the data is.
func (c *Codec) Parse(b []byte, limit int) (Frame, int, error) {
	c = c.orDefault()
	f, n, verdict := c.parse(b, limit)
	if verdict != 0 {
		return Frame{}, 0, c.explain(b, limit, verdict)
	}
	return f, n, nil
}

// parse is Parse with a verdict for an error, so that looking for a frame among
// garbage allocates nothing. c is not nil.
func (c *Codec) parse(b []byte, limit int) (f Frame, n int, verdict Reason) {
	if n = c.whole(b, int(c.limit(limit))); n > 0 {
		return plain(b, n), n, 0
	}
	if verdict := c.judge(b, limit); verdict != 0 {
		return f, 0, verdict
	}
	size, fm := c.size(b), &c.format
	if uint64(len(b)) < size {
		return f, 0, short
	}
	n = int(size)
	tail := n - c.tailSize
	if string(b[tail:n]) != fm.Tail {
		return f, 0, BadTail
	}
	data := tail - c.sumSize
	if c.sumSize > 0 && fm.Checksum.Kind.sum(b[fm.Checksum.From:data]) != readUint(b[data:], c.sumSize, fm.Checksum.Order) {
		return f, 0, BadChecksum
	}
	f.Type = Type(readUint(b[fm.Type.Offset:], fm.Type.Width, fm.Order))
	f.Data = b[c.header:data:data]
	return f, n, 0
}

// whole returns the size of the frame at the start of b when it is one of the default format and no
// larger than limit, and 0 when parse has to look: it is of another format, not all there, or none.
func (c *Codec) whole(b []byte, limit int) int {
	if !c.fast || len(b) < 8 || b[0] != 0xC8 {
		return 0
	}
	n := int(binary.BigEndian.Uint32(b[1:]))
	if n < 8 || n > min(len(b), limit) || b[n-1] != 0xC9 {
		return 0
	}
	return n
}

// plain returns the frame that b begins with, which is a whole one of the default format.
func plain(b []byte, size int) Frame {
	return Frame{Type: Type(binary.BigEndian.Uint16(b[5:7])), Data: b[7 : size-1 : size-1]}
}

// judge looks at head and length as far as they are there. It returns 0 when the
// length is known and within its bounds.
func (c *Codec) judge(b []byte, limit int) Reason {
	fm := &c.format
	if have := min(len(b), len(fm.Head)); string(b[:have]) != fm.Head[:have] {
		return BadHead
	}
	if len(b) < fm.Length.Offset+fm.Length.Width {
		return short
	}
	switch size := c.size(b); {
	case size < uint64(c.overhead):
		return BadLength
	case size > c.limit(limit):
		return TooLarge
	}
	if len(b) < c.overhead {
		return short
	}
	return 0
}

// size returns the size of the whole frame that the length at the start of b
// declares. It is unsigned and wider than any length field, so it neither wraps
// nor turns negative.
func (c *Codec) size(b []byte) uint64 {
	l := c.format.Length
	return uint64(readUint(b[l.Offset:], l.Width, c.format.Order)) + uint64(c.counted)
}

func (c *Codec) limit(limit int) uint64 {
	if limit <= 0 {
		return c.maxSize
	}
	return min(uint64(limit), c.maxSize)
}

// explain makes a verdict on b into the error for the caller.
func (c *Codec) explain(b []byte, limit int, verdict Reason) error {
	if verdict == short {
		return ErrShort
	}
	fm := &c.format
	e := &Error{Reason: verdict}
	switch verdict {
	case BadHead:
		// Up to the first wrong byte, so that the error is the same whether or
		// not the rest of the head has come.
		n := 1
		for b[n-1] == fm.Head[n-1] {
			n++
		}
		e.Got, e.Want = number(b[:n]), number([]byte(fm.Head[:n]))
	case BadLength:
		e.Offset = int64(fm.Length.Offset)
		e.Got, e.Want = c.size(b)-uint64(c.counted), uint64(c.overhead-c.counted)
	case TooLarge:
		e.Offset = int64(fm.Length.Offset)
		e.Got, e.Want = c.size(b), c.limit(limit)
	case BadTail:
		tail := int(c.size(b)) - c.tailSize
		e.Offset = int64(tail)
		e.Got, e.Want = number(b[tail:tail+c.tailSize]), number([]byte(fm.Tail))
	case BadChecksum:
		data := int(c.size(b)) - c.tailSize - c.sumSize
		e.Offset = int64(data)
		e.Got = number(b[data : data+c.sumSize])
		e.Want = number(appendUint(nil, fm.Checksum.Kind.sum(b[fm.Checksum.From:data]), c.sumSize, fm.Checksum.Order))
	}
	return e
}

// number reads up to 8 bytes as they stand on the wire.
func number(b []byte) (n uint64) {
	for _, c := range b {
		n = n<<8 | uint64(c)
	}
	return n
}

func readUint(b []byte, width int, o Order) uint32 {
	switch width {
	case 1:
		return uint32(b[0])
	case 2:
		if o == LittleEndian {
			return uint32(binary.LittleEndian.Uint16(b))
		}
		return uint32(binary.BigEndian.Uint16(b))
	case 4:
		if o == LittleEndian {
			return binary.LittleEndian.Uint32(b)
		}
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func appendUint(b []byte, v uint32, width int, o Order) []byte {
	switch width {
	case 1:
		return append(b, byte(v))
	case 2:
		if o == LittleEndian {
			return binary.LittleEndian.AppendUint16(b, uint16(v))
		}
		return binary.BigEndian.AppendUint16(b, uint16(v))
	case 4:
		if o == LittleEndian {
			return binary.LittleEndian.AppendUint32(b, v)
		}
		return binary.BigEndian.AppendUint32(b, v)
	}
	return b
}
