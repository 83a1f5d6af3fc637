// Command interleaved writes the kernels of package simd that read interleaved
// blocks: lines of 64 bytes with four bytes of each of 16 rows, so that a
// register holds one sum for each row and nothing is summed up across it.
//
// A scan takes one query over many blocks, strictly in order. A tile takes 2, 4
// or 6 queries over four blocks: what is loaded serves all sums that the
// registers hold.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"
)

//go:generate go run . -pkg simd -out ../../interleaved_amd64.s -stubs ../../interleaved_stub_amd64.go

const (
	line       = 64 // bytes
	blockRows  = 16
	tileBlocks = 4
	tileRows   = tileBlocks * blockRows
	groupMax   = 6
	slice      = 24 // bytes of a slice's header
)

var widths = []int{2, 4, groupMax}

func main() {
	ConstraintExpr("amd64,!purego")
	scanU8VNNI()
	for _, width := range widths {
		tile512(u8VNNI, width)
	}
	Generate()
}

// kind is what differs between the kernels of an instruction set.
type kind struct {
	name, word, elem string // Go types of a query's words and of the values
	mac              func(query, rows reg.VecVirtual, acc reg.VecVirtual)
	// finish makes values of the sums in acc and puts a bit for each that is no
	// hit, or that is one if hits is true, into mask.
	finish func(acc reg.VecVirtual, consts Mem, limit reg.VecVirtual, mask reg.OpmaskVirtual)
}

// scanParams declares a kernel for one query.
func scanParams(name, doc, word, elem string) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(query []%s, blocks []byte, consts []%s, limit %[2]s, values []%[2]s, masks []uint16)", word, elem))
	Doc(name+" "+doc, "The caller has checked the sizes.")
	Pragma("noescape")
}

// tileParams declares a kernel for the queries of a group.
func tileParams(name, doc, word, elem string) {
	TEXT(name, NOSPLIT, fmt.Sprintf("func(queries []%s, blocks *[%d][]byte, consts *[%[2]d][]%[3]s, limits *[%[4]d]%[3]s, values *[%[4]d][%[5]d]%[3]s, masks *[%[4]d]uint64, next *[%[2]d][]byte)",
		word, tileBlocks, elem, groupMax, tileRows))
	Doc(name+" "+doc, "The caller has checked the sizes.")
	Pragma("noescape")
}

func pointer(name string) reg.Register { return Load(Param(name), GP64()) }
func base(name string) reg.Register    { return Load(Param(name).Base(), GP64()) }

// header returns the base pointer of slice i of an array of slices.
func header(array reg.Register, i int) reg.GPVirtual {
	p := GP64()
	MOVQ(Mem{Base: array, Disp: i * slice}, p)
	return p
}
