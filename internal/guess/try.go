package guess

import (
	"bytes"
	"errors"
	"fmt"
	"hash/maphash"
	"math"

	"github.com/longwire/longwire/frame"
)

// A trial is what a format makes of all the bytes.
type trial struct {
	fit                           *fit
	frames, covered, skipped, cut int
	gaps                          int    // runs of bytes that were skipped
	ends                          int    // streams that end with a frame
	largest                       int    // bytes in a frame
	data                          int    // bytes of data
	total                         int    // bytes
	bounds                        uint64 // which stands for where frames begin and end
	cuts                          uint64 // and for where their data does, and the types
}

var seed = maphash.MakeSeed()

// try cuts streams into frames with the codec.
func try(f *fit, streams [][]byte) *trial {
	t := &trial{fit: f}
	codec, err := frame.NewCodec(f.format)
	if err != nil {
		return t
	}
	header := len(f.format.Head) + f.format.Length.Width + f.format.Type.Width
	var h, bounds maphash.Hash
	h.SetSeed(seed)
	bounds.SetSeed(seed)
	budget := 8 << 20 // bytes to look at, so that checksums of what is no frame do not take long
	for i, s := range streams {
		t.total += len(s)
		at, short, gap := 0, -1, -1
		if f.format.Head == "" {
			at = len(s) // unless one of the first few in its chain is a frame
			for _, start := range f.starts[i] {
				if _, _, err := codec.Parse(s[start:], largest); err == nil {
					at = start
					break
				}
			}
			if at > 0 {
				t.gaps++
				t.skipped += at
			}
		}
		for at < len(s) && budget > 0 {
			got, n, err := codec.Parse(s[at:], largest)
			if err == nil {
				if gap >= 0 {
					t.gaps++
					t.skipped += at - gap
				}
				short, gap = -1, -1
				t.frames++
				t.covered += n
				t.data += len(got.Data)
				t.largest = max(t.largest, n)
				maphash.WriteComparable(&h, [4]int{i, at + header, len(got.Data), int(got.Type)})
				maphash.WriteComparable(&bounds, [3]int{i, at, n})
				budget -= 1
				at += n
				continue
			}
			if gap < 0 {
				gap = at
			}
			if errors.Is(err, frame.ErrShort) && short < 0 {
				short = at
			}
			if f.format.Head == "" {
				break
			}
			budget -= 64
			if f.format.Checksum.Kind != frame.NoChecksum {
				budget -= len(s[at:]) / 16
			}
			next := bytes.Index(s[at+1:], []byte(f.format.Head[:1]))
			if next < 0 {
				break
			}
			at += 1 + next
		}
		switch {
		case gap < 0:
			t.ends++
		case short == gap:
			t.cut += len(s) - gap
		case short > gap:
			t.gaps++
			t.skipped += short - gap
			t.cut += len(s) - short
		default:
			t.gaps++
			t.skipped += len(s) - gap
		}
	}
	t.bounds, t.cuts = bounds.Sum64(), h.Sum64()
	return t
}

// believable reports whether this is more than chance.
func (t *trial) believable() bool {
	f := &t.fit.format
	if t.data == 0 && (t.frames < 2 || f.Head == "" || f.Tail == "") {
		return false // there is nothing in these frames
	}
	// That the bytes end in the middle of a frame is likely when it is as large as others.
	return 2*(t.covered+min(t.cut, 2*t.largest)) >= t.total && t.fit.evidence-t.gapBits() >= enough
}

// isNothingBeside reports whether t has nothing to add to u, which is better: it gives the same
// types and data, leaves more bytes over, or cuts text.
func (t *trial) isNothingBeside(u *trial) bool {
	return t.cuts == u.cuts || t.skipped > u.skipped || t.fit.text < u.fit.text-2
}

// score is what the format explains where there are frames, less what the rest costs.
func (t *trial) score() float64 {
	return t.fit.rank*(1-float64(t.skipped)/float64(t.total)) - t.gapBits()
}

// gapBits is what the bytes that are in no frame cost, and frames that are cut off and
// larger than all others, less what it tells that streams end where a frame does.
func (t *trial) gapBits() float64 {
	bits := float64(t.gaps)*(10+math.Log2(float64(t.total))) - 4*float64(min(t.ends, 8))
	if t.cut > 0 {
		bits += 2 + 5*math.Log2(max(1, float64(t.cut)/float64(t.largest+1)))
	}
	return bits
}

var kindNames = map[frame.ChecksumKind]string{
	frame.Sum8: "sum8", frame.Xor8: "xor8", frame.CRC16Modbus: "crc16_modbus", frame.CRC16CCITTFalse: "crc16_ccitt_false", frame.CRC32: "crc32",
}

// why says what speaks for the format, and what against it.
func (t *trial) why() string {
	f, text := &t.fit.format, ""
	say := func(format string, args ...any) { text += fmt.Sprintf(format, args...) + " " }
	switch {
	case t.frames == 1:
		say("There is only one whole frame, so this is not more than a guess: give more bytes.")
	case t.fit.sizes == 1:
		say("All %d frames have the same size, so that a byte that never changes may pass for the length: give frames of other sizes.", t.frames)
	default:
		say("The lengths of %d frames of different sizes lead from each to the next.", t.frames)
	}
	switch {
	case t.frames == 1:
	case f.Head != "" && f.Tail != "":
		say("All begin with %x and end with %x.", f.Head, f.Tail)
	case f.Head != "":
		say("All begin with %x.", f.Head)
	case f.Tail != "":
		say("All end with %x.", f.Tail)
	}
	if f.Checksum.Kind != frame.NoChecksum {
		say("The checksum %s is right.", kindNames[f.Checksum.Kind])
	}
	if t.fit.text > 2 {
		say("The data is text.")
	}
	switch {
	case f.Type.Width > 0 && f.Length.Counts != frame.CountsData:
		say("Where the type ends and the data begins is the least certain.")
	case f.Type.Width == 0 && len(f.Head) > 1:
		say("The end of the head may be a type of which there was only one.")
	}
	switch {
	case t.skipped == 1:
		say("1 byte is in no frame.")
	case t.skipped > 1:
		say("%d bytes are in no frame.", t.skipped)
	}
	return text[:len(text)-1]
}
