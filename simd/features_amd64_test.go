//go:build amd64 && !purego

package simd

import (
	"os"
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
	source, err := os.ReadFile("rowmajor_amd64.s")
	if err != nil {
		t.Fatal(err)
	}
	functions := regexp.MustCompile(`// func (\w+).*\n// Requires: (.*)`).FindAllStringSubmatch(string(source), -1)
	if len(functions) == 0 {
		t.Fatal("no function says what it requires")
	}
	for _, f := range functions {
		need := needAVX512
		if strings.HasSuffix(f[1], "AVX2") {
			need = needAVX2
		}
		for _, name := range strings.Split(f[2], ", ") {
			if !slices.Contains(need, cpuid.ParseFeature(name)) {
				t.Errorf("%s requires %s, dispatch does not ask for it", f[1], name)
			}
		}
	}
}
