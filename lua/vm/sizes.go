package vm

import (
	"math/bits"
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// Bytes that values use on the heap, rounded as the allocator does.
const (
	valueBytes    = int(unsafe.Sizeof(glua.LNil))
	tableBytes    = 96   // a table without entries
	functionBytes = 64   // a closure without upvalues
	upvalueBytes  = 48   // an upvalue
	objectBytes   = 80   // a userdata with its Object
	numberBlock   = 256  // gopher-lua allocates numbers in blocks of this size
	boxBytes      = 16   // the header of a string in an interface
	threadBytes   = 3200 // a thread without its registry
)

// roundUp estimates the bytes that the allocator uses for n bytes.
func roundUp(n int) int {
	switch {
	case n <= 8:
		return n
	case n <= 128:
		return (n + 15) &^ 15
	case n <= 32<<10:
		step := 1 << max(bits.Len(uint(n-1))-4, 4)
		return (n + step - 1) &^ (step - 1)
	}
	return (n + 8191) &^ 8191
}

// mapHeader and mapTableHeader mirror the Go runtime's hash map. Only the number of
// slots is read. If mapReadable is false, the mirrors do not match the runtime, and
// the slots are estimated from the number of entries.
type mapHeader struct {
	used   uint64
	_      uintptr // the seed
	dir    unsafe.Pointer
	dirLen int
}

type mapTableHeader struct {
	_, capacity uint16 // the first field is the number of used slots
}

const slotsPerGroup = 8

// mapReadable reports whether the mirrors give plausible results for maps of this
// Go version.
var mapReadable = func() bool {
	for _, n := range []int{1, 8, 9, 100, 5000} {
		m := make(map[glua.LValue]int)
		for i := range n {
			m[glua.LNumber(i)] = i
		}
		h := headerOf(m)
		if h.used != uint64(n) || h.dirLen < 0 || h.dirLen > 1024 || h.dir == nil {
			return false
		}
		if slots := slotsOf(h); slots < n || slots > 5*n+slotsPerGroup {
			return false
		}
	}
	return true
}()

// headerOf returns the header of a map.
func headerOf[K comparable, V any](m map[K]V) *mapHeader {
	return *(**mapHeader)(unsafe.Pointer(&m))
}

// slotsOf counts the slots of a map. A table can appear several times in the
// directory; its pointers are adjacent.
func slotsOf(h *mapHeader) int {
	if h.dirLen == 0 {
		if h.dir == nil {
			return 0
		}
		return slotsPerGroup
	}
	n := 0
	var before *mapTableHeader
	for _, table := range unsafe.Slice((**mapTableHeader)(h.dir), h.dirLen) {
		if table != before {
			n += int(table.capacity)
		}
		before = table
	}
	return n
}

// sizeOfMap returns the bytes of a map whose slots have the given size, without the
// values to which its entries refer.
func sizeOfMap[K comparable, V any](m map[K]V, slot int) int {
	if m == nil {
		return 0
	}
	if !mapReadable {
		return sizeOfMapFor(len(m), slot)
	}
	h := headerOf(m)
	return slotBytes(slotsOf(h), h.dirLen, slot)
}

// sizeOfMapFor returns the bytes of a map that was made for n entries.
func sizeOfMapFor(n, slot int) int {
	if n <= slotsPerGroup {
		return slotBytes(slotsPerGroup, 0, slot)
	}
	slots := 1 << bits.Len(uint((n*8+6)/7-1))
	return slotBytes(slots, (slots+1023)/1024, slot)
}

// slotBytes returns the bytes of a map with a number of slots and tables.
func slotBytes(slots, tables, slot int) int {
	if slots == 0 {
		return 48
	}
	return 48 + tables*(48+8) + roundUp(slots/slotsPerGroup*(8+slotsPerGroup*slot))
}

// tableSize returns the bytes of a table, without the values to which its entries
// refer.
func tableSize(t *tableLayout) int {
	return tableBytes + roundUp(cap(t.array)*valueBytes) + roundUp(cap(t.keys)*valueBytes) +
		sizeOfMap(t.dict, 2*valueBytes) + sizeOfMap(t.strdict, 2*valueBytes) + sizeOfMap(t.k2i, valueBytes+8)
}

const (
	newThreadBytes   = 15 << 10 // bytes allocated for a new thread
	caughtErrorUnits = 100      // work of unwinding the stack and making a traceback for an error
)
