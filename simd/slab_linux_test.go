package simd

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// slab returns zeroed memory, on huge pages if the system provides them. Sets of
// descriptors are stored the same way. On small pages a scan is 20 to 50 % slower.
func slab(size int) []byte {
	const huge = 2 << 20
	b, err := unix.Mmap(-1, 0, size+huge, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		panic(err)
	}
	skip := -uintptr(unsafe.Pointer(&b[0])) % huge
	b = b[skip:][:size]
	_ = unix.Madvise(b, unix.MADV_HUGEPAGE) // a failure costs only speed
	return b
}
