package simd

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
)

// lengthMax is the largest length of most tests, several times every unroll width.
const lengthMax = 2100

// lengths yields the lengths from 1 to lengthMax. With -short, which emulated CPUs
// need, it leaves out most lengths above 200, but none next to a multiple of 64.
func lengths() iter.Seq[int] {
	return func(yield func(int) bool) {
		for n := 1; n <= lengthMax; n++ {
			if testing.Short() && n > 200 && (n+1)%64 > 2 && n%61 != 0 {
				continue
			}
			if !yield(n) {
				return
			}
		}
	}
}

var rowCounts = []int{0, 1, 2, 3, 4, 5, 7, 16, 17, 65}

// eachKernel runs f as a subtest for every kernel. The subtest of a kernel that this
// process cannot run is skipped, or fails if SIMD_STRICT names its level. SIMD_STRICT is a
// list of levels, separated by commas.
func eachKernel(t *testing.T, f func(t *testing.T, k *Kernel)) {
	t.Helper()
	for _, k := range Kernels() {
		t.Run(k.Name(), func(t *testing.T) {
			if err := k.WhyUnusable(); err != nil {
				if strict := os.Getenv("SIMD_STRICT"); slices.Contains(strings.Split(strict, ","), k.Level()) {
					t.Fatalf("SIMD_STRICT is %s, but %s cannot run here: %v", strict, k.Name(), err)
				}
				t.Skipf("%s cannot run here: %v", k.Name(), err)
			}
			f(t, k)
		})
	}
}

// seeded returns a generator that produces the same numbers in every run.
func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 0)) }

func TestKernelsAreOrdered(t *testing.T) {
	ks := Kernels()
	if ks[0].Name() != "generic" || !ks[0].Usable() {
		t.Fatalf("the first kernel is %s, usable %v; want generic, true", ks[0].Name(), ks[0].Usable())
	}
	for i, k := range ks {
		if !strings.HasPrefix(k.Name(), levels[k.level]) {
			t.Errorf("%s does not begin with its level %s", k.Name(), levels[k.level])
		}
		if i > 0 && k.level < ks[i-1].level {
			t.Errorf("%s is listed after %s", k.Name(), ks[i-1].Name())
		}
	}
	ks[0] = nil
	if Kernels()[0] == nil {
		t.Error("a change of the returned list changed the package's list")
	}
}

func TestWrongShapePanics(t *testing.T) {
	eachKernel(t, func(t *testing.T, k *Kernel) {
		refused := func(rows, dim, values int) {
			t.Helper()
			for name, call := range map[string]func(){
				"SquaredL2U8":  func() { k.SquaredL2U8(make([]uint32, rows), make([]uint8, dim), make([]uint8, values)) },
				"SquaredL2F32": func() { k.SquaredL2F32(make([]float32, rows), make([]float32, dim), make([]float32, values)) },
				"DotF32":       func() { k.DotF32(make([]float32, rows), make([]float32, dim), make([]float32, values)) },
			} {
				message := fmt.Sprint(panicOf(call))
				if !strings.HasPrefix(message, "simd: ") {
					t.Errorf("%s with %d rows, %d dimensions, %d values: panic %q", name, rows, dim, values, message)
				}
			}
		}
		refused(2, 3, 5)
		refused(2, 3, 7)
		refused(0, 3, 3)
		refused(1, 3, 0)
		refused(3, 0, 0) // an empty query is an error, not a distance of 0
		refused(0, 0, 0)
		refused(1, DimMax+1, DimMax+1)
	})
}

func panicOf(f func()) (value any) {
	defer func() { value = recover() }()
	f()
	return nil
}
