// Package lua51_test compares lua/vm with the reference interpreter, Debian's lua5.1.
// It runs random programs and recorded cases.
package lua51_test

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

const (
	defaultPrograms = 20_000
	defaultSeed     = 1
	batch           = 250 // programs that one lua5.1 process runs
	workers         = 2
	maxDifferent    = 8   // differences after which the test ends
	maxTries        = 300 // attempts to shorten a program
)

// envNumber returns the number in an environment variable, or other if it is not set.
func envNumber(t *testing.T, name string, other uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return other
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s must be an integer from 0, got %q", name, text)
	}
	return n
}

// TestRandomPrograms compares random programs. Environment variables set the number of
// programs (LUA51_N, default 20,000), the seed (LUA51_SEED, default 1) and the first
// program (LUA51_FIRST, default 0).
func TestRandomPrograms(t *testing.T) {
	path := findReference(t)
	n, seed := envNumber(t, "LUA51_N", defaultPrograms), envNumber(t, "LUA51_SEED", defaultSeed)
	start := envNumber(t, "LUA51_FIRST", 0)
	if testing.Short() {
		n = min(n, 1000)
	}
	t.Logf("%d programs of seed %d, from program %d", n, seed, start)
	n += start
	var next, compared, refused, limited, bounded, zeros, different atomic.Uint64
	next.Store(start)
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for {
				first := next.Add(batch) - batch
				if first >= n || different.Load() >= maxDifferent {
					return
				}
				if first > start && first%100_000 == 0 {
					t.Logf("at program %d: %d compared, %d different", first, compared.Load(), different.Load())
				}
				var programs []string
				for i := first; i < min(first+batch, n); i++ {
					programs = append(programs, generateProgram(seed, i))
				}
				want, err := referenceOutputs(path, programs)
				if err != nil {
					t.Errorf("seed %d, programs from %d: %v", seed, first, err)
					return
				}
				for i, p := range programs {
					if want[i] == "limit" {
						limited.Add(1)
						continue
					}
					got := runOurs(p)
					if got == tooMuchMemory || !sameOutput(got, want[i]) && exceedsMaxString(p) {
						bounded.Add(1)
						continue
					}
					compared.Add(1)
					if strings.HasPrefix(want[i], "refused: ") {
						refused.Add(1)
					}
					switch {
					case sameOutput(got, want[i]):
					case mergedZeros(path, p):
						zeros.Add(1)
						t.Logf("seed %d, program %d differs because lua5.1 merges the constants 0 and -0", seed, first+uint64(i))
					default:
						different.Add(1)
						p, got, want := shrink(path, p, got, want[i])
						got, want = withoutCommonLines(got, want)
						t.Errorf("seed %d, program %d differs\n%s\n--- lua/vm\n%s\n--- lua5.1\n%s", seed, first+uint64(i), p, got, want)
					}
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d programs of seed %d: %d compared, %d of them refused by both, %d too slow for lua5.1, %d exceed a memory limit, %d differ only because lua5.1 merges 0 and -0, %d different",
		n-start, seed, compared.Load(), refused.Load(), limited.Load(), bounded.Load(), zeros.Load(), different.Load())
	if zeros.Load() > 2+compared.Load()/20_000 {
		t.Errorf("%d programs differ because lua5.1 merges 0 and -0, want at most %d", zeros.Load(), 2+compared.Load()/20_000)
	}
	if bounded.Load() > compared.Load()/50 {
		t.Errorf("%d programs were not compared because they exceed a memory limit, want at most %d", bounded.Load(), compared.Load()/50)
	}
}

// shrink removes lines from a program as long as its outputs still differ. It returns
// the shorter program and its outputs.
func shrink(path, p, got, want string) (shortened, ourOutput, lua51Output string) {
	lines := strings.Split(p, "\n")
	refused := strings.HasPrefix(got, "refused: ")
	tries := 0
	for size := len(lines) / 2; size >= 1; size /= 2 {
		for at := 1; at+size < len(lines) && tries < maxTries; { // the first and the last line stay
			tries++
			fewer := append(append([]string{}, lines[:at]...), lines[at+size:]...)
			candidate := strings.Join(fewer, "\n")
			w, err := runReference(path, []string{candidate})
			if err == nil && w[0] != "limit" && !strings.HasPrefix(w[0], "refused: ") {
				if g := runOurs(candidate); !sameOutput(g, w[0]) && strings.HasPrefix(g, "refused: ") == refused {
					lines, got, want = fewer, g, w[0]
					continue
				}
			}
			at += size
		}
	}
	return strings.Join(lines, "\n"), got, want
}

// withoutCommonLines removes the common first lines of two outputs.
func withoutCommonLines(a, b string) (restA, restB string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for len(x) > 1 && len(y) > 1 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	return strings.Join(x, "\n"), strings.Join(y, "\n")
}
