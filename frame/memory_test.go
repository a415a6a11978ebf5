package frame_test

import (
	"bytes"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"

	"github.com/longwire/longwire/frame"
)

// wantAllocs checks how often f allocates.
func wantAllocs(t *testing.T, want float64, what string, f func()) {
	t.Helper()
	if got := testing.AllocsPerRun(100, f); got != want {
		t.Errorf("%s: %v allocations, want %v", what, got, want)
	}
}

// endless is a stream of the same bytes for ever.
type endless struct {
	bytes string
	at    int
}

func (r *endless) Read(p []byte) (n int, err error) {
	for n < len(p) {
		m := copy(p[n:], r.bytes[r.at:])
		n, r.at = n+m, (r.at+m)%len(r.bytes)
	}
	return n, nil
}

func TestAllocations(t *testing.T) {
	data := bytes.Repeat([]byte{'6'}, 64)
	wire, err := frame.Default.Append(nil, 0x10, data)
	if err != nil {
		t.Fatal(err)
	}
	must := func(ok bool) {
		if !ok {
			t.Fatal("the measured call failed")
		}
	}
	buf := make([]byte, 0, 128)
	wantAllocs(t, 0, "Append", func() {
		b, err := frame.Default.Append(buf, 0x10, data)
		must(err == nil && len(b) == 72)
	})
	wantAllocs(t, 0, "Parse", func() {
		_, n, err := frame.Default.Parse(wire, frame.DefaultMaxFrame)
		must(err == nil && n == 72)
	})
	wantAllocs(t, 0, "Parse of the beginning of a frame", func() {
		_, _, err := frame.Default.Parse(wire[:71], frame.DefaultMaxFrame)
		must(errors.Is(err, frame.ErrShort))
	})
	wantAllocs(t, 0, "NewDecoder and Next", func() {
		d := frame.NewDecoder(nil)
		_, n, err := d.Next(wire)
		must(err == nil && n == 72)
	})
	r := frame.NewReader(&endless{bytes: string(wire)}, nil)
	wantAllocs(t, 0, "Reader, 100 frames", func() {
		for range 100 {
			f, err := r.Next()
			must(err == nil && len(f.Data) == 64)
		}
	})
	w := frame.NewWriter(io.Discard, nil)
	wantAllocs(t, 0, "Writer", func() { must(w.WriteFrame(0x10, data) == nil) })

	bad := &endless{bytes: string(wire) + "garbage\xC8\x00\x00\x00\x0A67890"}
	r = frame.NewReader(bad, &frame.Config{Resync: 1 << 30})
	wantAllocs(t, 0, "Reader that skips, 100 frames", func() {
		for range 100 {
			f, err := r.Next()
			must(err == nil && len(f.Data) == 64)
		}
	})
	must(r.Skipped().Runs > 9000)
}

// A few bytes that declare much must not be worth much memory: 1,000 peers that
// do so are 1,000 times this.
func TestMemoryOfADeclaredLength(t *testing.T) {
	for _, test := range []struct {
		name, sent string
		maxFrame   int
	}{
		{"4 GiB", "\xC8\xFF\xFF\xFF\xFF\x00\x1012345678", 0},
		{"4 GiB without a limit", "\xC8\xFF\xFF\xFF\xFF\x00\x1012345678", -1},
		{"2 GiB without a limit", "\xC8\x7F\xFF\xFF\xFF\x00\x1012345678", -1},
		{"1 MiB", "\xC8\x00\x10\x00\x00\x00\x10123456789", 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			const peers = 100
			conf := &frame.Config{MaxFrame: test.maxFrame}
			readers := make([]*frame.Reader, peers)
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range readers {
				readers[i] = frame.NewReader(strings.NewReader(test.sent), conf)
				if _, err := readers[i].Next(); err == nil {
					t.Fatal("16 bytes gave a frame")
				}
			}
			runtime.ReadMemStats(&after)
			if each := (after.TotalAlloc - before.TotalAlloc) / peers; each > 16<<10 {
				t.Errorf("%d bytes of memory for 16 bytes sent", each)
			}
		})
	}
}
