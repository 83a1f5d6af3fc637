package main

// The registers of a scan. The sums begin at V0. Each line of a turn has its own set of
// registers for sums, so that additions need not wait for each other.
const (
	scanQuery, scanAt, scanRows, scanConsts, scanValues, scanMasks  reg = 0, 1, 2, 3, 4, 5
	scanLeft, scanLines, scanCount                                  reg = 6, 7, 8
	listAt, listLast, listBlocks, listSize, listPrefetch, listConst reg = 10, 11, 12, 13, 14, 15

	scanLoaded                                          vec = 16 // eight registers
	scanWords, scanSigns, scanLimit, scanBit, scanStart vec = 24, 25, 26, 27, 28
)

// listAhead is the distance, in blocks, at which a list is prefetched.
const listAhead = 4

// scanKernel holds the parts in which the scans differ.
type scanKernel struct {
	suffix string
	turn   int  // lines of a turn, a power of two
	sums   int  // registers with the sums of 16 rows: four, or eight with two sums for each row
	signed bool // whether rows must be turned into signed bytes

	load func(f *function, count int)                 // loads the words of a turn (count > 1) or of one line
	add  func(f *function, word int, loaded, sum vec) // multiplies a line by a word and adds it to the sums
}

// neonScan multiplies each half of a register of rows by a register that holds the
// query's word four times. Each row has two sums, one for each pair of dimensions.
var neonScan = scanKernel{
	suffix: "NEON", turn: 2, sums: 8, signed: true,
	load: func(*function, int) {},
	add: func(f *function, _ int, loaded, sum vec) {
		const product vec = 20
		f.op("VLD1R.P 4(%v), [%v.S4]", scanAt, scanWords)
		for i := range vec(4) {
			f.three(smull, product+i, loaded+i, scanWords)
			f.three(smull2, loaded+i, loaded+i, scanWords)
			f.two(sadalp, sum+2*i, product+i)
			f.two(sadalp, sum+2*i+1, loaded+i)
		}
	},
}

var dotProdScan = scanKernel{suffix: "DotProd", turn: 4, sums: 4, signed: true, load: loadForDot, add: addDot(sdotLane)}

var i8mmScan = scanKernel{suffix: "I8MM", turn: 4, sums: 4, load: loadForDot, add: addDot(usdotLane)}

func loadForDot(f *function, count int) {
	if count == 1 {
		f.op("VLD1.P 4(%v), %v.S[0]", scanAt, scanWords)
	} else {
		f.op("VLD1.P 16(%v), %s", scanAt, list(scanWords, 1, "B16"))
	}
}

func addDot(dot instruction) func(f *function, word int, loaded, sum vec) {
	return func(f *function, word int, loaded, sum vec) {
		for i := range vec(4) {
			f.lane(dot, sum+i, loaded+i, scanWords, word)
		}
	}
}

// scan generates a scan of consecutive blocks.
func (k scanKernel) scan() *function {
	name := "scanU8" + k.suffix
	f := newFunction(name, "query []uint32, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16", 128, scanDoc(name)...)
	f.op("MOVD blocks_base+24(FP), %v", scanRows)
	f.op("MOVD consts_base+48(FP), %v", scanConsts)
	f.op("MOVW limit+72(FP), R9")
	f.op("MOVD values_base+80(FP), %v", scanValues)
	f.op("MOVD masks_base+104(FP), %v", scanMasks)
	f.op("MOVD masks_len+112(FP), %v", scanLeft)
	k.blocks(f, func() {}, func(int) {})
	return f
}

// list generates a scan of blocks that are not consecutive. The CPU's own prefetcher
// does not know which block follows. So each line prefetches a line of a later block
// of the list, or of the last block near the end of the list.
func (k scanKernel) list() *function {
	name := "listU8" + k.suffix
	f := newFunction(name, "query []uint32, blocks []byte, consts []int32, list []uint32, limit int32, values []int32, masks []uint16", 152, listDoc(name)...)
	f.op("MOVD blocks_base+24(FP), %v", listBlocks)
	f.op("MOVD consts_base+48(FP), %v", listConst)
	f.op("MOVD list_base+72(FP), %v", listAt)
	f.op("MOVD list_len+80(FP), %v", listLast)
	f.op("ADD %v<<2, %v, %[1]v", listLast, listAt)
	f.op("SUB $4, %v, %[1]v", listLast)
	f.op("MOVD query_len+8(FP), %v", listSize)
	f.op("LSL $6, %v, %[1]v", listSize)
	f.op("MOVW limit+96(FP), R9")
	f.op("MOVD values_base+104(FP), %v", scanValues)
	f.op("MOVD masks_base+128(FP), %v", scanMasks)
	f.op("MOVD masks_len+136(FP), %v", scanLeft)
	k.blocks(f, func() {
		f.op("MOVWU.P 4(%v), R9", listAt)
		f.op("MADD %v, %v, R9, %v", listSize, listBlocks, scanRows)
		f.op("ADD R9<<6, %v, %v", listConst, scanConsts)
		f.op("ADD $%d, %v, R9", 4*(listAhead-1), listAt)
		f.op("CMP %v, R9", listLast)
		f.op("CSEL HI, %v, R9, R9", listLast)
		f.op("MOVWU (R9), R9")
		f.op("MADD %v, %v, R9, %v", listSize, listBlocks, listPrefetch)
	}, func(lines int) {
		for i := range lines {
			f.prefetch(i*lineBytes, listPrefetch)
		}
		f.op("ADD $%d, %v, %[2]v", lines*lineBytes, listPrefetch)
	})
	return f
}

