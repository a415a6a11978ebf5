package store_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"
)

// roles are what this program does in place of testing when a test has started it
// with LONGWIRE_TEST_ROLE.
var roles = map[string]func(){}

// The engine writes batches aside in a file store of their own, and leaves its goroutines behind
// when it cannot for want of room, or is stopped just as it has begun to. An engine that was
// not stopped leaves many others.
func TestMain(m *testing.M) {
	if role, ok := roles[os.Getenv("LONGWIRE_TEST_ROLE")]; ok {
		role()
		return
	}
	const engine = "github.com/nats-io/nats-server/v2/server"
	goleak.VerifyTestMain(m,
		goleak.IgnoreAnyFunction(engine+".(*msgBlock).flushLoop"),
		goleak.IgnoreAnyFunction(engine+".(*fileStore).flushStreamStateLoop"),
		goleak.IgnoreAnyFunction(engine+"/ats.Register.func1"))
}
