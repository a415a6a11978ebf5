//go:build race

package guess_test

// Under the race detector all takes twenty times as long, and nothing here runs at the
// same time as anything else.
func init() { rounds, much = 1, 1<<16 }
