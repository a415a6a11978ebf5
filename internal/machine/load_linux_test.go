package machine_test

import (
	"os/exec"
	"runtime"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/longwire/longwire/internal/machine"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What programs do that are no children of the test's is not the test's doing.
func TestOthersAreNoticed(t *testing.T) {
	m := machine.Watch(t)
	// Children of these keep half of the processors busy, for a while that is long beside the
	// kernel's units.
	var others []*exec.Cmd
	for range max(runtime.NumCPU()/2, 1) {
		c := exec.Command("sh", "-c", "timeout 0.4 sh -c 'while :; do :; done'; true")
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		others = append(others, c)
	}
	time.Sleep(300 * time.Millisecond) // they are at it
	if m.Disturbed() == "" {
		t.Error("nobody has noticed them")
	}
	for _, c := range others {
		if err := c.Wait(); err != nil {
			t.Error(err)
		}
	}
}
