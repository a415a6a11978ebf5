package frame_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/longwire/longwire/frame"
)

// wantNext checks that the next frame of r is of this type.
func wantNext(t *testing.T, r *frame.Reader, want frame.Type) {
	t.Helper()
	f, err := r.Next()
	if err != nil || f.Type != want {
		t.Fatalf("Next: type %v, %v; want %v", f.Type, err, want)
	}
}

// wantEnd checks that Next returns the same error from now on, and returns it.
func wantEnd(t *testing.T, r *frame.Reader) error {
	t.Helper()
	f, err := r.Next()
	if err == nil {
		t.Fatalf("Next: type %v, want the end", f.Type)
	}
	for range 3 {
		if f, again := r.Next(); again != err || f.Data != nil {
			t.Fatalf("Next after the end: %v, %v; want %v again", f, again, err)
		}
	}
	return err
}

func TestReaderAtTheEndOfTheStream(t *testing.T) {
	stream := wireA + wireB
	for n := range len(stream) + 1 {
		r := frame.NewReader(strings.NewReader(stream[:n]), nil)
		for i := range n / 9 {
			wantNext(t, r, frame.Type(0xA+i))
		}
		err := wantEnd(t, r)
		if n%9 == 0 {
			if err != io.EOF {
				t.Errorf("after %d bytes: %v, want EOF", n, err)
			}
			continue
		}
		if e := wantReason(t, err, frame.Truncated); !errors.Is(err, io.ErrUnexpectedEOF) || e.Offset != int64(n) {
			t.Errorf("after %d bytes: %v, want ErrUnexpectedEOF at %d", n, err, n)
		}
	}
}

// Only a truncated frame is an unexpected end.
func TestReaderAfterBytesThatAreNoFrame(t *testing.T) {
	r := frame.NewReader(strings.NewReader(wireA+"GET /"+wireB), nil)
	wantNext(t, r, 0xA)
	err := wantEnd(t, r)
	if wantReason(t, err, frame.BadHead); errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
		t.Errorf("%v is also an end of the stream", err)
	}
}

// An end that is wrapped in another error is still an end, and said as it came.
func TestReaderOfAWrappedEOF(t *testing.T) {
	gone := fmt.Errorf("the line is gone: %w", io.EOF)
	r := frame.NewReader(io.MultiReader(strings.NewReader(wireA), iotest.ErrReader(gone)), nil)
	wantNext(t, r, 0xA)
	if err := wantEnd(t, r); err != gone {
		t.Errorf("got %v, want %v", err, gone)
	}
	r = frame.NewReader(io.MultiReader(strings.NewReader(wireA[:8]), iotest.ErrReader(gone)), nil)
	wantReason(t, wantEnd(t, r), frame.Truncated)
}

// withBytes returns all its bytes and its error from its first Read.
type withBytes struct {
	bytes string
	err   error
	reads int
}

func (r *withBytes) Read(p []byte) (int, error) {
	r.reads++
	n := copy(p, r.bytes)
	r.bytes = r.bytes[n:]
	return n, r.err
}

// An error that comes with bytes is due when the frames in them are used up, and
// nothing is read after it.
func TestReaderErrorsWithBytes(t *testing.T) {
	broken := errors.New("the line is broken")
	for _, test := range []struct {
		name   string
		source withBytes
		frames int
		want   error
	}{
		{"alone", withBytes{"", broken, 0}, 0, broken},
		{"with frames", withBytes{wireA + wireB, broken, 0}, 2, broken},
		{"with half a frame", withBytes{wireA + wireB[:5], broken, 0}, 1, broken},
		{"EOF with frames", withBytes{wireA + wireB, io.EOF, 0}, 2, io.EOF},
		{"EOF with half a frame", withBytes{wireA + wireB[:5], io.EOF, 0}, 1, io.ErrUnexpectedEOF},
		{"with bytes that are no frame", withBytes{wireA + "\x00", broken, 0}, 1, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := frame.NewReader(&test.source, nil)
			for i := range test.frames {
				wantNext(t, r, frame.Type(0xA+i))
			}
			err := wantEnd(t, r)
			if test.want == nil {
				wantReason(t, err, frame.BadHead)
			} else if !errors.Is(err, test.want) {
				t.Errorf("got %v, want %v", err, test.want)
			}
			if test.source.reads != 1 {
				t.Errorf("%d reads, want 1", test.source.reads)
			}
		})
	}
}

