package main

import (
	"strings"
	"testing"
)

// TestClass uses the numbers of real CPUs, which /proc/cpuinfo and the vendors' lists of
// models show.
func TestClass(t *testing.T) {
	const avx2, avx512, amx = "AVX AVX2 FMA3", "AVX AVX2 FMA3 BMI2 AVX512F AVX512VNNI", "AVX AVX2 FMA3 AVX512F AVX512VNNI AMXTILE AMXINT8 AVXVNNI"
	for _, c := range []struct {
		cpu, vendor   string
		family, model int
		features      string
		want          string
	}{
		{"AMD EPYC", "AMD", 25, 17, avx512, "amd-zen4-2-cores"},
		{"AMD EPYC 9754", "AMD", 25, 160, avx512, "amd-zen4-2-cores"},
		{"AMD EPYC 7763", "AMD", 25, 1, avx2, "amd-zen3-2-cores"},
		{"AMD EPYC 7742", "AMD", 23, 49, avx2, "amd-zen2-2-cores"},
		{"AMD EPYC 7601", "AMD", 23, 1, avx2, "amd-zen1-2-cores"},
		{"AMD EPYC", "AMD", 26, 2, avx512 + " AVXVNNI", "amd-zen5-2-cores"},
		{"AMD EPYC", "AMD", 26, 2, avx2, "amd-zen5-avx2-2-cores"}, // AVX-512 is hidden
		{"AMD EPYC", "AMD", 27, 1, avx512, "amd-family-27-model-1-avx512-2-cores"},
		{"Intel(R) Xeon(R) 6975P-C", "Intel", 6, 173, amx, "intel-granite-rapids-2-cores"},
		{"Intel(R) Xeon(R) Processor", "Intel", 6, 173, avx512 + " AVXVNNI", "intel-granite-rapids-avx512-2-cores"},
		{"Intel(R) Xeon(R) Platinum 8488C", "Intel", 6, 143, amx, "intel-sapphire-rapids-2-cores"},
		{"Intel(R) Xeon(R) Platinum 8375C", "Intel", 6, 106, avx512, "intel-ice-lake-2-cores"},
		{"Neoverse-V2", "ARM", 0, 0, "ASIMD ASIMDDP I8MM", "neoverse-v2-i8mm-2-cores"},
		{"arm64", "arm64", 0, 0, "", "arm64-2-cores"},
	} {
		m := machine{CPU: c.cpu, Vendor: c.vendor, Family: c.family, Model: c.model, Features: strings.Fields(c.features), Cores: 2}
		if got := m.class(); got != c.want {
			t.Errorf("%s %s %d %d: class %s, want %s", c.cpu, c.vendor, c.family, c.model, got, c.want)
		}
	}
	d := describeMachine()
	if d.Vendor == "" || d.class() == "" {
		t.Errorf("this machine: %+v", d)
	}
}

// TestGenerationsDoNotOverlap checks that no CPU has two generations.
func TestGenerationsDoNotOverlap(t *testing.T) {
	for i, a := range generations {
		for _, b := range generations[i+1:] {
			if a.vendor == b.vendor && a.family == b.family && a.first <= b.last && b.first <= a.last {
				t.Errorf("%+v and %+v overlap", a, b)
			}
		}
	}
}
