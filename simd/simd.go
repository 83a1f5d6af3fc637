// Package simd computes distances between a query and many rows of numbers.
//
// A Kernel is one instruction set's implementation of every function of the
// package. Kernels lists all that were compiled in, Select picks one for this
// CPU, and whoever computes keeps the *Kernel it was given: there is no global
// choice.
//
// Rows are row-major, one after the other without gaps, or interleaved: a block
// has 16 rows, of which four bytes each stand side by side, first the first four
// bytes of all rows, then the next four. Blocks are read about as fast as memory
// allows by a scan (one query, consecutive blocks), and by a tile (a group of up
// to six queries, any four blocks) about as fast as the CPU can multiply. Both
// tell by a mask which rows are within a limit, so that a caller need not look
// at the others. Probes measure those two speeds.
//
// Integers are exact and equal in all kernels. A float32 result is one
// evaluation of the sum in some order, with or without fused multiply-add; it
// differs between kernels. For finite input it is within
//
//	ErrorBound(n)*sum(|terms|) + UnderflowBound
//
// of the exact value, as long as that stays below the largest float32: beyond
// it the result may be an infinity or NaN, whatever the exact value is. A caller
// that needs one answer from every kernel selects with these results and
// evaluates what it selected, and what is not finite, again. Input that is not
// finite gives results without meaning.
//
// The Go scheduler cannot interrupt a kernel. Hand it blocks of at most about a
// millisecond, which is 16 MiB from memory, and nothing waits for it.
package simd

import "fmt"

// DimMax is the largest number of dimensions of a row. Squared distances of
// bytes stay below 2^31 with it.
const DimMax = 16384

// Kernel is one instruction set's implementation. It is immutable and safe for
// concurrent use. It must be usable, or its functions end the process.
type Kernel struct {
	name   string
	level  level
	usable bool

	squaredL2U8  func(dst []uint32, query, rows []uint8)
	squaredL2F32 func(dst, query, rows []float32)
	dotF32       func(dst, query, rows []float32)

	wordsU8 int // of a packed uint8 query for each line of a block
	packU8  func(dst []uint32, query []uint8)
	scanU8  scanFunc[uint32, int32]
	listU8  listFunc // nil: none
	share   float64  // see ListShare
	tileU8  tileFuncs[uint32, int32]
	scanF32 scanFunc[float32, float32]
	tileF32 tileFuncs[float32, float32]

	within withinFuncs
	probes probes
}

// scanFunc is ScanU8 or ScanF32 after its checks.
type scanFunc[W uint32 | float32, C int32 | float32] func(query []W, blocks []byte, consts []C, limit C, values []C, masks []uint16)

// listFunc is ListU8 for a multiple of four blocks, after its checks.
type listFunc func(query []uint32, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16)

// tileFuncs are TileU8 or TileF32 after their checks, by the width of the tile.
// next is nil or has what shall be prefetched.
type tileFuncs[W uint32 | float32, C int32 | float32] [GroupMax + 1]func(queries []W, blocks *[TileBlocks][]byte, consts *[TileBlocks][]C,
	limits *[GroupMax]C, values *[GroupMax][TileRows]C, masks *[GroupMax]uint64, next *[TileBlocks][]byte)

// Name begins with the kernel's level, "generic", "avx2" or "avx512".
func (k *Kernel) Name() string { return k.name }

// Usable reports whether this CPU can run k.
func (k *Kernel) Usable() bool { return k.usable }

// SquaredL2U8 sets dst[i] to the squared distance between query and row i of
// rows, the sum over j of (query[j]-row[j])^2, exactly.
// It panics unless len(rows) == len(dst)*len(query) and query has 1 to DimMax dimensions.
func (k *Kernel) SquaredL2U8(dst []uint32, query, rows []uint8) {
	checkShape(len(dst), len(query), len(rows))
	k.squaredL2U8(dst, query, rows)
}

// SquaredL2F32 sets dst[i] to the squared distance between query and row i of
// rows, the sum over j of (query[j]-row[j])^2, within the package's bound.
// It panics unless len(rows) == len(dst)*len(query) and query has 1 to DimMax dimensions.
func (k *Kernel) SquaredL2F32(dst, query, rows []float32) {
	checkShape(len(dst), len(query), len(rows))
	k.squaredL2F32(dst, query, rows)
}

// DotF32 sets dst[i] to the dot product of query and row i of rows, the sum
// over j of query[j]*row[j], within the package's bound.
// It panics unless len(rows) == len(dst)*len(query) and query has 1 to DimMax dimensions.
func (k *Kernel) DotF32(dst, query, rows []float32) {
	checkShape(len(dst), len(query), len(rows))
	k.dotF32(dst, query, rows)
}

// checkShape stands between the caller and assembly that trusts its lengths.
func checkShape(rows, dim, values int) {
	checkDims(dim)
	if values != rows*dim {
		panic(fmt.Sprintf("simd: %d values are not %d rows of %d dimensions", values, rows, dim))
	}
}

func checkDims(dims int) {
	if dims < 1 || dims > DimMax {
		panic(fmt.Sprintf("simd: %d dimensions, want 1 to %d", dims, DimMax))
	}
}
