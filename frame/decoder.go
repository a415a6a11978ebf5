package frame

import (
	"bytes"
	"errors"
)

// DefaultMaxFrame is the largest whole frame that a stream may carry when
// [Config.MaxFrame] is zero: 1 MiB.
const DefaultMaxFrame = 1 << 20

// sampleSize is how much of a run of skipped bytes is kept to look at.
const sampleSize = 64

// Config says how a stream is cut into frames. The zero Config is valid. A
// Config must not be changed while a Decoder or Reader uses it; any number of
// them may share one.
type Config struct {
	// Codec is the frame's; nil means the default format's.
	Codec *Codec
	// MaxFrame is the size in bytes of the largest whole frame, head to tail.
	// Zero means DefaultMaxFrame; negative means no limit but the format's own.
	MaxFrame int
	// Resync is how many bytes of one stream may be skipped, in total, in search
	// of the next whole frame after bytes that are none. Zero and negative mean
	// that the stream is over with the first such byte; so does any value when
	// the format has too little to recognize a frame by (Codec.CanResync). A
	// frame whose checksum is wrong costs its size twice, once for looking.
	Resync int
}

// zeroConfig is what a nil *Config means.
var zeroConfig Config

func (c *Config) orZero() *Config {
	if c == nil {
		return &zeroConfig
	}
	return c
}

func (c *Config) maxFrame() int {
	if c.MaxFrame == 0 {
		return DefaultMaxFrame
	}
	return c.MaxFrame
}

// Skipped counts the bytes of a stream that were skipped in search of a frame.
type Skipped struct {
	Bytes int64 // all of them
	Runs  int64 // uninterrupted runs of them
	// Cause is why the latest run began, Offset where in the stream, and Sample
	// holds its first bytes, at most 64.
	Cause  Reason
	Offset int64
	Sample []byte
}

// A Decoder cuts the bytes of one stream into frames. It does no I/O and keeps
// no bytes; it knows the position in the stream. The zero Decoder is at the start
// of a stream of default frames. It is not safe for concurrent use.
type Decoder struct {
	conf   *Config // nil means the zero one
	offset int64
	skip   *skipping // nil until a byte is skipped
}

// skipping is what a Decoder remembers of the bytes that it skipped.
type skipping struct {
	Skipped
	end    int64 // offset behind the latest run
	looked int64 // bytes of frames whose checksum was computed and wrong
}

// NewDecoder returns a Decoder at the start of a stream; a nil Config means the
// zero one.
func NewDecoder(conf *Config) Decoder { return Decoder{conf: conf} }

// SetConfig changes how the rest of the stream is cut; nil means the zero Config.
func (d *Decoder) SetConfig(conf *Config) { d.conf = conf }

// Offset returns the position in the stream: how many bytes Next has consumed.
func (d *Decoder) Offset() int64 { return d.offset }

// Skipped returns what has been skipped so far. The sample is the caller's to
// read until the next call of Next.
func (d *Decoder) Skipped() Skipped {
	if d.skip == nil {
		return Skipped{}
	}
	return d.skip.Skipped
}

// Next returns the first frame in b, which must start where the bytes consumed
// by the calls before ended, and how many bytes of b are consumed, with an error
// too. The frame's data is a window into b.
//
// It returns [ErrShort] when there is no whole frame in b; the bytes that are not
// consumed must be given again, with more behind them. Any other error is an
// [*Error] and the end of the stream.
func (d *Decoder) Next(b []byte) (f Frame, n int, err error) {
	conf := d.conf.orZero()
	c, limit := conf.Codec.orDefault(), conf.maxFrame()
	if n = c.whole(b, int(c.limit(limit))); n > 0 {
		d.offset += int64(n)
		return plain(b, n), n, nil
	}
	f, n, verdict := c.parse(b, limit)
	if verdict == 0 {
		d.offset += int64(n)
		return f, n, nil
	}
	if verdict == short {
		return f, 0, ErrShort
	}
	if conf.Resync <= 0 || !c.CanResync() {
		err := c.explain(b, limit, verdict)
		if e, ok := errors.AsType[*Error](err); ok {
			e.Offset += d.offset
		}
		return f, 0, err
	}
	return d.resync(b, verdict)
}

// resync skips bytes from the start of b, which hold no frame because of the
// verdict, up to the first offset at which a whole frame validates or may still
// do so when more bytes have come. The choice depends on the bytes alone, not on
// how they were cut.
func (d *Decoder) resync(b []byte, verdict Reason) (f Frame, n int, err error) {
	conf := d.conf.orZero()
	c, limit := conf.Codec.orDefault(), conf.maxFrame()
	if d.skip == nil {
		d.skip = new(skipping)
	}
	s := d.skip
	for verdict != 0 && verdict != short {
		if s.Runs == 0 || d.offset != s.end {
			s.Runs++
			s.Cause, s.Offset, s.Sample = verdict, d.offset, s.Sample[:0]
		}
		if verdict == BadChecksum {
			s.looked += int64(c.size(b[n:]))
		}
		step := 1 + bytes.IndexByte(b[n+1:], c.format.Head[0])
		if step == 0 {
			step = len(b) - n
		}
		left := max(int64(conf.Resync)-s.Bytes-s.looked, 0)
		skipped := b[n : n+min(step, int(left))]
		s.Sample = append(s.Sample, skipped[:min(len(skipped), sampleSize-len(s.Sample))]...)
		s.Bytes += int64(len(skipped))
		n += len(skipped)
		d.offset += int64(len(skipped))
		s.end = d.offset
		if int64(step) > left {
			return f, n, &Error{Reason: SkipBudget, Offset: d.offset, Got: uint64(s.Bytes+s.looked) + 1, Want: uint64(conf.Resync)}
		}
		var size int
		f, size, verdict = c.parse(b[n:], limit)
		n += size
		d.offset += int64(size)
	}
	if verdict == short {
		return f, n, ErrShort
	}
	return f, n, nil
}
