package simd

// A wide tile compares more than narrowMax queries at once, by multiplying matrices. Its
// registers hold 16 rows of 64 bytes. So the queries of a wide group lie as follows: for
// every 16 lines of a block, the 16 words of each query for these lines, query after
// query.
//
// If the number of lines is no multiple of 16, the last 16 lines of a block overlap those
// before them, and the queries have zeros for the lines that are repeated. A block of
// less than 16 lines has smaller registers. Its queries still take the place of 16 words.

// wideLines is the number of lines of a block that a wide tile multiplies at once.
const wideLines = 16

// laneQueries is the number of queries of a register.
const laneQueries = 16

// wideFuncs do the work of TileU8 for count queries, more than narrowMax, after its
// checks. The index is the number of registers that hold queries. If pairs is 1, there
// are at most two blocks. A kernel prefetches the blocks of next in ahead steps of eight
// lines each, at most share steps for each register of rows.
type wideFuncs [GroupMax/laneQueries + 1]func(config *tileConfig, queries []uint32, count, pairs int,
	blocks *[TileBlocks][]byte, consts *[TileBlocks][]int32, limits *[GroupMax]int32,
	values *[GroupMax][TileRows]int32, masks *[GroupMax]uint64, next *[TileBlocks][]byte, ahead, share int)

// tileConfig is a configuration of the tile registers, as LDTILECFG reads it.
type tileConfig = [64]byte

// lanes returns the number of registers that hold count queries.
func lanes(count int) int { return (count + laneQueries - 1) / laneQueries }

// wideWords returns the number of words of a wide group.
func wideWords(count, lines int) int {
	return count * wideLines * ((lines + wideLines - 1) / wideLines)
}

// fillWide copies the words of the single queries first to first+count-1 into their
// group, and writes its configuration.
func (q *QueriesU8) fillWide(packed []uint32, first, count int) {
	for at := 0; at < q.lines; at += wideLines {
		from := max(0, min(at, q.lines-wideLines)) // the first line of the register
		for i := range count {
			copy(packed[i*wideLines+at-from:][:wideLines-(at-from)], q.single(first + i)[at:])
		}
		packed = packed[count*wideLines:]
	}
	*q.config(first) = wideConfig(count, min(q.lines, wideLines))
}

// config returns the place of the configuration of the group that starts at query first.
func (q *QueriesU8) config(first int) *tileConfig {
	if first+q.width <= q.count {
		return &q.configs[0]
	}
	return &q.configs[1]
}

// wideConfig returns the configuration for count queries and registers with the given
// number of lines of a block. Registers 0 to 3 hold sums, the next one or two hold
// queries, and the rest hold lines.
func wideConfig(count, lines int) tileConfig {
	c := tileConfig{0: 1} // palette 1: eight registers of at most 16 rows of 64 bytes
	set := func(register, rows, rowBytes int) {
		c[16+2*register], c[48+register] = byte(rowBytes), byte(rows)
	}
	n := lanes(count)
	for lane := range n {
		queries := min(laneQueries, count-laneQueries*lane)
		for b := range TileBlocks / n {
			set(lane*TileBlocks/n+b, queries, line)
		}
		set(TileBlocks+lane, queries, 4*lines)
	}
	for register := TileBlocks + n; register < 8; register++ {
		set(register, lines, line)
	}
	return c
}

// tileWide does the work of TileU8 for group g, which is wide.
func (k *Kernel) tileWide(q *QueriesU8, g int, t *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
	first, count := q.Group(g)
	n, pairs, steps, share := lanes(count), (t.count+1)/2, 0, 0
	blocks := next.prefetched()
	if blocks != nil {
		// A kernel loads as many registers of rows as two pairs of blocks have in a
		// pass, or half as many. So all steps are done, evenly spread.
		steps, share = next.count*((q.lines+7)/8), next.count
		if pairs == 1 || n == 1 {
			share *= 2
		}
	}
	k.wideU8[n](q.config(first), q.group(g), count, pairs, &t.blocks, &t.consts, limits, &hits.Values, &hits.Masks, blocks, steps, share)
}
