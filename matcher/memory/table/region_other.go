//go:build !linux || race

package table

// newRegion allocates on the Go heap. This file is for systems other than Linux, and for
// the race detector, which watches only the heap.
func newRegion(size int, _ bool) ([]byte, error) { return make([]byte, size), nil }

func freeRegion([]byte) {}

// Populate does nothing, because the memory is on the Go heap.
func Populate([]byte) {}
