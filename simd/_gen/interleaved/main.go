// Command interleaved writes the kernels of package simd that read interleaved
// blocks: lines of 64 bytes with four bytes of each of 16 rows, so that every
// lane of a register sums up for one row and nothing is summed across it.
//
// A scan takes one query over many blocks, strictly in order. A tile takes 2, 4
// or 6 queries over four blocks: what is loaded serves as many sums as the
// registers hold, 24 blocks' sums with AVX-512, 6 with AVX2.
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
	scan256("scanU8AVX2", u8AVX2())
	scan256("scanF32AVX2", f32AVX2())
	scan512("scanU8VNNI", u8VNNI)
	scan512("scanF32AVX512", f32AVX512)
	list512("listU8VNNI", u8VNNI)
	for _, width := range widths {
		tile256(fmt.Sprintf("tileU8x%dAVX2", width), u8AVX2(), width)
		tile256(fmt.Sprintf("tileF32x%dAVX2", width), f32AVX2(), width)
		tile512(fmt.Sprintf("tileU8x%dVNNI", width), u8VNNI, width)
		tile512(fmt.Sprintf("tileF32x%dAVX512", width), f32AVX512, width)
	}
	Generate()
}

// types are the Go types of a query's words and of the values, and the bytes of
// a block's constants.
type types struct {
	word, elem string
	consts     int
}

var (
	u8  = types{"uint32", "int32", 4 * blockRows}
	f32 = types{"float32", "float32", 2 * 4 * blockRows}
)

// textScan declares a kernel for one query.
func textScan(name string, t types) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(query []%s, blocks []byte, consts []%s, limit %[2]s, values []%[2]s, masks []uint16)", t.word, t.elem))
	Doc(name+" compares one query with the rows of consecutive blocks.", "The caller has checked the sizes.")
	Pragma("noescape")
}

// textTile declares a kernel for the queries of a group.
func textTile(name string, t types, width int) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(queries []%s, blocks *[%d][]byte, consts *[%[2]d][]%[3]s, limits *[%[4]d]%[3]s, "+
			"values *[%[4]d][%[5]d]%[3]s, masks *[%[4]d]uint64, next *[%[2]d][]byte)",
		t.word, tileBlocks, t.elem, groupMax, tileRows))
	Doc(fmt.Sprintf("%s compares %d queries with the rows of four blocks.", name, width), "The caller has checked the sizes.")
	Pragma("noescape")
}

func pointer(name string) reg.Register { return Load(Param(name), GP64()) }
func base(name string) reg.Register    { return Load(Param(name).Base(), GP64()) }

// broadcastLimit fills a register with the parameter limit.
func broadcastLimit(limit reg.VecVirtual) {
	at, err := Param("limit").Resolve()
	if err != nil {
		panic(err)
	}
	VBROADCASTSS(at.Addr, limit)
}

// header returns the base pointer of slice i of an array of slices.
func header(array reg.Register, i int) reg.GPVirtual {
	p := GP64()
	MOVQ(Mem{Base: array, Disp: i * slice}, p)
	return p
}

// loop writes a scan's loops over the lines of a block: turns of several lines,
// then the lines that fill none. add takes line i of a turn, of which advance
// steps over n.
func loop(j, turns, end reg.Register, turn int, add func(i int), advance func(n int)) {
	Label("turn")
	CMPQ(j, turns)
	JAE(LabelRef("line"))
	for i := range turn {
		add(i)
	}
	advance(turn)
	JMP(LabelRef("turn"))
	Label("line")
	CMPQ(j, end)
	JAE(LabelRef("sum"))
	add(0)
	advance(1)
	JMP(LabelRef("line"))
	Label("sum")
}
