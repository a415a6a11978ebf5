//go:build slow

package browser_test

import (
	"testing"

	"go.uber.org/goleak"
)

// atEnd is what ends what several tests have shared.
var atEnd []func()

type tests struct{ m *testing.M }

func (t tests) Run() int {
	defer func() {
		for _, end := range atEnd {
			end()
		}
	}()
	return t.m.Run()
}

func TestMain(m *testing.M) { goleak.VerifyTestMain(tests{m}) }
