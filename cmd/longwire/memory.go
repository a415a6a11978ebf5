package main

import (
	"context"
	"runtime/debug"
	"runtime/metrics"
	"time"
)

// A gateway rests most of the time, between moments in which thousands of boards come at once. What
// those leave behind the garbage collector keeps for when as much is needed again: as much as is in
// use. So when nothing goes on any more it is given back to the system.

const (
	restEvery   = time.Second
	restBelow   = 1 << 20 // bytes: less is allocated within restEvery by a program that rests
	restAtLeast = 8 << 20 // bytes that have been allocated since memory was given back
	restTimes   = 3       // in a row: what is in a sync.Pool stays for two collections
)

// giveBackMemory gives unused memory back to the system whenever the program has come to rest,
// until ctx ends.
func giveBackMemory(ctx context.Context) {
	due := time.NewTicker(restEvery)
	defer due.Stop()
	var m memoryUse
	for {
		select {
		case <-due.C:
			if m.rests(readMemory()) {
				debug.FreeOSMemory()
			}
		case <-ctx.Done():
			return
		}
	}
}

// A memoryUse is what is known of the use of memory.
type memoryUse struct {
	allocated uint64 // bytes since the program began, a moment ago
	givenBack uint64 // the same, when memory was given back
	left      int    // times to do that before the program has done anything again
}

// rests reports whether memory should be given back: a quarter of what the program has was
// allocated since the last time, and hardly anything since the last call.
func (m *memoryUse) rests(allocated, has uint64) bool {
	busy := allocated-m.allocated >= restBelow
	m.allocated = allocated
	if allocated-m.givenBack >= max(restAtLeast, has/4) {
		m.left = restTimes
	}
	if busy || m.left == 0 {
		return false
	}
	m.left--
	m.givenBack = allocated
	return true
}

// readMemory returns how many bytes have been allocated since the program began, and how many
// it has from the system.
func readMemory() (allocated, has uint64) {
	all := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}, {Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	return all[0].Value.Uint64(), all[1].Value.Uint64() - all[2].Value.Uint64()
}
