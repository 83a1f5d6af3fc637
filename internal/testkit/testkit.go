// Package testkit has the helpers that tests of several packages share. Only
// tests import it.
package testkit

import (
	"math/rand/v2"
	"testing"
)

// Must returns v, and panics when err is not nil.
func Must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// Check ends the test when err is not nil.
func Check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Pick returns one of the values, which must not be empty.
func Pick[T any](rng *rand.Rand, from ...T) T { return from[rng.IntN(len(from))] }
