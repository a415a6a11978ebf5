//go:build slow

package guess_test

func init() { rounds = 60 }
