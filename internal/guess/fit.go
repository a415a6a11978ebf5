package guess

import (
	"bytes"
	"cmp"
	"math"
	"slices"

	"github.com/longwire/longwire/frame"
)

const (
	sumsAtMost = 32 << 20 // bytes, so that large frames do not take long

	enough = 6.0  // bits, at which an explanation is believed
	lost   = 20.0 // bits that a frame costs which is none in the end
	tries  = 6.0  // bits that finding something costs because so much was tried
)

// A fit is a format with what it explains.
type fit struct {
	format   frame.Format
	starts   [][]int // of the first few frames in each stream
	frames   int     // that differ from each other
	sizes    int     // different ones among them
	text     float64 // bits for each frame: that the data is text, up to where it ends
	evidence float64 // in bits, that these are frames at all
	rank     float64 // the same with what tells one such format from another
	types    float64 // what the type explains, which tells only where it stands in a frame
}

// A cutting is a way to cut the streams into frames, of which only the length and
// what it counts beside its value is known yet.
type cutting struct {
	rule   rule
	before int // bytes of a frame before the length
	starts [][]int
	frames [][]byte // of which no two are equal
	few    int      // how many of them tell something by their length
	head   []byte   // the longest that nearly all frames have
	tail   []byte
	costs  *costs
	length float64 // bits that the lengths of these explain
	others float64 // and those of the others

	scratch []byte // for checksums
	work    *int   // bytes of which checksums may be computed yet, for all cuttings
}

// fitAll returns what fits streams, the best first. It looks for chains in what they
// begin with, and follows those that begin with a stream through all of it.
func fitAll(streams, all [][]byte) (found []*fit) {
	c, work := newCosts(streams), sumsAtMost
	longest := 0
	for _, s := range streams {
		longest = max(longest, len(s))
	}
	total := make([]float32, longest+1)
	best := make(map[frame.Format]*fit)
	for _, r := range rules() {
		chains := make([]chain, len(streams))
		for i, s := range streams {
			chains[i] = r.follow(s, c, total)
		}
		for before := range mostBefore + 1 {
			cuttings := []*cutting{cut(r, streams, chains, before, c)}
			if through := r.allThrough(all, before); through != nil {
				cuttings = append(cuttings, cut(r, all, through, before, c))
			}
			for _, k := range cuttings {
				k.work = &work
				fits := k.fits()
				for _, f := range fits[:min(4, len(fits))] {
					if known := best[f.format]; known == nil || f.rank > known.rank {
						best[f.format] = f
					}
				}
			}
		}
	}
	for _, f := range best {
		found = append(found, f)
	}
	slices.SortFunc(found, func(a, b *fit) int { return cmp.Or(cmp.Compare(b.rank, a.rank), compare(a.format, b.format)) })
	return found
}

// allThrough returns the chains that begin with each stream, if most of them hold.
func (r rule) allThrough(streams [][]byte, before int) []chain {
	chains, held := make([]chain, len(streams)), 0
	for i, s := range streams {
		var ok bool
		if chains[i], ok = r.whole(s, before); ok {
			held++
		}
	}
	if 2*held < len(streams) || held == 0 {
		return nil
	}
	return chains
}

// compare gives formats that explain the same an order, so that the same bytes
// always give the same answer.
func compare(a, b frame.Format) int {
	return cmp.Or(
		cmp.Compare(a.Head, b.Head), cmp.Compare(a.Length.Offset, b.Length.Offset), cmp.Compare(b.Length.Width, a.Length.Width),
		cmp.Compare(a.Length.Counts, b.Length.Counts), cmp.Compare(a.Type.Width, b.Type.Width), cmp.Compare(a.Type.Offset, b.Type.Offset),
		cmp.Compare(a.Order, b.Order), cmp.Compare(a.Tail, b.Tail), cmp.Compare(a.Checksum.Kind, b.Checksum.Kind),
		cmp.Compare(a.Checksum.From, b.Checksum.From), cmp.Compare(a.Checksum.Order, b.Checksum.Order))
}

