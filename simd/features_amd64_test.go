//go:build amd64 && !purego

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
// with the features that the generator lists above each function of the
// assembly. Dispatch must check every feature that an instruction needs.
func TestDispatchChecksRequiredFeatures(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no assembly files found: %v", err)
	}
	var functions [][]string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`// func (\w+).*\n// Requires: (.*)`).FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Fatalf("%s: no function has a line with the features that it requires", file)
		}
		functions = append(functions, found...)
	}
	for _, f := range functions {
		need := needAVX512
		if strings.HasSuffix(f[1], "AVX2") {
			need = needAVX2
		}
		for name := range strings.SplitSeq(f[2], ", ") {
			if name == "MMX+" { // avo's feature for PREFETCHT1, which every amd64 CPU has
				continue
			}
			if !slices.Contains(need, cpuid.ParseFeature(name)) {
				t.Errorf("%s requires %s, but dispatch does not check for it", f[1], name)
			}
		}
	}
}

// TestMissingFeatureSelectsLowerKernel disables one feature at a time. A kernel
// that needs it must not be selected.
func TestMissingFeatureSelectsLowerKernel(t *testing.T) {
	check := func(missing cpuid.FeatureID, want level) {
		t.Helper()
		if !cpuid.CPU.Supports(missing) {
			t.Skipf("%s does not have %s", CPUName(), missing)
		}
		cpuid.CPU.Disable(missing)
		defer cpuid.CPU.Enable(missing)
		if got := bestKernel(append(Kernels()[:1], nativeKernels()...), levelAVX512); got.level != want {
			t.Errorf("without %s: selected %s, want level %s", missing, got.name, levels[want])
		}
	}
	for _, f := range needAVX2 {
		check(f, levelGeneric)
	}
	for _, f := range needAVX512[len(needAVX2):] {
		check(f, levelAVX2)
	}
}
