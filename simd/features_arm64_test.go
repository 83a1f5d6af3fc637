//go:build arm64 && !purego

package simd

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/klauspost/cpuid/v2"
)

// TestDispatchChecksRequiredFeatures compares the features that dispatch checks
// with the features that the generator lists beside each function of the assembly.
// Dispatch must check every feature that an instruction needs.
func TestDispatchChecksRequiredFeatures(t *testing.T) {
	files, err := filepath.Glob("*_arm64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no assembly files found: %v", err)
	}
	checked := map[string]int{"NEON": 0, "DotProd": 0, "I8MM": 0}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`// func (\w+).*\n// Requires: (.*)`).FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Fatalf("%s: no function has a line with the features that it requires", file)
		}
		for _, f := range found {
			for suffix, need := range map[string][]cpuid.FeatureID{"NEON": needNEON, "DotProd": needDotProd, "I8MM": needI8MM} {
				if !strings.HasSuffix(f[1], suffix) {
					continue
				}
				checked[suffix]++
				for name := range strings.SplitSeq(f[2], ", ") {
					if !slices.Contains(need, cpuid.ParseFeature(name)) {
						t.Errorf("%s requires %s, but dispatch does not check for it", f[1], name)
					}
				}
			}
		}
	}
	for suffix, count := range checked {
		if count == 0 {
			t.Errorf("no function ends in %s", suffix)
		}
	}
}

// TestMissingFeatureSelectsLowerKernel disables one feature at a time. A kernel
// that needs it must not be selected.
func TestMissingFeatureSelectsLowerKernel(t *testing.T) {
	for missing, want := range map[cpuid.FeatureID]level{
		cpuid.ASIMD: levelGeneric, cpuid.ASIMDDP: levelNEON, cpuid.I8MM: levelDotProd,
	} {
		t.Run(missing.String(), func(t *testing.T) {
			if !cpuid.CPU.Supports(missing) {
				t.Skipf("%s does not have %s", CPUName(), missing)
			}
			cpuid.CPU.Disable(missing)
			defer cpuid.CPU.Enable(missing)
			list := slices.Concat(Kernels()[:1], nativeKernels())
			if got := bestKernel(list, levelI8MM); got.level != want {
				t.Errorf("without %s: selected %s, want level %s", missing, got.name, levels[want])
			}
			for _, k := range list {
				why := k.WhyUnusable()
				if k.level > want && (why == nil || !strings.Contains(why.Error(), missing.String())) {
					t.Errorf("without %s: %s says %v", missing, k.name, why)
				}
			}
		})
	}
}
