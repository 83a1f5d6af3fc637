package main

import "fmt"

// The registers of a tile. The sums begin at V0. A tile handles one block after the
// other. The NEON tile handles half a block at a time, because it needs twice as many
// registers for the sums of a row.
const (
	tileQueries, tileAt, tileData, tileCount, tileArray, tileConsts  reg = 0, 1, 2, 3, 4, 5
	tileValues, tileMasks, tileLimits, tileNext, tileAhead, tileLeft reg = 6, 7, 8, 9, 10, 11
	tileLines, tileStart, tileOut, tileLimit                         reg = 12, 13, 14, 15
	tileHalf, tileBlock, tileConst                                   reg = 17, 19, 20
)

// newTile declares a tile and loads its parameters.
func newTile(kind string, width int) *function {
	name := fmt.Sprintf("tileU8x%d%s", width, kind)
	f := newFunction(name, fmt.Sprintf("queries []uint32, blocks *[%d][]byte, consts *[%[1]d][]int32, limits *[%d]int32, "+
		"values *[%[2]d][%d]int32, masks *[%[2]d]uint64, next *[%[1]d][]byte", tileBlocks, groupMax, tileRows), 72,
		fmt.Sprintf("%s compares %d queries with the rows of four blocks.", name, width), "The caller has checked the sizes.")
	f.op("MOVD queries_base+0(FP), %v", tileQueries)
	f.op("MOVD blocks+24(FP), %v", tileArray)
	f.op("MOVD consts+32(FP), %v", tileConsts)
	f.op("MOVD limits+40(FP), %v", tileLimits)
	f.op("MOVD values+48(FP), %v", tileValues)
	f.op("MOVD masks+56(FP), %v", tileMasks)
	f.op("MOVD next+64(FP), %v", tileNext)
	f.op("MOVD 8(%v), %v", tileArray, tileLines)
	f.op("LSR $6, %v, %[1]v", tileLines)
	f.op("MOVD $%d, %v", tileBlocks, tileLeft)
	return f
}

// storeStart computes the value at which the sums of each query start, and stores it in
// a local variable. sumsOfRow is the number of sums of a row.
func (f *function) storeStart(width, sumsOfRow int) {
	const sums, words, tmp vec = 0, 2, 4
	f.frame = 32
	f.clear(sums, 2)
	f.op("MOVD %v, %v", tileQueries, tileAt)
	f.op("MOVD %v, %v", tileLines, tileCount)
	f.label("start")
	f.loadWords(width, tileAt, words)
	for i := range vec(registersOf(width)) {
		f.sumQueries(words+i, tmp, sums+i)
	}
	f.op("SUBS $1, %v, %[1]v", tileCount)
	f.op("BNE start")
	for i := range vec(2) {
		f.op("VSHL $%d, %v.S4, %[2]v.S4", startShift(sumsOfRow), sums+i)
	}
	f.op("MOVD $start-32(SP), %v", tileStart)
	f.op("VST1 %s, (%v)", list(sums, 2, "S4"), tileStart)
}

// loadStart fills the sums of width queries, perQuery registers for each, with their
// start.
func (f *function) loadStart(width, perQuery int) {
	f.op("MOVD %v, %v", tileStart, tileOut)
	for q := range width {
		first := vec(q * perQuery)
		f.op("VLD1R.P 4(%v), [%v.S4]", tileOut, first)
		for i := first + 1; i < first+vec(perQuery); i++ {
			f.copyVec(first, i)
		}
	}
}

// nextBlock begins a block. Without a next tile, the addresses to prefetch are those of
// the block itself, so that no line needs a branch.
func (f *function) nextBlock(rows reg) {
	f.label("block")
	f.op("MOVD (%v), %v", tileArray, rows)
	f.op("MOVD %v, %v", rows, tileAhead)
	f.op("CBZ %v, known", tileNext)
	f.op("MOVD (%v), %v", tileNext, tileAhead)
	f.op("ADD $%d, %v, %[2]v", slice, tileNext)
	f.label("known")
}

