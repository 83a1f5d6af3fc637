//go:build linux && !race

package table

import (
	"bytes"
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
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

// TestPopulate checks that Populate commits the whole pages of its argument and no others,
// and changes nothing.
func TestPopulate(t *testing.T) {
	page := os.Getpagesize()
	for _, span := range [][2]int{{0, 8}, {1, 8*page - 1}, {page, 3 * page}, {page - 1, 3*page + 1}, {page + 1, 2*page - 1}, {page / 2, 7*page + page/2}} {
		mem, err := newRegion(8*page, false)
		if err != nil {
			t.Fatal(err)
		}
		first, end := (span[0]+page-1)/page, span[1]/page // pages that should be committed
		mem[first*page] = 7
		Populate(mem[span[0]:span[1]])
		committed := make([]byte, 8)
		_, _, fault := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&mem[0])), uintptr(len(mem)), uintptr(unsafe.Pointer(&committed[0])))
		if fault != 0 {
			t.Fatal(fault)
		}
		for i, got := range committed {
			want := byte(0)
			if i >= first && i < end || i == first {
				want = 1
			}
			if got&1 != want {
				t.Errorf("bytes %d to %d: page %d is committed: %d, want %d", span[0], span[1], i, got&1, want)
			}
		}
		if mem[first*page] != 7 || mem[8*page-1] != 0 {
			t.Errorf("bytes %d to %d: the memory has changed", span[0], span[1])
		}
		freeRegion(mem)
	}
	Populate(nil)
}
