//go:build !race

package server

// Raced reports whether the race detector runs, which takes its time.
const Raced = false
