package store_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roles are what this program does in place of testing when a test has started it
// with LONGWIRE_TEST_ROLE.
var roles = map[string]func(){}

// When the engine cannot write a batch aside for want of room it leaves a goroutine
// of that file behind.
func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv("LONGWIRE_TEST_ROLE")]; ok {
		role()
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}
