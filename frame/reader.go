package frame

import (
	"errors"
	"io"
)

const (
	firstBuffer = 4 << 10  // what a Reader starts with
	keepBuffer  = 64 << 10 // what it keeps after a frame that needed more
)

// A Reader reads frames from an [io.Reader]. Its buffer starts at 4 KiB and grows
// with the bytes that arrive. It is not safe for concurrent use.
type Reader struct {
	r          io.Reader
	dec        Decoder
	buf        []byte
	start, end int   // buf[start:end] has been read and not yet returned
	readErr    error // came with the last bytes; due when they are used up
	err        error // the end of the stream
}

// NewReader returns a Reader of the frames in r; a nil Config means the zero one.
func NewReader(r io.Reader, conf *Config) *Reader {
	return &Reader{r: r, dec: NewDecoder(conf)}
}

// Next returns the next frame. Its data belongs to the Reader and is valid until
// the next call.
//
// The error is [io.EOF] when the stream ends between two frames, an [*Error] with
// its offset in the stream when it ends inside one (which is also
// [io.ErrUnexpectedEOF]) or when the bytes are no frame, and the error of the
// io.Reader otherwise. After an error, Next returns it again.
func (r *Reader) Next() (Frame, error) {
	for r.err == nil {
		f, n, err := r.dec.Next(r.buf[r.start:r.end])
		r.start += n
		if err == nil {
			return f, nil
		}
		if !errors.Is(err, ErrShort) {
			r.err = err
			break
		}
		r.fill()
	}
	return Frame{}, r.err
}

// Skipped returns what has been skipped so far; see [Config.Resync].
func (r *Reader) Skipped() Skipped { return r.dec.Skipped() }

// fill reads once, into a buffer that has room.
func (r *Reader) fill() {
	r.makeRoom()
	n := 0
	for range 100 {
		if r.readErr != nil || n > 0 {
			break
		}
		n, r.readErr = r.r.Read(r.buf[r.end:])
		r.end += n
	}
	switch {
	case n > 0:
	case r.readErr == nil:
		r.err = io.ErrNoProgress
	case errors.Is(r.readErr, io.EOF) && r.end > r.start:
		r.err = &Error{Reason: Truncated, Offset: r.dec.Offset() + int64(r.end-r.start)}
	default:
		r.err = r.readErr
	}
}

// makeRoom makes room behind the bytes that are held. It moves them to the start
// of the buffer only when no more of them are held than have been used up since
// the last move: otherwise a peer whose bytes are skipped a few at a time, with
// many held behind them, would cost the square of what it sends.
func (r *Reader) makeRoom() {
	held := r.buf[r.start:r.end]
	switch {
	case len(r.buf) > keepBuffer && len(held) < firstBuffer:
		r.buf = make([]byte, firstBuffer)
	case r.start >= len(held) && r.start > 0: // in place
	case r.end == len(r.buf):
		r.buf = make([]byte, max(firstBuffer, 2*len(r.buf)))
	default:
		return
	}
	r.start, r.end = 0, copy(r.buf, held)
}
