package frame_test

import (
	"bytes"
	"errors"
	"io"

	"pgregory.net/rapid"

	"github.com/longwire/longwire/frame"
)

// A found frame, and how many bytes had been skipped when it was.
type found struct {
	Type    frame.Type
	Data    string
	Skipped int64
}

// told is all that a Decoder or a Reader tells about a stream: the frames, and
// how it ended.
type told struct {
	Frames  []found
	Skipped frame.Skipped
	Err     error
}

// decode gives chunks to a Decoder as a connection would, and ends the stream as
// a Reader does. Every frame must be what stands in the stream where it is said
// to stand, and nothing but a frame.
func decode(tb rapid.TB, conf *frame.Config, chunks [][]byte) (got told) {
	tb.Helper()
	var codec *frame.Codec
	if conf != nil {
		codec = conf.Codec
	}
	d := frame.NewDecoder(conf)
	stream := bytes.Join(chunks, nil)
	end := 0 // of what the Decoder may see
	for _, chunk := range chunks {
		end += len(chunk)
		for {
			f, n, err := d.Next(stream[:end:end][d.Offset():])
			got.Skipped = keep(d.Skipped())
			if errors.Is(err, frame.ErrShort) {
				break
			}
			if err != nil {
				got.Err = err
				return got
			}
			wire, err := codec.Append(nil, f.Type, f.Data)
			if err != nil || n < len(wire) || !bytes.HasSuffix(stream[:d.Offset()], wire) {
				tb.Fatalf("frame at the end of %x is not %x (%d consumed, %v)", stream[:d.Offset()], wire, n, err)
			}
			got.Frames = append(got.Frames, found{f.Type, string(f.Data), got.Skipped.Bytes})
		}
	}
	got.Err = io.EOF
	if d.Offset() < int64(end) {
		got.Err = &frame.Error{Reason: frame.Truncated, Offset: int64(end)}
	}
	return got
}

// keep keeps the sample, which is lent.
func keep(s frame.Skipped) frame.Skipped {
	s.Sample = append([]byte(nil), s.Sample...)
	return s
}

// read reads r to its end.
func read(conf *frame.Config, r io.Reader) (got told) {
	fr := frame.NewReader(r, conf)
	for {
		f, err := fr.Next()
		got.Skipped = keep(fr.Skipped())
		if err != nil {
			got.Err = err
			return got
		}
		got.Frames = append(got.Frames, found{f.Type, string(f.Data), got.Skipped.Bytes})
	}
}

// search is what a Decoder and a Reader must tell about a stream, said as plainly
// as possible: at each offset there is a frame, or the beginning of one, or a
// byte to skip.
func search(c *frame.Codec, maxFrame, resync int, stream []byte) (got told) {
	f := c.Format()
	behind := len(f.Tail) + map[frame.ChecksumKind]int{
		frame.Sum8: 1, frame.Xor8: 1, frame.CRC16Modbus: 2, frame.CRC16CCITTFalse: 2, frame.CRC32: 4,
	}[f.Checksum.Kind] // bytes behind the data
	looked, lastSkipped := int64(0), -2
	s := &got.Skipped
	for at := 0; ; {
		f, n, err := c.Parse(stream[at:], maxFrame)
		if err == nil {
			got.Frames = append(got.Frames, found{f.Type, string(f.Data), s.Bytes})
			at += n
			continue
		}
		if errors.Is(err, frame.ErrShort) {
			got.Err = io.EOF
			if at < len(stream) {
				got.Err = &frame.Error{Reason: frame.Truncated, Offset: int64(len(stream))}
			}
			return got
		}
		e, _ := errors.AsType[*frame.Error](err)
		if resync <= 0 || !c.CanResync() {
			e.Offset += int64(at)
			got.Err = e
			return got
		}
		if lastSkipped != at-1 {
			s.Runs++
			s.Cause, s.Offset, s.Sample = e.Reason, int64(at), nil
		}
		if e.Reason == frame.BadChecksum {
			looked += e.Offset + int64(behind)
		}
		if s.Bytes+looked >= int64(resync) {
			got.Err = &frame.Error{Reason: frame.SkipBudget, Offset: int64(at), Got: uint64(s.Bytes+looked) + 1, Want: uint64(resync)}
			return got
		}
		if len(s.Sample) < 64 {
			s.Sample = append(s.Sample, stream[at])
		}
		s.Bytes++
		lastSkipped = at
		at++
	}
}
