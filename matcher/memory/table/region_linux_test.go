//go:build linux && !race

package table

import (
	"bytes"
	"fmt"
	"os"
	"testing"
)

// TestRegion checks that a region is zeroed, and that it leaves the address space when it
// is freed.
func TestRegion(t *testing.T) {
	const size = 1 << 33 // so large that nothing else can hide it; pages cost nothing until they are written
	pages := func() (n int) {
		b, err := os.ReadFile("/proc/self/statm")
		if err == nil {
			_, err = fmt.Fscan(bytes.NewReader(b), &n)
		}
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	before := pages()
	mem, err := newRegion(size, true)
	if err != nil {
		t.Fatal(err)
	}
	if mem[0] != 0 || mem[size-1] != 0 {
		t.Error("the region is not zeroed")
	}
	mem[0], mem[size-1] = 1, 1
	during := pages()
	freeRegion(mem)
	after, half := pages(), size/os.Getpagesize()/2
	if during-before < half || during-after < half {
		t.Errorf("%d pages before, %d with the region, %d after it was freed", before, during, after)
	}
	if _, err := newRegion(1<<60, false); err == nil {
		t.Error("2^60 bytes were mapped")
	}
}
