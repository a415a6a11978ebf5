//go:build !unix

package longwire

import "math"

// filesLimit returns how many files the process may have open: here, nobody knows.
func filesLimit() int { return math.MaxInt }
