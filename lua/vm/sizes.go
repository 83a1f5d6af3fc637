package vm

import (
	"math/bits"
	"unsafe"

	glua "github.com/yuin/gopher-lua"
)

// Bytes that values take on the heap, as the allocator rounds them.
const (
	valueBytes    = int(unsafe.Sizeof(glua.LNil))
	tableBytes    = 96   // a table without entries
	functionBytes = 64   // a closure without upvalues
	upvalueBytes  = 48   // an upvalue
	objectBytes   = 80   // a userdata with its Object
	numberBlock   = 256  // numbers are allocated in blocks, which live as long as one number in them
	boxBytes      = 16   // the header of a string behind an interface
	threadBytes   = 3200 // a thread without its registry
	spawnBytes    = 4096 // a goroutine with its contexts
)

// roundUp is about what the allocator takes for n bytes.
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

// mapHeader and mapTable mirror the Go runtime's hash map, of which only the
// number of slots is read. mapReadable checks them; without it, the slots are
// estimated from the number of entries.
type mapHeader struct {
	used   uint64
	_      uintptr // the seed
	dir    unsafe.Pointer
	dirLen int
}

type mapTable struct {
	_, capacity uint16 // the first is how many are used
}

const slotsPerGroup = 8

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

func headerOf[K comparable, V any](m map[K]V) *mapHeader {
	return *(**mapHeader)(unsafe.Pointer(&m))
}

// slotsOf counts the slots of a map. Equal pointers of the directory, which
// stand for one table, are beside each other.
func slotsOf(h *mapHeader) int {
	if h.dirLen == 0 {
		if h.dir == nil {
			return 0
		}
		return slotsPerGroup
	}
	n := 0
	var before *mapTable
	for _, table := range unsafe.Slice((**mapTable)(h.dir), h.dirLen) {
		if table != before {
			n += int(table.capacity)
		}
		before = table
	}
	return n
}

// sizeOfMap is the size of a map with slots of that many bytes, without what
// its entries refer to.
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

// sizeOfMapFor is the size of a map that was made for n entries.
func sizeOfMapFor(n, slot int) int {
	if n <= slotsPerGroup {
		return slotBytes(slotsPerGroup, 0, slot)
	}
	slots := 1 << bits.Len(uint((n*8+6)/7-1))
	return slotBytes(slots, (slots+1023)/1024, slot)
}

func slotBytes(slots, tables, slot int) int {
	if slots == 0 {
		return 48
	}
	return 48 + tables*(48+8) + roundUp(slots/slotsPerGroup*(8+slotsPerGroup*slot))
}

// tableSize is the size of a table, without what its values refer to.
func tableSize(t *tableLayout) int {
	return tableBytes + roundUp(cap(t.array)*valueBytes) + roundUp(cap(t.keys)*valueBytes) +
		sizeOfMap(t.dict, 2*valueBytes) + sizeOfMap(t.strdict, 2*valueBytes) + sizeOfMap(t.k2i, valueBytes+8)
}

// What making a thread allocates, and what it takes to unwind an error and to
// describe the stack.
const (
	newThreadBytes = 15 << 10
	caughtUnits    = 100
)
