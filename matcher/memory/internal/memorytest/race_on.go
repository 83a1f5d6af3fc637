//go:build race

package memorytest

// UnderRace reports whether the race detector is on. Arithmetic is then many times slower
// and the detector finds nothing in it, so tests of values do less.
const UnderRace = true