// cut cuts streams into frames, and sees how most of them begin and end.
func cut(r rule, streams [][]byte, chains []chain, before int, c *costs) *cutting {
	k := &cutting{rule: r, before: before, costs: c}
	var frames [][]byte
	for i, s := range streams {
		var starts []int
		for _, at := range chains[i] {
			if at >= before && len(starts) < 8 {
				starts = append(starts, at-before)
			}
		}
		k.starts = append(k.starts, starts)
		frames = append(frames, r.cutInto(s, chains[i], before)...)
	}
	often, total := make(map[int]int), float64(len(frames))
	for _, f := range frames {
		often[len(f)]++
	}
	frames = differing(frames)
	if len(frames) == 0 {
		return k
	}
	head := common(frames, func(f []byte) []byte { return f[:min(before, 4)] })
	tail := common(frames, func(f []byte) []byte { // from the end on
		t := slices.Clone(f[max(before+r.width, len(f)-4):])
		slices.Reverse(t)
		return t
	})
	slices.Reverse(tail)
	k.frames, k.head, k.tail = frames, head, tail
	few := telling(k.frames)
	k.few = len(few)
	// A size costs what it takes to say it, or, once it was said, to say which of the
	// sizes it is.
	bits, each, once := 0.0, 0.0, 0.0
	said := make(map[int]bool)
	for _, f := range few {
		size := len(f)
		bits += c.of(f[before : before+r.width])
		each += sizeBits(size)
		once += math.Log2(total / float64(often[size]))
		if !said[size] {
			said[size] = true
			once += sizeBits(size)
		}
	}
	k.length = bits - min(once, each)
	for _, f := range k.frames {
		k.others += c.of(f[before : before+r.width])
	}
	k.others -= bits
	return k
}

// common returns the longest beginning that nearly all frames share.
func common(frames [][]byte, part func([]byte) []byte) (shared []byte) {
	for at := range 4 {
		var count [256]int
		n, usual := 0, 0
		for _, f := range frames {
			if p := part(f); len(p) > at && begins(p, shared) {
				count[p[at]]++
				n++
				if count[p[at]] > count[usual] {
					usual = int(p[at])
				}
			}
		}
		if count[usual] == 0 || len(frames)-count[usual] > strays(len(frames)) {
			break
		}
		shared = append(shared, byte(usual))
	}
	return shared
}

// strays returns how many of n frames may be none, and differ therefore.
func strays(n int) int {
	if n < 8 {
		return 0
	}
	return 3 * n / 20
}

func begins(b, with []byte) bool { return len(b) >= len(with) && string(b[:len(with)]) == string(with) }

// entropy returns the bits that it costs to say which of several values each of n is.
func entropy(count map[uint32]int, n int) (bits float64) {
	for _, k := range count {
		bits += float64(k) * math.Log2(float64(n)/float64(k))
	}
	return bits
}

// fits returns the formats that the frames may have, the best first.
func (k *cutting) fits() (all []*fit) {
	if len(k.frames) == 0 {
		return nil
	}
	shortest := slices.MinFunc(k.frames, func(a, b []byte) int {
		return cmp.Or(misses(a, k.head, k.tail)-misses(b, k.head, k.tail), len(a)-len(b))
	})
	sums := k.sums(shortest)
	for _, typ := range []struct{ before, after int }{{0, 2}, {0, 1}, {0, 4}, {0, 0}, {1, 0}, {2, 0}, {4, 0}} {
		head := k.before - typ.before
		if head < 0 || head > len(k.head) {
			continue
		}
		header := k.before + k.rule.width + typ.after
		for tail := range len(k.tail) + 1 {
			for _, s := range sums {
				if s.tail != tail || s.sum.From > header || header+s.width()+tail > len(shortest) {
					continue
				}
				f := frame.Format{
					Head:     string(k.head[:head]),
					Length:   frame.Length{Offset: k.before, Width: k.rule.width},
					Order:    k.rule.order,
					Checksum: s.sum,
					Tail:     string(k.tail[len(k.tail)-tail:]),
				}
				if width := typ.before + typ.after; width > 0 {
					f.Type = frame.TypeField{Offset: head, Width: width}
					if typ.after > 0 {
						f.Type.Offset += k.rule.width
					}
				}
				switch k.rule.plus {
				case 0:
					f.Length.Counts = frame.CountsFrame
				case header + s.width() + tail:
					f.Length.Counts = frame.CountsData
				case k.before + k.rule.width:
					f.Length.Counts = frame.CountsRest
				default:
					continue
				}
				all = append(all, k.score(f, header, s))
			}
		}
	}
	slices.SortFunc(all, func(a, b *fit) int {
		return cmp.Or(cmp.Compare(b.rank+b.types, a.rank+a.types), compare(a.format, b.format))
	})
	return all
}

