//go:build purego || !(amd64 || arm64)

package simd

func nativeKernels() []*Kernel { return nil }
