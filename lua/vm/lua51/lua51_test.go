// Package lua51_test compares lua/vm with the reference interpreter, Debian's
// lua5.1, on random programs.
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
	batch           = 250 // programs of one process of the reference
	workers         = 2
	maxDifferent    = 8   // then the run ends
	maxTries        = 300 // to make a program shorter
)

func setting(t *testing.T, name string, other uint64) uint64 {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return other
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s=%s is not a number", name, text)
	}
	return n
}

// TestLua51 runs LUA51_N programs (20,000) of LUA51_SEED (1).
func TestLua51(t *testing.T) {
	path := find(t)
	n, seed := setting(t, "LUA51_N", defaultPrograms), setting(t, "LUA51_SEED", defaultSeed)
	if testing.Short() {
		n = min(n, 1000)
	}
	t.Logf("%d programs of seed %d", n, seed)
	var next, compared, refused, limited, bounded, different atomic.Uint64
	var work sync.WaitGroup
	for range workers {
		work.Go(func() {
			for {
				first := next.Add(batch) - batch
				if first >= n || different.Load() >= maxDifferent {
					return
				}
				if first > 0 && first%100_000 == 0 {
					t.Logf("at program %d: %d compared, %d different", first, compared.Load(), different.Load())
				}
				var programs []string
				for i := first; i < min(first+batch, n); i++ {
					programs = append(programs, program(seed, i))
				}
				want, err := references(path, programs)
				if err != nil {
					t.Errorf("seed %d, programs from %d: %v", seed, first, err)
					return
				}
				for i, p := range programs {
					if want[i] == "limit" {
						limited.Add(1)
						continue
					}
					got := ours(p)
					if got == tooMuch {
						bounded.Add(1)
						continue
					}
					compared.Add(1)
					if strings.HasPrefix(want[i], "refused: ") {
						refused.Add(1)
					}
					if !agree(got, want[i]) {
						different.Add(1)
						p, got, want := shrink(path, p, got, want[i])
						got, want = fromDifference(got, want)
						t.Errorf("seed %d, program %d differs\n%s\n--- lua/vm\n%s\n--- lua5.1\n%s", seed, first+uint64(i), p, got, want)
					}
				}
			}
		})
	}
	work.Wait()
	t.Logf("%d programs of seed %d: %d compared, %d of them refused by both, %d too slow for the reference, %d allocate more than 64 MiB in one slice, %d different",
		n, seed, compared.Load(), refused.Load(), limited.Load(), bounded.Load(), different.Load())
	if bounded.Load() > compared.Load()/50 {
		t.Errorf("%d programs were not compared because they allocate too much", bounded.Load())
	}
}

// shrink removes lines from a program that differs while it differs still.
func shrink(path, p, got, want string) (program, gotNow, wantNow string) {
	lines := strings.Split(p, "\n")
	refused := strings.HasPrefix(got, "refused: ")
	tries := 0
	for size := len(lines) / 2; size >= 1; size /= 2 {
		for at := 1; at+size < len(lines) && tries < maxTries; { // the first and the last line stay
			tries++
			fewer := append(append([]string{}, lines[:at]...), lines[at+size:]...)
			candidate := strings.Join(fewer, "\n")
			w, err := reference(path, []string{candidate})
			if err == nil && w[0] != "limit" && !strings.HasPrefix(w[0], "refused: ") {
				if g := ours(candidate); !agree(g, w[0]) && strings.HasPrefix(g, "refused: ") == refused {
					lines, got, want = fewer, g, w[0]
					continue
				}
			}
			at += size
		}
	}
	return strings.Join(lines, "\n"), got, want
}

// fromDifference leaves out what two outputs have in common at their begin.
func fromDifference(a, b string) (restA, restB string) {
	x, y := strings.Split(a, "\n"), strings.Split(b, "\n")
	for len(x) > 1 && len(y) > 1 && x[0] == y[0] {
		x, y = x[1:], y[1:]
	}
	return strings.Join(x, "\n"), strings.Join(y, "\n")
}
