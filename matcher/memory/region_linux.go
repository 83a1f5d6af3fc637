//go:build linux && !race

package memory

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// hugePage is what transparent huge pages are on amd64 and most of arm64.
const hugePage = 2 << 20

// newRegion maps size zeroed bytes outside the Go heap. Pages are committed as
// they are written, so a region may be larger than what it will hold. huge
// asks for huge pages, without which scans lose 20-50 % to TLB misses.
func newRegion(size int, huge bool) ([]byte, error) {
	mem, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS|unix.MAP_NORESERVE)
	if err != nil {
		return nil, fmt.Errorf("memory: %d bytes cannot be mapped: %w", size, err)
	}
	if huge && size >= hugePage {
		_ = unix.Madvise(mem, unix.MADV_HUGEPAGE) // a kernel without them still works
	}
	return mem, nil
}

func freeRegion(mem []byte) { _ = unix.Munmap(mem) } // fails only for memory that newRegion did not map
