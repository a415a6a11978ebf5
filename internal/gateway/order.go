package gateway

import (
	"cmp"
	"iter"
	"slices"
)

// An order is devices in the order of their ids. They are in chunks, so that a place for
// one more among 100,000 costs no more than moving a chunk.
type order struct {
	chunks [][]*device // none of them empty
}

const maxChunk = 512

// find returns where the device with an id is, or would be.
func (o *order) find(id string) (chunk, place int, found bool) {
	if len(o.chunks) == 0 {
		return 0, 0, false
	}
	chunk, found = slices.BinarySearchFunc(o.chunks, id, func(c []*device, id string) int { return cmp.Compare(c[0].id, id) })
	if !found {
		chunk = max(chunk-1, 0) // the one that begins before it
	}
	place, found = slices.BinarySearchFunc(o.chunks[chunk], id, func(d *device, id string) int { return cmp.Compare(d.id, id) })
	return chunk, place, found
}

// add adds a device, whose id must be new.
func (o *order) add(d *device) {
	if len(o.chunks) == 0 {
		o.chunks = [][]*device{{d}}
		return
	}
	i, place, _ := o.find(d.id)
	c := slices.Insert(o.chunks[i], place, d)
	o.chunks[i] = c
	if len(c) > maxChunk {
		second := slices.Clone(c[maxChunk/2:])
		o.chunks[i] = slices.Delete(c, maxChunk/2, len(c))
		o.chunks = slices.Insert(o.chunks, i+1, second)
	}
}

// remove removes the device with an id, if it is there.
func (o *order) remove(id string) {
	i, place, found := o.find(id)
	if !found {
		return
	}
	if o.chunks[i] = slices.Delete(o.chunks[i], place, place+1); len(o.chunks[i]) == 0 {
		o.chunks = slices.Delete(o.chunks, i, i+1)
	}
}

// from returns the devices from an id on.
func (o *order) from(id string) iter.Seq[*device] {
	return func(yield func(*device) bool) {
		first, place, _ := o.find(id)
		for i := first; i < len(o.chunks); i++ {
			for _, d := range o.chunks[i][place:] {
				if !yield(d) {
					return
				}
			}
			place = 0
		}
	}
}