// blocks generates the loop over blocks. The limit is in R9. next sets the addresses of
// the next block unless blocks are consecutive, and ahead prefetches lines.
func (k scanKernel) blocks(f *function, next func(), ahead func(lines int)) {
	f.op("MOVD query_base+0(FP), %v", scanQuery)
	f.op("MOVD query_len+8(FP), %v", scanLines)
	f.op("VDUP R9, %v.S4", scanLimit)
	f.bitOfByte(scanBit)
	f.clear(scanStart, 1)
	f.op("CBZ %v, done", scanLeft)
	if k.signed {
		f.fillSigns(scanSigns)
		k.start(f)
	}
	f.label("block")
	next()
	for i := range vec(k.sums) {
		f.copyVec(scanStart, i)
	}
	f.clear(vec(k.sums), k.sums*(k.turn-1))
	f.op("MOVD %v, %v", scanQuery, scanAt)
	f.op("LSR $%d, %v, %v", log2(k.turn), scanLines, scanCount)
	f.op("CBZ %v, rest", scanCount)
	f.label("turn")
	k.load(f, k.turn)
	for i := range k.turn {
		k.line(f, i)
	}
	ahead(k.turn)
	f.op("SUBS $1, %v, %[1]v", scanCount)
	f.op("BNE turn")
	f.label("rest")
	f.op("ANDS $%d, %v, %v", k.turn-1, scanLines, scanCount)
	f.op("BEQ sum")
	f.label("line")
	k.load(f, 1)
	k.line(f, 0)
	ahead(1)
	f.op("SUBS $1, %v, %[1]v", scanCount)
	f.op("BNE line")

	f.label("sum")
	f.addAll(k.sums*k.turn, k.sums, func(x, y vec) { f.op("VADD %v.S4, %v.S4, %[2]v.S4", y, x) })
	if k.sums > 4 {
		for i := range vec(4) {
			f.op("VADDP %v.S4, %v.S4, %v.S4", 2*i+1, 2*i, i)
		}
	}
	f.op("VLD1.P 64(%v), %s", scanConsts, list(scanLoaded, 4, "S4"))
	f.finish(0, 4, scanLoaded, scanLimit, scanBit, scanValues, "("+scanMasks.String()+")")
	f.op("ADD $2, %v, %[1]v", scanMasks)
	f.op("SUBS $1, %v, %[1]v", scanLeft)
	f.op("BNE block")
	f.label("done")
}

// line loads line number i of a turn and adds it to its set of sums.
func (k scanKernel) line(f *function, i int) {
	loaded := scanLoaded
	if k.sums == 4 { // neonScan uses the other half of these registers for products
		loaded += vec(4 * (i % 2))
	}
	f.op("VLD1.P 64(%v), %s", scanRows, list(loaded, 4, "B16"))
	if k.signed {
		for v := range vec(4) {
			f.op("VEOR %v.B16, %v.B16, %[2]v.B16", scanSigns, loaded+v)
		}
	}
	k.add(f, i, loaded, vec(i*k.sums))
}

// start fills all lanes of scanStart with the value at which a sum starts. All sums of
// a row together start at 128 times the sum of the query's bytes.
func (k scanKernel) start(f *function) {
	f.op("MOVD %v, %v", scanQuery, scanAt)
	f.op("LSR $2, %v, %v", scanLines, scanCount)
	f.op("CBZ %v, words", scanCount)
	f.label("fours")
	f.op("VLD1.P 16(%v), %s", scanAt, list(scanWords, 1, "B16"))
	f.sumQueries(scanWords, scanLoaded, scanStart)
	f.op("SUBS $1, %v, %[1]v", scanCount)
	f.op("BNE fours")
	f.label("words")
	f.op("ANDS $3, %v, %v", scanLines, scanCount)
	f.op("BEQ start")
	f.clear(scanWords, 1)
	f.label("word")
	f.op("VLD1.P 4(%v), %v.S[0]", scanAt, scanWords)
	f.sumQueries(scanWords, scanLoaded, scanStart)
	f.op("SUBS $1, %v, %[1]v", scanCount)
	f.op("BNE word")
	f.label("start")
	f.op("VADDV %v.S4, %[1]v", scanStart)
	f.op("VSHL $%d, %v.S4, %[2]v.S4", startShift(k.sums/4), scanStart)
	f.op("VDUP %v.S[0], %[1]v.S4", scanStart)
}

// startShift returns log2 of 128/sumsOfRow.
func startShift(sumsOfRow int) int { return 7 - log2(sumsOfRow) }

func log2(n int) int {
	log := 0
	for ; n > 1; n /= 2 {
		log++
	}
	return log
}
