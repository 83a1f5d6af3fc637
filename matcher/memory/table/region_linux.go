//go:build linux && !race

package table

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// hugePage is the size of a transparent huge page on amd64 and most arm64 systems, in
// bytes.
const hugePage = 2 << 20

// newRegion maps size zeroed bytes outside the Go heap. The system commits a page when it
// is first written, so a region may be larger than its content. huge requests huge pages,
// without which scans lose 20-50 % to TLB misses.
func newRegion(size int, huge bool) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("memory: %d bytes cannot be mapped: %w", size, err)
	}
	if huge && size >= hugePage {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // ignore the error: a kernel without huge pages still works
	}
	return mem, nil
}

// Populate commits the pages of mem, which is a part of a region and is about to be
// written as a whole. That is faster than one page fault for each page.
func Populate(mem []byte) {
	start := uintptr(unsafe.Pointer(unsafe.SliceData(mem)))
	page := uintptr(unix.Getpagesize())
	skip := (page - start%page) % page // up to the first whole page
	if n := uintptr(len(mem)); n >= skip+page {
		_ = unix.Madvise(mem[skip:n-(start+n)%page], unix.MADV_POPULATE_WRITE) // ignore the error: the pages are then committed when they are written
	}
}

func freeRegion(mem []byte) { _ = unix.Munmap(mem) } // fails only for memory that newRegion did not map
