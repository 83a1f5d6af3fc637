// Package simd computes distances between a query and many rows of numbers.
//
// A Kernel implements every function of the package for one instruction set.
// Kernels lists the kernels of this build and Select picks one for this CPU.
// The caller keeps the *Kernel that it selected; the package has no global
// choice.
//
// Two layouts of rows exist. Row-major rows follow each other without gaps. An
// interleaved block holds 16 rows: the first four bytes of every row, then the
// next four bytes of every row, and so on. Two kinds of function read blocks:
//
//   - A scan compares one query with consecutive blocks, about as fast as memory
//     can be read.
//   - A tile compares a group of queries with up to four blocks, which may lie
//     anywhere, about as fast as the CPU can multiply. A group has up to six
//     queries, or up to GroupMax if the kernel multiplies matrices.
//
// Both return a mask of the rows that are within a limit, so that the caller can
// skip the other rows. Probes measure the speed of the memory and of the
// multiplier.
//
// Integer results are exact and equal in all kernels. A float32 result is a sum
// in an order that depends on the kernel, with or without fused multiply-add, so
// kernels differ in the last bits. For finite input the result is within
//
//	ErrorBound(n)*sum(|terms|) + UnderflowBound
//
// of the exact value, if the sum of |terms| plus this bound stays below the
// largest float32. Above that the result may be an infinity or NaN, whatever the
// exact value is. A caller that needs the same answer from every kernel selects
// candidates with these results, then recomputes the candidates and every result
// that is not finite. Results for infinite or NaN input are meaningless.
//
// The Go scheduler cannot interrupt a kernel. A call should take at most about a
// millisecond, which is 16 MiB read from memory.
package simd

import (
	"fmt"
	"strings"

	"github.com/klauspost/cpuid/v2"
)

// DimMax is the largest number of dimensions of a row. It keeps squared
// distances between rows of bytes below 2^31.
const DimMax = 16384

// Kernel is the implementation for one instruction set. It is immutable and safe
// for concurrent use. Calling a kernel whose Usable is false ends the process
// with an illegal instruction.
type Kernel struct {
	name   string
	level  level
	usable bool              // whether this CPU can run it
	needs  []cpuid.FeatureID // for WhyUnusable
	permit func() error      // asks the operating system once; nil: no need to ask

	squaredL2U8  func(dst []uint32, query, rows []uint8)
	squaredL2F32 func(dst, query, rows []float32)
	dotF32       func(dst, query, rows []float32)

	wordsU8   int // words that a packed uint8 query has for each line of a block
	packU8    func(dst []uint32, query []uint8)
	scanU8    scanFunc
	listU8    listFunc // nil if ListU8 scans block by block
	listShare float64  // see ListShare
	tileU8    tileFuncs
	spreadU8  spreadFuncs // used instead of tileU8 if set
	groupU8   int         // queries of a full group
	wideU8    wideFunc    // for groups of more than NarrowMax queries

	within   withinFuncs
	oneOf    oneOfFuncs
	oneOfMax int // see OneOfMax
	probes   probes
}

// scanFunc does the work of ScanU8 after its checks.
type scanFunc func(query []uint32, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16)

// listFunc does the work of ListU8 after its checks; len(masks) is a multiple of four.
type listFunc func(query []uint32, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16)

// NarrowMax is the largest number of queries of a group that a kernel multiplies as
// vectors. Larger groups are multiplied as matrices.
const NarrowMax = 6

// tileFuncs do the work of TileU8 for up to NarrowMax queries, after its checks. The
// index is the width of the tile. next is nil or holds the blocks to prefetch.
type tileFuncs [NarrowMax + 1]func(queries []uint32, blocks *[TileBlocks][]byte, consts *[TileBlocks][]int32,
	limits *[NarrowMax]int32, values *[NarrowMax][TileRows]int32, masks *[NarrowMax]uint64, next *[TileBlocks][]byte)

// spreadFuncs compute the same as tileFuncs, but write values only if there are hits. They
// prefetch the given number of bytes of the blocks of next at a steady rate, from offset at
// of the given block on. From the beginning of the first block on, they also prefetch a line
// of each page of all blocks at once. bytes is a multiple of a line; 0 prefetches nothing.
type spreadFuncs [NarrowMax + 1]func(queries []uint32, blocks *[TileBlocks][]byte, consts *[TileBlocks][]int32,
	limits *[NarrowMax]int32, values *[NarrowMax][TileRows]int32, masks *[NarrowMax]uint64, next *[TileBlocks][]byte, block, at, bytes int)

// Name returns the kernel's name. It begins with the kernel's level: "generic",
// "avx2", "avxvnni", "avx512", "amx", "neon", "neon-dotprod" or "neon-i8mm".
func (k *Kernel) Name() string { return k.name }

// Level is the level of the kernel's instruction set, as [Select] takes it.
func (k *Kernel) Level() string { return levels[k.level] }

// Usable reports whether this process can run k. The first call for a kernel that
// needs the permission of the operating system asks for it.
func (k *Kernel) Usable() bool { return k.usable && (k.permit == nil || k.permit() == nil) }

// WhyUnusable returns the reason why this process cannot run k, or nil.
func (k *Kernel) WhyUnusable() error {
	if k.usable {
		if k.permit == nil {
			return nil
		}
		return k.permit()
	}
	var missing []string
	for _, f := range k.needs {
		if !cpuid.CPU.Supports(f) {
			missing = append(missing, f.String())
		}
	}
	return fmt.Errorf("the CPU, or the system, does not offer %s", strings.Join(missing, ", "))
}

// SquaredL2U8 sets dst[i] to the squared distance between query and row i of
// rows: the exact sum over j of (query[j]-row[j])^2.
// It panics unless len(rows) == len(dst)*len(query) and query has 1 to DimMax dimensions.
func (k *Kernel) SquaredL2U8(dst []uint32, query, rows []uint8) {
	checkShape(len(dst), len(query), len(rows))
	k.squaredL2U8(dst, query, rows)
}

// SquaredL2F32 sets dst[i] to the squared distance between query and row i of
// rows: the sum over j of (query[j]-row[j])^2, within the error bound of the
// package comment.
// It panics unless len(rows) == len(dst)*len(query) and query has 1 to DimMax dimensions.
func (k *Kernel) SquaredL2F32(dst, query, rows []float32) {
	checkShape(len(dst), len(query), len(rows))
	k.squaredL2F32(dst, query, rows)
}

// DotF32 sets dst[i] to the dot product of query and row i of rows: the sum
// over j of query[j]*row[j], within the error bound of the package comment.
// It panics unless len(rows) == len(dst)*len(query) and query has 1 to DimMax dimensions.
func (k *Kernel) DotF32(dst, query, rows []float32) {
	checkShape(len(dst), len(query), len(rows))
	k.dotF32(dst, query, rows)
}

// checkShape panics unless values fill the given number of rows. The assembly
// does not check lengths.
func checkShape(rows, dim, values int) {
	checkDims(dim)
	if values != rows*dim {
		panic(fmt.Sprintf("simd: %d rows of %d dimensions need %d values, got %d", rows, dim, rows*dim, values))
	}
}

func checkDims(dims int) {
	if dims < 1 || dims > DimMax {
		panic(fmt.Sprintf("simd: dimensions must be 1 to %d, got %d", DimMax, dims))
	}
}
