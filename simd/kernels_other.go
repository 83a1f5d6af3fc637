//go:build !(amd64 && !purego)

package simd

func nativeKernels() []*Kernel { return nil }
