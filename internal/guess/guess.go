// Package guess looks at bytes of which nobody knows how they are framed, and says
// which [frame.Format] would cut them into frames.
//
// A format has a length, and that is what gives it away: from the start of one frame
// the length leads to the start of the next, which looks as the first did. So all the
// ways in which a length may stand there are followed through the bytes (chain.go),
// the chains that hold are fitted with head, type, checksum and tail (fit.go), and
// what comes out is tried on all of the bytes with the codec itself.
//
// What a format explains is counted in bits, against bytes that follow no rule: a
// head of two bytes that stands at the start of a hundred frames is hardly chance, a
// length of one byte that leads to the end of the bytes easily is. Equal frames say
// nothing new, and neither do frames that all have one size, so both count once.
package guess

import (
	"cmp"
	"math"
	"slices"

	"github.com/longwire/longwire/frame"
)

// A Suggestion is a format that the bytes may have.
type Suggestion struct {
	Format  frame.Format
	Frames  int    // that are whole
	Covered int    // bytes in them
	Skipped int    // bytes that are in no frame; a frame that is cut off at the end of a stream does not count
	Why     string // what speaks for it and what against, in sentences
}

const (
	most      = 4        // suggestions
	lookAt    = 1 << 20  // bytes of all streams together
	lookFirst = 48 << 10 // of these, at each place where a length may stand
	lookNext  = 256 << 10
	streamsAt = 64       // of them
	tried     = 64       // formats, on more of the bytes
	largest   = 16 << 20 // bytes of a frame
)

// Formats returns the formats under which streams are frames, the likeliest first. A
// stream is what one side of a connection sent; it may begin and end in the middle of
// a frame and have bytes between frames that are none. It returns nothing when no
// format explains more than chance would. Of many bytes it looks at the first 1 MiB.
func Formats(streams [][]byte) (all []Suggestion) {
	streams = begin(streams, lookAt)
	if len(streams) == 0 || Other(streams) != "" {
		return nil
	}
	fits := fitAll(begin(streams, lookFirst), streams)
	var found []*trial
	some := begin(streams, lookNext)
	for _, f := range fits[:min(tried, len(fits))] {
		if t := try(f, some); t.believable() {
			found = append(found, t)
		}
	}
	// First where frames begin and end, and then what is in them: a type explains much,
	// and the beginning of the data may look like one.
	best := make(map[uint64]float64)
	for _, t := range found {
		best[t.bounds] = max(best[t.bounds], t.score())
	}
	slices.SortStableFunc(found, func(a, b *trial) int {
		return cmp.Or(cmp.Compare(best[b.bounds], best[a.bounds]), cmp.Compare(a.bounds, b.bounds), cmp.Compare(b.score()+b.fit.types, a.score()+a.fit.types))
	})
	for i, t := range found {
		if len(all) == most || best[t.bounds] < found[0].score()/2 {
			break
		}
		if slices.ContainsFunc(found[:i], t.isNothingBeside) {
			continue
		}
		t = try(t.fit, streams)
		all = append(all, Suggestion{t.fit.format, t.frames, t.covered, t.skipped, t.why()})
	}
	return all
}

// begin returns the beginnings of the streams that have bytes, at most n bytes in all.
func begin(streams [][]byte, n int) (all [][]byte) {
	for _, s := range streams {
		if len(s) > 0 && len(all) < streamsAt {
			all = append(all, s)
		}
	}
	for i, s := range all {
		all[i] = s[:min(len(s), n/(len(all)-i))]
		n -= len(all[i])
	}
	return all
}

// costs are the bits that each byte would cost if bytes were drawn one by one, as
// often as they occur.
type costs [256]float64

func newCosts(streams [][]byte) *costs {
	var count [256]int
	total := 256
	for i := range count {
		count[i] = 1
	}
	for _, s := range streams {
		for _, b := range s {
			count[b]++
		}
		total += len(s)
	}
	c := new(costs)
	for i, n := range count {
		c[i] = min(8, math.Log2(float64(total)/float64(n)))
	}
	return c
}

func (c *costs) of(b []byte) (bits float64) {
	for _, x := range b {
		bits += c[x]
	}
	return bits
}

// sizeBits is what it costs to say the size of a frame.
func sizeBits(size int) float64 { return math.Log2(float64(size)) + 3 }
