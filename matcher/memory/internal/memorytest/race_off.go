//go:build !race

package memorytest

// UnderRace reports whether the race detector is on.
const UnderRace = false
