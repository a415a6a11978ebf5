package frame

import "io"

// A Writer writes frames to an [io.Writer]. It is not safe for concurrent use.
type Writer struct {
	w     io.Writer
	codec *Codec
	buf   []byte
	err   error
}

// NewWriter returns a Writer of frames of codec's format; nil means the default
// one.
func NewWriter(w io.Writer, codec *Codec) *Writer { return &Writer{w: w, codec: codec} }

// WriteFrame writes one frame with a single call of the io.Writer's Write, so
// that a frame is not spread over two packets without need. It does not keep
// data. A frame that the format cannot say is refused with an [*Error] and
// nothing is written. After any error of the io.Writer the stream may end in a
// torn frame, so every later call returns that error and writes nothing.
func (w *Writer) WriteFrame(t Type, data []byte) error {
	if w.err != nil {
		return w.err
	}
	b, err := w.codec.Append(w.buf[:0], t, data)
	if err != nil {
		return err
	}
	if w.buf = b; cap(b) > keepBuffer {
		w.buf = nil
	}
	n, err := w.w.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	w.err = err
	return err
}
