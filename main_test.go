package longwire_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv("LONGWIRE_TEST_ROLE")]; ok {
		role()
		return
	}
	goleak.VerifyTestMain(m)
}

// roles are what this program does in place of testing when a test has started it
// again, because something must happen to a whole process.
var roles = map[string]func(){}
