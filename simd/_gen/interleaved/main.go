// Command interleaved generates the kernels of package simd that read interleaved
// blocks. A line of a block has 64 bytes, four bytes of each of 16 rows. So every
// lane of a register accumulates the sum of one row, and no sum across lanes is
// needed.
//
// A scan compares one query with many blocks, strictly in order. A tile compares
// several queries with four blocks. A tile of 2, 4 or 6 queries uses each loaded line
// for all of them. The registers hold the sums of six queries over four blocks with
// AVX-512, and over one block with AVX2 or AVX-VNNI. With AMX, a tile has up to 64
// queries; amx.go describes it.
package main

import (
	"fmt"

	. "github.com/mmcloughlin/avo/build"
	. "github.com/mmcloughlin/avo/operand"
	"github.com/mmcloughlin/avo/reg"

	"nearside/simd/gen/vex"
)

//go:generate go run . -pkg simd -out ../../interleaved_amd64.s -stubs ../../interleaved_stub_amd64.go

const (
	line       = 64 // bytes
	blockRows  = 16
	tileBlocks = 4
	tileRows   = tileBlocks * blockRows
	groupMax   = 6
	constBytes = 4 * blockRows // bytes of a block's constants
	slice      = 24            // bytes of a slice header
)

var widths = []int{2, 4, groupMax}

func main() {
	ConstraintExpr("amd64,!purego")
	scan256("scanU8AVX2", pairs256, near)
	scan256("scanU8AVXVNNI", bytes256, near)
	scan512("scanU8VNNI", near)
	scan256("scanMiddleU8AVX2", pairs256, middle)
	scan256("scanFarU8AVX2", pairs256, far)
	scan256("scanFarU8AVXVNNI", bytes256, far)
	scan512("scanFarU8VNNI", far)
	list256("listU8AVX2", pairs256)
	list256("listU8AVXVNNI", bytes256)
	list512("listU8VNNI")
	for _, width := range widths {
		tile256(fmt.Sprintf("tileU8x%dAVX2", width), width, pairs256)
		tile256(fmt.Sprintf("tileU8x%dAVXVNNI", width), width, bytes256)
		tile512(fmt.Sprintf("tileU8x%dVNNI", width), width)
	}
	tileAMX("tileU8AMX")
	vex.Generate()
}

// textScan declares a kernel for one query.
func textScan(name string) {
	TEXT(name, NOSPLIT, "func(query []uint32, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16)")
	Doc(name+" compares one query with the rows of consecutive blocks.", "The caller has checked the sizes.")
	Pragma("noescape")
}

// textTile declares a kernel for the queries of a group.
func textTile(name string, width int) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(queries []uint32, blocks *[%d][]byte, consts *[%[1]d][]int32, limits *[%d]int32, "+
			"values *[%[2]d][%d]int32, masks *[%[2]d]uint64, next *[%[1]d][]byte)",
		tileBlocks, groupMax, tileRows))
	Doc(fmt.Sprintf("%s compares %d queries with the rows of four blocks.", name, width), "The caller has checked the sizes.")
	Pragma("noescape")
}

// textSpread declares a kernel for the queries of a group that prefetches a part of the
// next tile.
func textSpread(name string, width int) {
	TEXT(name, NOSPLIT, fmt.Sprintf(
		"func(queries []uint32, blocks *[%d][]byte, consts *[%[1]d][]int32, limits *[%d]int32, "+
			"values *[%[2]d][%d]int32, masks *[%[2]d]uint64, next *[%[1]d][]byte, block, at, bytes int)",
		tileBlocks, groupMax, tileRows))
	Doc(fmt.Sprintf("%s compares %d queries with the rows of four blocks. It writes values only if there", name, width),
		"are hits. At a steady rate it prefetches the given number of bytes of the blocks of next, from",
		"offset at of the given block on. The caller has checked the sizes.")
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

// header returns the data pointer of slice i of an array of slices.
func header(array reg.Register, i int) reg.GPVirtual {
	p := GP64()
	MOVQ(Mem{Base: array, Disp: i * slice}, p)
	return p
}

// A lookahead loads the line that is a number of bytes ahead of the current one. The CPU looks
// fewer lines ahead in a scan than in a loop that only reads, so its own prefetcher starts
// later. A prefetch after the last block does no harm, because it cannot fault.
type lookahead struct {
	load     func(m Op)
	distance int // bytes
}

// near is for AMD with AVX-512. On Zen 5, distances from 192 to 384 were measured 10 to 20 % faster than
// no prefetch, and distances from 640 on made no difference. far is for Intel. On Emerald
// Rapids, it was measured 10 % (AVX-512) and 40 % (AVX2) faster than no prefetch, and near was
// slower. There, 3072 to 8192 bytes are equally good, and loads into the L1 cache are slower. middle is
// for AMD without AVX-512. On Zen 3, it was measured 17 % faster than near and 25 % faster than no
// prefetch; distances of 1024 and 4096 are slower.
var (
	near   = lookahead{PREFETCHT0, 4 * line}
	middle = lookahead{PREFETCHT0, 32 * line}
	far    = lookahead{PREFETCHT1, 64 * line}
)

// lineLoops generates a scan's loops over the lines of a block. The first loop
// handles turn lines in each iteration; the second handles the remaining lines one
// by one. addLine adds line i of an iteration, at rows, to the sums, and advance moves
// forward by n lines.
func lineLoops(ahead lookahead, rows, j, turns, end reg.Register, turn int, addLine func(i int), advance func(n int)) {
	Label("turn")
	CMPQ(j, turns)
	JAE(LabelRef("line"))
	for i := range turn {
		addLine(i)
		ahead.load(Mem{Base: rows, Disp: i*line + ahead.distance})
	}
	advance(turn)
	JMP(LabelRef("turn"))
	Label("line")
	CMPQ(j, end)
	JAE(LabelRef("sum"))
	addLine(0)
	ahead.load(Mem{Base: rows, Disp: ahead.distance})
	advance(1)
	JMP(LabelRef("line"))
	Label("sum")
}
