//go:build !race

package longwire_test

import (
	"io"
	"strings"
	"testing"

	"github.com/longwire/longwire"
)

// An echoed frame allocates nothing. (The race detector makes pools forget, so this is
// not for it.)
func TestEchoDoesNotAllocate(t *testing.T) {
	for _, depth := range []int{1, 16} {
		srv := serve(t, tcp(), &longwire.Server{Handler: rawEcho})
		p := srv.peer()
		frames := []byte(strings.Repeat(string(wire(0x10, strings.Repeat("6", 64))), depth))
		answers := make([]byte, len(frames))
		round := func() {
			p.nc.Write(frames)
			if _, err := io.ReadFull(p.nc, answers); err != nil {
				t.Fatal(err)
			}
		}
		for range 100 {
			round() // buffers grow
		}
		if allocs := testing.AllocsPerRun(2000, round); allocs >= 1 {
			t.Errorf("%d at a time: %v allocations per round", depth, allocs)
		}
	}
}
