// Package testkit has the helpers that tests of several packages share. Only
// tests import it.
package testkit

// Must returns v, and panics when err is not nil.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}
