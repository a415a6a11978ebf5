package guess

import (
	"encoding/binary"
	"slices"

	"github.com/longwire/longwire/frame"
)

// A rule says how a length leads from where it stands to where the next one stands:
// by its value, and plus.
type rule struct {
	width int
	order frame.Order
	plus  int
}

const (
	mostBefore = 8                      // bytes before the length: head and type
	mostPlus   = mostBefore + 4 + 4 + 4 // all that is no data: these, the length or the type, checksum and tail
	mostFrames = 300                    // of a chain that are looked at
)

// rules returns all the rules that a format can have.
func rules() (all []rule) {
	for _, width := range []int{1, 2, 4} {
		for _, order := range []frame.Order{frame.BigEndian, frame.LittleEndian} {
			if width == 1 && order == frame.LittleEndian {
				continue
			}
			all = append(all, rule{width, order, 0})
			for plus := width; plus <= mostPlus; plus++ {
				all = append(all, rule{width, order, plus})
			}
		}
	}
	return all
}

// size returns the size of the frame whose length stands at b[at:], 0 if none can have it.
func (r rule) size(b []byte, at int) int {
	var v uint32
	switch {
	case r.width == 1:
		v = uint32(b[at])
	case r.width == 2 && r.order == frame.BigEndian:
		v = uint32(binary.BigEndian.Uint16(b[at:]))
	case r.width == 2:
		v = uint32(binary.LittleEndian.Uint16(b[at:]))
	case r.order == frame.BigEndian:
		v = binary.BigEndian.Uint32(b[at:])
	default:
		v = binary.LittleEndian.Uint32(b[at:])
	}
	if v > largest || int(v)+r.plus < r.width {
		return 0
	}
	return int(v) + r.plus
}

// A chain is the places in a stream at which lengths stand, each of which leads to the
// next one.
type chain []int

// follow returns the chain that explains the most of b. For each place it computes,
// from the last one on, what the chain that begins there explains: lengths that are
// shorter said as sizes than as bytes, and bytes before them that are the same each time.
func (r rule) follow(b []byte, c *costs, total []float32) chain {
	total = total[:len(b)+1]
	best, from := float32(0), -1
	for at := len(b) - r.width; at >= 0; at-- {
		total[at] = 0
		size := r.size(b, at)
		if size == 0 {
			continue
		}
		gain := c.of(b[at:at+r.width]) - float64(sizeCost[min(size, len(sizeCost)-1)])
		next := at + size
		switch {
		case next+r.width <= len(b):
			for back := 1; back <= min(at, mostBefore+4); back++ {
				if x := b[next-back]; x == b[at-back] {
					gain += c[x]
				}
			}
			total[at] = float32(gain) + max(0, total[next])
		case next <= len(b)+mostBefore: // the bytes may end with this frame
			total[at] = float32(gain)
		}
		if total[at] >= best {
			best, from = total[at], at
		}
	}
	if from < 0 {
		return nil
	}
	return r.walk(b, from, func(at int) bool { return total[at] > 0 })
}

// walk returns the chain that begins at a place.
func (r rule) walk(b []byte, at int, goOn func(at int) bool) (found chain) {
	for at+r.width <= len(b) && len(found) < 4*mostFrames && goOn(at) {
		size := r.size(b, at)
		if size == 0 {
			break
		}
		found = append(found, at)
		at += size
	}
	return found
}

// sizeCost has what sizeBits returns, for small sizes; what is larger costs as much as
// the last one, which is near enough.
var sizeCost = func() (t [4096]float32) {
	for i := range t {
		t[i] = float32(sizeBits(max(1, i)))
	}
	return t
}()

// cutInto returns the frames that a chain cuts b into when each begins before bytes
// before its length.
func (r rule) cutInto(b []byte, places chain, before int) (frames [][]byte) {
	for _, at := range places {
		start, size := at-before, r.size(b, at)
		if start < 0 || size < before+r.width {
			continue
		}
		if start+size > len(b) {
			break
		}
		frames = append(frames, b[start:start+size])
	}
	return frames
}

// whole reports whether the chain that begins with the stream goes through all of it,
// but for a frame that is cut off.
func (r rule) whole(b []byte, before int) (chain, bool) {
	if len(b) < before+r.width {
		return nil, false
	}
	found := r.walk(b, before, func(int) bool { return true })
	if len(found) == 0 {
		return nil, false
	}
	last := found[len(found)-1]
	end := last + r.size(b, last) - before
	return found, end >= len(b) || end+before+r.width > len(b) || len(found) == 4*mostFrames
}

// differing returns frames of which no two are equal.
func differing(frames [][]byte) (all [][]byte) {
	seen := make(map[string]bool)
	for _, f := range frames {
		if len(all) < mostFrames && !seen[string(f)] {
			seen[string(f)] = true
			all = append(all, f)
		}
	}
	return all
}

// telling returns the frames whose lengths tell something: of those that have the most
// frequent size, only one.
func telling(frames [][]byte) (all [][]byte) {
	count := make(map[int]int)
	usual := 0
	for _, f := range frames {
		count[len(f)]++
		if count[len(f)] > count[usual] {
			usual = len(f)
		}
	}
	one := slices.IndexFunc(frames, func(f []byte) bool { return len(f) == usual })
	for i, f := range frames {
		if len(f) != usual || i == one {
			all = append(all, f)
		}
	}
	return all
}
