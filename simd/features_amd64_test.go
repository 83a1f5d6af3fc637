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

// The generator writes beside each function which features its instructions
// need. A kernel is usable only if all of them are there, so dispatch must ask
// for each.
func TestDispatchAsksForWhatTheAssemblyNeeds(t *testing.T) {
	files, err := filepath.Glob("*_amd64.s")
	if err != nil || len(files) == 0 {
		t.Fatalf("no assembly: %v", err)
	}
	var functions [][]string
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`// func (\w+).*\n// Requires: (.*)`).FindAllStringSubmatch(string(source), -1)
		if len(found) == 0 {
			t.Fatalf("%s: no function says what it requires", file)
		}
		functions = append(functions, found...)
	}
	for _, f := range functions {
		need := needAVX512
		if strings.HasSuffix(f[1], "AVX2") {
			need = needAVX2
		}
		for name := range strings.SplitSeq(f[2], ", ") {
			if name == "MMX+" { // avo's name for PREFETCHT1, which every amd64 has
				continue
			}
			if !slices.Contains(need, cpuid.ParseFeature(name)) {
				t.Errorf("%s requires %s, dispatch does not ask for it", f[1], name)
			}
		}
	}
}

// Without any one of its features a kernel is passed over for a lower one.
func TestMissingFeatureLowersTheChoice(t *testing.T) {
	check := func(missing cpuid.FeatureID, want level) {
		t.Helper()
		if !cpuid.CPU.Supports(missing) {
			t.Skipf("%s has no %s", CPUName(), missing)
		}
		cpuid.CPU.Disable(missing)
		defer cpuid.CPU.Enable(missing)
		if got := best(append(Kernels()[:1], nativeKernels()...), levelAVX512); got.level != want {
			t.Errorf("without %s: %s, want %s", missing, got.name, levels[want])
		}
	}
	for _, f := range needAVX2 {
		check(f, levelGeneric)
	}
	for _, f := range needAVX512[len(needAVX2):] {
		check(f, levelAVX2)
	}
}
