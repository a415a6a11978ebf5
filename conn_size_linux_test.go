package longwire

import (
	"testing"
	"unsafe"
)

// What an idle connection costs is published: a field more may double it, as memory comes in
// sizes, and the next one after 240 bytes is 256.
func TestSizeOfAConnection(t *testing.T) {
	if size := unsafe.Sizeof(pollConn{}); unsafe.Sizeof(uintptr(0)) == 8 && size > 240 {
		t.Errorf("a connection has %d bytes; docs/performance.md says 240", size)
	}
}
