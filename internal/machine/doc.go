// Package machine tells tests that judge times what else the machine does, as that is no fault of
// what they test.
package machine
