package guess

import (
	"encoding/json"
	"slices"
	"unicode/utf8"

	"github.com/longwire/longwire/frame"
)

// text returns the bits, for each frame, that text tells about where the data begins
// and ends: it goes up to bytes that are none. A few short texts are chance.
func (k *cutting) text(header, after int) float64 {
	bits, n, texts := 0.0, 0, 0
	for _, f := range k.frames[:min(len(k.frames), 40)] {
		if len(f) < header+after {
			continue
		}
		n++
		data := f[header : len(f)-after]
		if len(data) < 2 || len(data) > 4096 || !isText(data) {
			continue
		}
		texts++
		if header == 0 || !isText(f[header-1:header]) {
			bits += 6
		} else {
			bits -= 2
		}
		if after == 0 || !isText(f[len(f)-after:][:1]) {
			bits += 6
		}
		if (data[0] == '{' || data[0] == '[') && json.Valid(data) {
			bits += 40
		}
	}
	if 5*texts < n || n == 0 {
		return 0
	}
	return bits / float64(n)
}

// isText reports whether b is UTF-8 without control characters.
func isText(b []byte) bool {
	for _, x := range b {
		if x < ' ' && x != '\n' && x != '\r' && x != '\t' || x == 0x7F {
			return false
		}
	}
	return utf8.Valid(b)
}

// A sum is a checksum that is right in all frames, before a tail of a certain size.
type sum struct {
	sum  frame.Checksum
	tail int
	bits float64 // that it explains
}

func (s sum) width() int { return sumWidth[s.sum.Kind] }

var sumWidth = map[frame.ChecksumKind]int{frame.Sum8: 1, frame.Xor8: 1, frame.CRC16Modbus: 2, frame.CRC16CCITTFalse: 2, frame.CRC32: 4}

var kinds = []frame.ChecksumKind{frame.Sum8, frame.Xor8, frame.CRC16Modbus, frame.CRC16CCITTFalse, frame.CRC32}

// sums returns what checksums the frames may have; none is always among them.
func (k *cutting) sums(shortest []byte) (all []sum) {
	for tail := range len(k.tail) + 1 {
		all = append(all, sum{tail: tail})
		if len(k.frames) == 1 && !slices.ContainsFunc(k.starts, func(s []int) bool { return len(s) > 0 && s[0] == 0 }) {
			continue // one frame somewhere is chance, whatever its checksum
		}
		for _, kind := range kinds {
			end := len(shortest) - tail - sumWidth[kind]
			for from := range min(k.before+k.rule.width+5, end+1) {
				if len(shortest) > 1024 && from != 0 && from != k.before && from != k.before+k.rule.width && from != len(k.head) {
					continue // the less likely ones only where they cost little
				}
				if *k.work -= end - from; *k.work < 0 {
					continue
				}
				got, want := shortest[end:len(shortest)-tail], slices.Clone(k.sum(kind, shortest[from:end]))
				for _, order := range []frame.Order{frame.BigEndian, frame.LittleEndian} {
					if equal(got, want, order) && (order == frame.BigEndian || len(want) > 1) {
						all = append(all, k.weigh(frame.Checksum{Kind: kind, From: from, Order: order}, tail)...)
					}
				}
			}
		}
	}
	return all
}

// weigh returns the checksum with its weight, if it is right in all frames.
func (k *cutting) weigh(s frame.Checksum, tail int) []sum {
	width, differ, bits, size, wrong := sumWidth[s.Kind], make(map[string]bool), 0.0, 0, 0
	for _, f := range k.frames {
		if size += len(f); size > 1<<16 && len(differ) > 2 {
			break
		}
		*k.work -= len(f)
		end := len(f) - tail - width
		if end < s.From || !equal(f[end:len(f)-tail], k.sum(s.Kind, f[s.From:end]), s.Order) {
			if wrong++; wrong > strays(len(k.frames)) {
				return nil
			}
			continue
		}
		if got := f[end : len(f)-tail]; end > s.From && !differ[string(got)] {
			differ[string(got)] = true
			bits += k.costs.of(got)
		}
	}
	// That so many were tried, and that a checksum rather covers all of a frame or
	// what follows the head or the length.
	bits -= 9 + lost*float64(wrong)
	switch s.From {
	case 0:
	case len(k.head):
		bits -= 0.5
	case k.before, k.before + k.rule.width:
		bits--
	default:
		bits -= 3
	}
	return []sum{{s, tail, bits}}
}

// sum returns a checksum of b, its most significant byte first, until the
// next one is made. The codec computes it:
// the checksum is the end of a frame that consists of a length, b, and that.
func (k *cutting) sum(kind frame.ChecksumKind, b []byte) []byte {
	k.scratch, _ = summers[kind].Append(k.scratch[:0], 0, b)
	return k.scratch[len(k.scratch)-sumWidth[kind]:]
}

var summers = func() map[frame.ChecksumKind]*frame.Codec {
	all := make(map[frame.ChecksumKind]*frame.Codec)
	for _, kind := range kinds {
		all[kind], _ = frame.NewCodec(frame.Format{Length: frame.Length{Width: 4}, Checksum: frame.Checksum{Kind: kind, From: 4}})
	}
	return all
}()

// equal compares a checksum as it stands in a frame with the one that is right.
func equal(got, want []byte, order frame.Order) bool {
	for i := range got {
		j := i
		if order == frame.LittleEndian {
			j = len(want) - 1 - i
		}
		if got[i] != want[j] {
			return false
		}
	}
	return true
}
