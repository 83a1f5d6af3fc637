//go:build !race

package server_test

// raced reports whether the race detector runs, which takes its time.
const raced = false
