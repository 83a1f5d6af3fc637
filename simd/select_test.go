package simd

import (
	"errors"
	"os"
	"slices"
	"strings"
	"testing"
)

func TestSelect(t *testing.T) {
	ks := Kernels()
	usable := slices.DeleteFunc(slices.Clone(ks), func(k *Kernel) bool { return !k.Usable() })
	check := func(name string, want *Kernel) {
		t.Helper()
		got, err := Select(name)
		if err != nil || got != want {
			t.Errorf("Select(%q) = %v, %v, want %s", name, got, err, want.Name())
		}
	}
	check("generic", ks[0])
	check("auto", usable[len(usable)-1])
	check("amx", usable[len(usable)-1])
	check("neon-i8mm", usable[len(usable)-1])
	for _, k := range usable {
		check(levels[k.level], k)
	}
	// SIMD_EXPECT is the kernel that an emulated CPU must get.
	if want := os.Getenv("SIMD_EXPECT"); want != "" && usable[len(usable)-1].Name() != want {
		t.Errorf("the best usable kernel is %s, want %s", usable[len(usable)-1].Name(), want)
	}
}

func TestSelectRefusesUnknownLevels(t *testing.T) {
	for _, name := range []string{"", "AVX2", "avx", "sse", "avx512-vnni", "NEON", "dotprod"} {
		k, err := Select(name)
		if err == nil || k != nil {
			t.Errorf("Select(%q) = %v, %v, want an error", name, k, err)
			continue
		}
		for _, part := range append([]string{"simd: ", `"` + name + `"`, "auto"}, levels...) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("error %q does not contain %s", err, part)
			}
		}
	}
}

func TestBestKernelIsUsable(t *testing.T) {
	list := []*Kernel{
		{name: "generic", level: levelGeneric, usable: true},
		{name: "avx2", level: levelAVX2, usable: true},
		{name: "avx512", level: levelAVX512, usable: true},
		{name: "avx512-vnni", level: levelAVX512, usable: true},
	}
	check := func(usable int, highest level, want string) {
		t.Helper()
		for i, k := range list {
			k.usable = i < usable
		}
		if got := bestKernel(list, highest); got.name != want {
			t.Errorf("%d usable, at most %s: %s, want %s", usable, levels[highest], got.name, want)
		}
	}
	check(4, levelAVX512, "avx512-vnni")
	check(3, levelAVX512, "avx512") // no VNNI
	check(2, levelAVX512, "avx2")
	check(1, levelAVX512, "generic")
	check(4, levelAVX2, "avx2")
	check(1, levelAVX2, "generic")
	check(4, levelGeneric, "generic")
}

// TestPermission checks that a kernel is not chosen, and says why, if its permission is
// refused; and that a kernel that the CPU cannot run does not ask for it.
func TestPermission(t *testing.T) {
	asked := 0
	refused := &Kernel{name: "avx512-refused", level: levelAVX512, usable: true, permit: func() error {
		asked++
		return errors.New("no")
	}}
	list := []*Kernel{{name: "generic", usable: true}, refused}
	if got := bestKernel(list, levelAVX2); got != list[0] || asked > 0 {
		t.Errorf("at most avx2: %s, asked %d times", got.name, asked)
	}
	if got := bestKernel(list, levelAVX512); got != list[0] || asked == 0 {
		t.Errorf("refused: %s, asked %d times", got.name, asked)
	}
	if err := refused.WhyUnusable(); err == nil || err.Error() != "no" {
		t.Errorf("refused: %v", err)
	}
	asked, refused.usable = 0, false
	if refused.Usable() || refused.WhyUnusable() == nil || asked > 0 {
		t.Errorf("not usable: %v, %v, asked %d times", refused.Usable(), refused.WhyUnusable(), asked)
	}
	for _, k := range Kernels() {
		if err := k.WhyUnusable(); (err == nil) != k.Usable() {
			t.Errorf("%s: usable %v, but %v", k.Name(), k.Usable(), err)
		}
	}
}

func TestCPUNameAndFeatures(t *testing.T) {
	if CPUName() == "" {
		t.Error("CPUName is empty")
	}
	for _, k := range Kernels() {
		if k.level == levelAVX2 && k.Usable() && !slices.Contains(Features(), "AVX2") {
			t.Errorf("%s is usable, but the features %v do not include AVX2", k.Name(), Features())
		}
		if k.level == levelNEON && k.Usable() && !slices.Contains(Features(), "ASIMD") {
			t.Errorf("%s is usable, but the features %v do not include ASIMD", k.Name(), Features())
		}
	}
}
