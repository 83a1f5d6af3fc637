package simd

import (
	"runtime"
	"slices"

	"github.com/klauspost/cpuid/v2"
)

// The CPU features that the kernels of a level need. The operating system must
// support them, too.
var (
	needAVX2    = []cpuid.FeatureID{cpuid.AVX, cpuid.AVX2, cpuid.FMA3}
	needAVXVNNI = append(slices.Clip(needAVX2), cpuid.AVXVNNI)
	needAVX512  = append(slices.Clip(needAVX2), cpuid.BMI2, cpuid.AVX512F, cpuid.AVX512BW, cpuid.AVX512VL, cpuid.AVX512VNNI)
	needAMX     = append(slices.Clip(needAVX512), cpuid.AMXTILE, cpuid.AMXINT8)

	needNEON    = []cpuid.FeatureID{cpuid.ASIMD}
	needDotProd = append(slices.Clip(needNEON), cpuid.ASIMDDP)
	needI8MM    = append(slices.Clip(needDotProd), cpuid.I8MM)
)

// Features returns the names, as package cpuid spells them, of those features
// that some kernel needs and this CPU has. On architectures other than amd64 and
// arm64 it is empty.
func Features() []string {
	var names []string
	for _, f := range slices.Concat(needAMX, needAVXVNNI[len(needAVX2):], needI8MM) {
		if cpuid.CPU.Supports(f) {
			names = append(names, f.String())
		}
	}
	return names
}

// CPUName returns the CPU's brand name, or the architecture's name if the CPU
// does not report one.
func CPUName() string {
	if cpuid.CPU.BrandName != "" {
		return cpuid.CPU.BrandName
	}
	return runtime.GOARCH
}

// CPUModel returns the CPU's vendor, family and model, as the CPUID instruction
// reports them. On architectures other than amd64, and where the operating
// system hides them, the vendor is the architecture's name or the numbers are 0.
func CPUModel() (vendor string, family, model int) {
	vendor = cpuid.CPU.VendorString
	if cpuid.CPU.VendorID != cpuid.VendorUnknown {
		vendor = cpuid.CPU.VendorID.String()
	}
	if vendor == "" {
		vendor = runtime.GOARCH
	}
	return vendor, cpuid.CPU.Family, cpuid.CPU.Model
}