// A timeout is an error like any other: the stream is over, although the next
// Read would have brought more.
func TestReaderErrorsStay(t *testing.T) {
	r := frame.NewReader(iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader(wireA+wireB))), nil)
	if err := wantEnd(t, r); err != iotest.ErrTimeout {
		t.Errorf("got %v, want %v", err, iotest.ErrTimeout)
	}
}

// A Read of nothing is no progress, and is borne for a while.
func TestReaderWithoutProgress(t *testing.T) {
	r := frame.NewReader(&withBytes{}, nil)
	if err := wantEnd(t, r); err != io.ErrNoProgress {
		t.Errorf("got %v, want %v", err, io.ErrNoProgress)
	}
	lame := make([][]byte, 0, 1000)
	for i := range len(wireA) {
		lame = append(append(lame, make([][]byte, 99)...), []byte(wireA[i:i+1]))
	}
	r = frame.NewReader(&chunkReader{lame}, nil)
	wantNext(t, r, 0xA)
	if err := wantEnd(t, r); err != io.EOF {
		t.Errorf("got %v, want EOF", err)
	}
}

// All frames of one Read are returned before the next, which may block for long.
func TestReaderDoesNotReadAhead(t *testing.T) {
	source := &withBytes{bytes: strings.Repeat(wireA, 10)}
	r := frame.NewReader(source, nil)
	for range 10 {
		wantNext(t, r, 0xA)
	}
	if source.reads != 1 {
		t.Errorf("%d reads for 10 frames that came together, want 1", source.reads)
	}
}

// gauge notes the room that each Read is offered.
type gauge struct {
	r     io.Reader
	got   int // bytes so far
	most  int // largest room
	last  int
	moves int // how often bytes were moved to make room
}

func (g *gauge) Read(p []byte) (int, error) {
	if g.got > 0 && len(p) > g.last {
		g.moves++
	}
	n, err := g.r.Read(p)
	g.got, g.most, g.last = g.got+n, max(g.most, len(p)), len(p)-n
	return n, err
}

// The buffer grows with the bytes that have come, by doubling, and is given back
// before the Reader waits for what follows a large frame.
func TestReaderBuffer(t *testing.T) {
	large, err := frame.Default.Append(nil, 0xB, make([]byte, 1<<20-8))
	if err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string]int{"packets": 1400, "as much as there is room": 1 << 30} {
		t.Run(name, func(t *testing.T) {
			source := &gauge{r: &chunkReader{cut(large, []int{step})}}
			r := frame.NewReader(source, nil)
			wantNext(t, r, 0xB)
			if source.got != len(large) || source.most > len(large) || source.most < len(large)/4 {
				t.Errorf("the largest room for %d bytes was %d", len(large), source.most)
			}
			wantEnd(t, r)
			if source.last > 4<<10 {
				t.Errorf("a Reader that waits after a frame of 1 MiB has room for %d bytes", source.last)
			}
		})
	}
	t.Run("small frames need no more than the first buffer", func(t *testing.T) {
		source := &gauge{r: strings.NewReader(strings.Repeat(wireA, 10_000))}
		r := frame.NewReader(source, nil)
		for range 10_000 {
			wantNext(t, r, 0xA)
		}
		if source.most > 4<<10 {
			t.Errorf("a Reader of frames of 9 bytes has room for %d bytes", source.most)
		}
	})
}

// Bytes that are skipped a few at a time, with many held behind them, are not
// moved each time: that would cost the square of what the peer sends.
func TestReaderMovesFewBytes(t *testing.T) {
	falseHead := []byte{0xC8, 0x00, 0x00, 0x3F, 0xF0, 0x00, 0x00, 0x00} // 16 KiB less 16
	stream := bytes.Repeat(falseHead, 16<<10)
	source := &gauge{r: iotest.OneByteReader(bytes.NewReader(stream))}
	r := frame.NewReader(source, &frame.Config{Resync: len(stream)})
	wantReason(t, wantEnd(t, r), frame.Truncated)
	if skipped := r.Skipped().Bytes; skipped < 100_000 {
		t.Errorf("only %d bytes are skipped", skipped)
	}
	if source.moves > 20 {
		t.Errorf("bytes were moved %d times", source.moves)
	}
}
