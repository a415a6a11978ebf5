package store_test

import (
	"testing"

	"go.uber.org/goleak"
)

// When the engine cannot write a batch aside for want of room it leaves a goroutine
// of that file behind.
func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/nats-io/nats-server/v2/server.(*msgBlock).flushLoop"))
}
