package frame_test

import (
	"math"
	"syscall"
	"testing"

	"github.com/longwire/longwire/frame"
)

// The size of this frame does not fit in the int of a 32-bit machine. The data is
// address space without memory behind it: reading or copying any of it would be
// a fault that ends the test.
func TestAppendAtTheLimitOfTheAddressSpace(t *testing.T) {
	data, err := syscall.Mmap(-1, 0, math.MaxInt32, syscall.PROT_NONE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Skipf("no 2 GiB of address space: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Munmap(data); err != nil {
			t.Error(err)
		}
	})
	for _, size := range []int{math.MaxInt32, math.MaxInt32 - 7} {
		got, err := frame.Default.Append(nil, 0x10, data[:size])
		e := wantReason(t, err, frame.TooLarge)
		if got != nil || e.Got != uint64(size)+8 || e.Want != math.MaxInt32 {
			t.Errorf("Append of %d bytes: %d bytes, %+v", size, len(got), *e)
		}
		var sent sink
		err = frame.NewWriter(&sent, nil).WriteFrame(0x10, data[:size])
		if wantReason(t, err, frame.TooLarge); len(sent.writes) != 0 {
			t.Errorf("WriteFrame of %d bytes wrote", size)
		}
	}
}
