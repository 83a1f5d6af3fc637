//go:build !linux

package simd

func slab(size int) []byte { return make([]byte, size) }
