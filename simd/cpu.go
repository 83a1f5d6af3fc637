package simd

import (
	"runtime"
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// What the kernels need of the CPU and the operating system.
var (
	needAVX2   = []cpuid.FeatureID{cpuid.AVX, cpuid.AVX2, cpuid.FMA3}
	needAVX512 = append(slices.Clip(needAVX2), cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512VNNI)
)

// Features returns the names of the features that this CPU has and a kernel
// asks for, as cpuid writes them. It is empty on other architectures than x86.
func Features() []string {
	var names []string
	for _, f := range needAVX512 {
		if cpuid.CPU.Supports(f) {
			names = append(names, f.String())
		}
	}
	return names
}

// CPUName returns the CPU's brand name, or the architecture's where there is none.
func CPUName() string {
	if cpuid.CPU.BrandName != "" {
		return cpuid.CPU.BrandName
	}
	return runtime.GOARCH
}
