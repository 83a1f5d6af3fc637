//go:build !race

package testkit

// RaceEnabled reports whether the race detector runs. It makes tests many times
// slower, so long tests do less.
const RaceEnabled = false