// finishQueries stores the values and masks of 4*count rows of all queries. sums
// returns the first register of a query's sums. finishQueries overwrites six registers
// from free on, which must not hold sums.
func (f *function) finishQueries(width, count int, consts reg, free vec, sums func(q int) vec) {
	limit, bit := free+4, free+5
	f.op("VLD1 (%v), %s", consts, list(free, count, "S4"))
	f.bitOfByte(bit)
	f.op("MOVD %v, %v", tileLimits, tileLimit)
	for q := range width {
		f.op("VLD1R.P 4(%v), [%v.S4]", tileLimit, limit)
		f.op("ADD $%d, %v, %v", 4*tileRows*q, tileValues, tileOut)
		f.finish(sums(q), count, free, limit, bit, tileOut, fmt.Sprintf("%d(%v)", 8*q, tileMasks))
	}
}

// endBlock moves on to the next block.
func (f *function) endBlock() {
	f.op("ADD $%d, %v, %[2]v", slice, tileArray)
	f.op("ADD $%d, %v, %[2]v", slice, tileConsts)
	f.op("SUBS $1, %v, %[1]v", tileLeft)
	f.op("BNE block")
}

// tileNEON generates a tile that uses only NEON instructions.
func tileNEON(width int) *function {
	f := newTile("NEON", width)
	const rows, signs, word, product vec = 24, 26, 27, 28
	const perQuery = 4
	f.storeStart(width, 2)
	f.nextBlock(tileBlock)
	f.op("MOVD (%v), %v", tileConsts, tileConst)
	f.op("MOVD $2, %v", tileHalf)

	f.label("half")
	f.loadStart(width, perQuery)
	f.fillSigns(signs)
	f.op("MOVD %v, %v", tileBlock, tileData)
	f.op("MOVD %v, %v", tileQueries, tileAt)
	f.op("MOVD %v, %v", tileLines, tileCount)
	f.label("line")
	f.op("VLD1 (%v), %s", tileData, list(rows, 2, "B16"))
	f.op("ADD $%d, %v, %[2]v", lineBytes, tileData)
	for i := range vec(2) {
		f.op("VEOR %v.B16, %v.B16, %[2]v.B16", signs, rows+i)
	}
	for q := range width {
		f.op("VLD1R.P 4(%v), [%v.S4]", tileAt, word)
		for i := range vec(2) {
			f.three(smull, product+2*i, rows+i, word)
			f.three(smull2, product+2*i+1, rows+i, word)
		}
		for i := range vec(perQuery) {
			f.two(sadalp, vec(q*perQuery)+i, product+i)
		}
	}
	f.prefetch(0, tileAhead) // each half of the block prefetches half a block
	f.op("ADD $%d, %v, %[2]v", lineBytes/2, tileAhead)
	f.op("SUBS $1, %v, %[1]v", tileCount)
	f.op("BNE line")

	for q := range width {
		sum := vec(q * perQuery)
		f.op("VADDP %v.S4, %v.S4, %[2]v.S4", sum+1, sum)
		f.op("VADDP %v.S4, %v.S4, %v.S4", sum+3, sum+2, sum+1)
	}
	f.finishQueries(width, 2, tileConst, rows, func(q int) vec { return vec(q * perQuery) })
	f.op("ADD $32, %v, %[1]v", tileBlock)
	f.op("ADD $32, %v, %[1]v", tileConst)
	f.op("ADD $32, %v, %[1]v", tileValues)
	f.op("ADD $1, %v, %[1]v", tileMasks)
	f.op("SUBS $1, %v, %[1]v", tileHalf)
	f.op("BNE half")
	f.endBlock()
	return f
}

// wholeBlock generates the loop of a tile that handles whole blocks. start sets the
// sums, and lines adds all lines of a block.
func (f *function) wholeBlock(width int, start, lines func(), sums func(q int) vec) {
	f.nextBlock(tileData)
	start()
	f.op("MOVD %v, %v", tileQueries, tileAt)
	lines()
	f.op("MOVD (%v), %v", tileConsts, tileConst)
	f.finishQueries(width, 4, tileConst, 24, sums)
	f.op("ADD $64, %v, %[1]v", tileValues)
	f.op("ADD $2, %v, %[1]v", tileMasks)
	f.endBlock()
}

