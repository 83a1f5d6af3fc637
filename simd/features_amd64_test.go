//go:build amd64 && !purego

package simd

import (
	"errors"
	"fmt"
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
		if len(found) == 0 && strings.HasPrefix(string(source), "// Code generated") {
			t.Fatalf("%s: no function has a line with the features that it requires", file)
		}
		functions = append(functions, found...)
	}
	for _, f := range functions {
		need := needAVX512
		switch {
		case strings.HasSuffix(f[1], "AVX2"):
			need = needAVX2
		case strings.HasSuffix(f[1], "AVXVNNI"):
			need = needAVXVNNI
		case strings.HasSuffix(f[1], "AMX"):
			need = needAMX
		}
		for name := range strings.SplitSeq(f[2], ", ") {
			if name == "MMX+" || name == "CMOV" { // every amd64 CPU has them; avo has MMX+ for PREFETCHT1
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
	check := func(missing cpuid.FeatureID, highest, want level) {
		t.Helper()
		if !cpuid.CPU.Supports(missing) {
			t.Skipf("%s does not have %s", CPUName(), missing)
		}
		cpuid.CPU.Disable(missing)
		defer cpuid.CPU.Enable(missing)
		list := slices.Concat(Kernels()[:1], nativeKernels())
		if got := bestKernel(list, highest); got.level != want {
			t.Errorf("without %s: selected %s, want level %s", missing, got.name, levels[want])
		}
		for _, k := range list {
			why := k.WhyUnusable()
			if slices.Contains(k.needs, missing) && (why == nil || !strings.Contains(why.Error(), missing.String())) {
				t.Errorf("without %s: %s says %v", missing, k.name, why)
			}
		}
	}
	belowAVX512 := levelAVX2
	if cpuid.CPU.Supports(needAVXVNNI...) {
		belowAVX512 = levelAVXVNNI
	}
	for _, f := range needAVX2 {
		check(f, levelAVX512, levelGeneric)
	}
	for _, f := range needAVX512[len(needAVX2):] {
		check(f, levelAVX512, belowAVX512)
	}
	check(cpuid.AVXVNNI, levelAVXVNNI, levelAVX2)
	for _, f := range needAMX[len(needAVX512):] {
		check(f, levelAMX, levelAVX512)
	}
}

// TestAskForTiles checks the reasons for which tiles are refused.
func TestAskForTiles(t *testing.T) {
	asked := false
	no := func() error {
		asked = true
		return errors.New("no")
	}
	for _, enabled := range []uint64{0, 0xe7, 0xe7 | 1<<17, 0xe7 | 1<<18} {
		if err := askForTiles(enabled, no); err == nil || !strings.Contains(err.Error(), "XCR0 is "+fmt.Sprintf("%#x", enabled)) || asked {
			t.Errorf("XCR0 %#x: %v, asked %v", enabled, err, asked)
		}
	}
	if err := askForTiles(0xe7|3<<17, no); err == nil || err.Error() != "no" {
		t.Errorf("refused: %v", err)
	}
	if err := askForTiles(0xe7|3<<17, func() error { return nil }); err != nil {
		t.Errorf("permitted: %v", err)
	}
	if cpuid.CPU.Supports(cpuid.AVX) && xcr0()&7 != 7 {
		t.Errorf("XCR0 is %#x, but AVX needs bits 0 to 2", xcr0())
	}
}