// score weighs a format.
func (k *cutting) score(f frame.Format, header int, s sum) *fit {
	k, short := k.atLeast(header + s.width() + len(f.Tail))
	n := float64(len(k.frames))
	c := &fit{starts: k.starts, frames: len(k.frames), evidence: k.length + s.bits - tries - lost*float64(short)}
	sizes := make(map[int]bool)
	for _, f := range k.frames {
		sizes[len(f)] = true
	}
	c.sizes = len(sizes)
	same := k.costs.of([]byte(f.Head + f.Tail))
	few := float64(k.few)
	c.evidence += (few - 1) * same
	for _, b := range k.frames {
		c.evidence -= lost * float64(misses(b, f.Head, f.Tail))
	}
	text := k.text(header, s.width()+len(f.Tail))
	c.text = text
	c.evidence += text * few
	c.rank = c.evidence + k.others + (n-few)*(same+text) + 0.1*float64(len(f.Head))
	if width := f.Type.Width; width > 0 {
		if width > 1 && f.Length.Width == 1 {
			f.Order = k.typeOrder(f.Type)
		}
		c.types = k.typeBits(f.Type)
		if f.Type.Offset < f.Length.Offset {
			c.rank -= 2 // it more often stands behind the length
		}
	}
	if f.Length.Width < 4 && k.zerosBeside(f) {
		c.rank -= 10 + n/2
	}
	if f == frame.Default.Format() {
		c.rank += 6
	}
	c.format = f
	return c
}

// atLeast returns the cutting without the frames that are smaller, and how many these are.
func (k *cutting) atLeast(size int) (*cutting, int) {
	small := func(f []byte) bool { return len(f) < size }
	if !slices.ContainsFunc(k.frames, small) {
		return k, 0
	}
	without := *k
	without.frames = slices.DeleteFunc(slices.Clone(k.frames), small)
	return &without, len(k.frames) - len(without.frames)
}

// misses returns 1 if the frame begins or ends in another way, else 0.
func misses[T string | []byte](f []byte, head, tail T) int {
	if bytes.HasPrefix(f, []byte(head)) && bytes.HasSuffix(f, []byte(tail)) {
		return 0
	}
	return 1
}

// typeBits returns what a type in that place explains: that few values come again
// and again. Bytes of it that never change are no part of these.
func (k *cutting) typeBits(t frame.TypeField) (bits float64) {
	first, end := t.Offset, t.Offset+t.Width
	for ; first < end && k.constant(first); first++ {
		bits += k.repeats(first, 1)
	}
	for ; first < end && k.constant(end-1); end-- {
		bits += k.repeats(end-1, 1)
	}
	// A type that is another one each time is no worse than data that is, but not what
	// types are for.
	return bits + max(-float64(t.Width), k.repeats(first, end-first))
}

// constant reports whether a byte is the same in all frames.
func (k *cutting) constant(at int) bool {
	return !slices.ContainsFunc(k.frames, func(f []byte) bool { return f[at] != k.frames[0][at] })
}

// zerosBeside reports whether the length has zeros beside it in all frames, which are
// rather the high bytes of a wider one.
func (k *cutting) zerosBeside(f frame.Format) bool {
	before, after := f.Length.Offset-1, f.Length.Offset+f.Length.Width
	switch {
	case before >= 0 && k.frames[0][before] == 0 && k.constant(before):
		return true
	case before < 0 && len(f.Tail) > 0 && f.Tail[len(f.Tail)-1] == 0:
		return true
	}
	return f.Order == frame.LittleEndian && !slices.ContainsFunc(k.frames, func(f []byte) bool { return len(f) <= after || f[after] != 0 })
}

// repeats returns the bits that it explains that bytes of all frames repeat those of
// others.
func (k *cutting) repeats(at, width int) (bits float64) {
	count := make(map[uint32]int)
	for _, f := range k.frames {
		var v uint32
		for _, x := range f[at : at+width] {
			v = v<<8 | uint32(x)
		}
		if count[v]++; count[v] > 1 {
			bits += k.costs.of(f[at : at+width])
		}
	}
	return bits - entropy(count, len(k.frames))
}

// typeOrder returns the byte order of types where the length has none: the byte that
// differs less is the higher one.
func (k *cutting) typeOrder(t frame.TypeField) frame.Order {
	var first, last [256]bool
	var firsts, lasts int
	for _, f := range k.frames {
		if x := f[t.Offset]; !first[x] {
			first[x] = true
			firsts++
		}
		if x := f[t.Offset+t.Width-1]; !last[x] {
			last[x] = true
			lasts++
		}
	}
	if firsts > lasts || firsts == lasts && !first[0] && last[0] {
		return frame.LittleEndian
	}
	return frame.BigEndian
}