// tileDotProd generates a tile that uses SDOT. It multiplies by one lane of a register,
// so a word need not be copied to all lanes.
func tileDotProd(width int) *function {
	f := newTile("DotProd", width)
	const rows, words, signs vec = 24, 28, 30
	const perQuery = 4
	f.storeStart(width, 1)
	sums := func(q int) vec { return vec(q * perQuery) }
	f.wholeBlock(width, func() {
		f.loadStart(width, perQuery)
		f.fillSigns(signs)
	}, func() {
		f.op("MOVD %v, %v", tileLines, tileCount)
		f.label("line")
		f.loadWords(width, tileAt, words)
		f.op("VLD1.P 64(%v), %s", tileData, list(rows, 4, "B16"))
		for i := range vec(4) {
			f.op("VEOR %v.B16, %v.B16, %[2]v.B16", signs, rows+i)
		}
		for q := range width {
			for i := range vec(4) {
				f.lane(sdotLane, sums(q)+i, rows+i, words+vec(q/4), q%4)
			}
		}
		f.prefetch(0, tileAhead)
		f.op("ADD $%d, %v, %[2]v", lineBytes, tileAhead)
		f.op("SUBS $1, %v, %[1]v", tileCount)
		f.op("BNE line")
	}, sums)
	return f
}

// tileI8MM generates a tile that uses USMMLA, which multiplies eight dimensions of two
// rows by those of two queries. Its operands hold the words of two lines in turn. A
// register has four sums: those of row 0 with both queries, then those of row 1.
func tileI8MM(width int) *function {
	f := newTile("I8MM", width)
	const pairs, first, second, both, more vec = 24, 27, 28, 29, 30
	const perPair = 8 // registers of sums of a pair of queries
	// Register i of a line holds four rows. The sums of the first two rows are in
	// register i of a pair of queries, those of the other two rows in register i+4. At
	// the end, registers 0 to 3 hold the sums of the first query, 4 to 7 those of the
	// second.
	sums := func(q int) vec { return vec(q * perPair / 2) }
	addLines := func(lines int) {
		// The words of up to four queries for both lines, then those of two more.
		words := []vec{first, second}
		next := []vec{both, more}
		f.loadWords(width, tileAt, words[0])
		if lines == 2 {
			f.loadWords(width, tileAt, next[0])
		} else {
			f.clear(next[0], 2)
		}
		for p := range vec(width / 2) {
			zip := []string{"VZIP1", "VZIP2"}[p%2]
			f.op("%s %v.S4, %v.S4, %v.S4", zip, next[p/2], words[p/2], pairs+p)
		}
		for i := range vec(4) {
			f.op("FMOVQ %d(%v), F%d", 16*i, tileData, int(first))
			other := second
			if lines == 2 {
				f.op("FMOVQ %d(%v), F%d", lineBytes+16*i, tileData, int(second))
			} else {
				other = first // the words of the queries for it are 0
			}
			f.op("VZIP1 %v.S4, %v.S4, %v.S4", other, first, both)
			f.op("VZIP2 %v.S4, %v.S4, %v.S4", other, first, second)
			for p := range vec(width / 2) {
				f.three(usmmla, perPair*p+i, both, pairs+p)
				f.three(usmmla, perPair*p+i+4, second, pairs+p)
			}
		}
		for i := range lines {
			f.prefetch(i*lineBytes, tileAhead)
		}
		f.op("ADD $%d, %v, %[2]v", lines*lineBytes, tileAhead)
		f.op("ADD $%d, %v, %[2]v", lines*lineBytes, tileData)
	}
	f.wholeBlock(width, func() { f.clear(0, width/2*perPair) }, func() {
		f.op("LSR $1, %v, %v", tileLines, tileCount)
		f.op("CBZ %v, odd", tileCount)
		f.label("lines")
		addLines(2)
		f.op("SUBS $1, %v, %[1]v", tileCount)
		f.op("BNE lines")
		f.label("odd")
		f.op("TBZ $0, %v, sum", tileLines)
		addLines(1)
		f.label("sum")
		for p := range vec(width / 2) {
			for i := range vec(4) {
				sum := perPair*p + i
				f.op("VUZP1 %v.S4, %v.S4, %v.S4", sum+4, sum, both)
				f.op("VUZP2 %v.S4, %v.S4, %[1]v.S4", sum+4, sum)
				f.copyVec(both, sum)
			}
		}
	}, sums)
	return f
}
