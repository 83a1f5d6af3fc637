//go:build race

package memory

// underRace: the detector makes sums many times slower and sees nothing in
// them, so tests of values do less.
const underRace = true
