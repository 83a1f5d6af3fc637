package simd

// A wide tile compares more than NarrowMax queries at once, by multiplying matrices. Its
// registers hold 16 rows of 64 bytes: 16 queries or 16 lines of a block. The queries of a
// group form up to four lanes of the same even number, at most 16; zeros take the place of
// missing queries at the end. Lane after lane, they lie as follows: for every 16 lines of a
// block, the 16 words of each query for these lines.
//
// If the number of lines is no multiple of 16, the last 16 lines of a block overlap those
// before them, and the queries have zeros for the lines that are repeated. A block of
// less than 16 lines has smaller registers. Its queries still take the place of 16 words.

// wideLines is the number of lines of a block that a wide tile multiplies at once.
const wideLines = 16

// laneMax is the largest number of queries of a lane.
const laneMax = 16

// wideFunc does the work of TileU8 for groups of more than NarrowMax queries, after its
// checks. lane is the number of queries of each lane. All masks are zero. If ahead is not
// zero, the kernel prefetches the beginning of ahead blocks of next after each lane.
type wideFunc func(config *tileConfig, queries []uint32, lane, lanes int,
	blocks *[TileBlocks][]byte, consts *[TileBlocks][]int32, limits *[GroupMax]int32,
	values *[GroupMax][TileRows]int32, masks *[GroupMax]uint64, sums *[laneMax][TileRows]int32, next *[TileBlocks][]byte, ahead int)

// tileConfig is a configuration of the tile registers, as LDTILECFG reads it.
type tileConfig = [64]byte

// lanesOf returns the number of lanes for count queries, and the number of queries of a
// lane.
func lanesOf(count int) (lanes, lane int) {
	lanes = (count + laneMax - 1) / laneMax
	return lanes, ((count+lanes-1)/lanes + 1) &^ 1
}

// wideWords returns the number of words of a wide group.
func wideWords(count, lines int) int {
	lanes, lane := lanesOf(count)
	return lanes * lane * wideLines * ((lines + wideLines - 1) / wideLines)
}

// fillWide copies the words of the single queries first to first+count-1 into their
// group, and writes its configuration. The group has zeros in it.
func (q *QueriesU8) fillWide(packed []uint32, first, count int) {
	_, lane := lanesOf(count)
	for part := 0; part < count; part += lane {
		for at := 0; at < q.lines; at += wideLines {
			from := max(0, min(at, q.lines-wideLines)) // the first line that is multiplied
			for i := range min(lane, count-part) {
				copy(packed[i*wideLines+at-from:][:wideLines-(at-from)], q.single(first + part + i)[at:])
			}
			packed = packed[lane*wideLines:]
		}
	}
	*q.config(first) = wideConfig(lane, min(q.lines, wideLines))
}

// config returns the place of the configuration of the group that starts at query first.
func (q *QueriesU8) config(first int) *tileConfig {
	if first+q.width <= q.count {
		return &q.configs[0]
	}
	return &q.configs[1]
}

// wideConfig returns the configuration for lanes of the given number of queries and for
// up to wideLines lines. Registers 0 to 3 hold sums, 4 holds queries, and 5 to 7 hold
// lines.
func wideConfig(lane, lines int) tileConfig {
	c := tileConfig{0: 1} // palette 1: eight registers of at most 16 rows of 64 bytes
	for register := range 8 {
		rows, rowBytes := lane, line
		switch {
		case register == 4:
			rowBytes = 4 * lines
		case register > 4:
			rows = lines
		}
		c[16+2*register], c[48+register] = byte(rowBytes), byte(rows)
	}
	return c
}

// tileWide does the work of TileU8 for group g, which is wide.
func (k *Kernel) tileWide(q *QueriesU8, g int, t *TileU8, limits *[GroupMax]int32, hits *HitsU8, next *TileU8) {
	first, count := q.Group(g)
	lanes, lane := lanesOf(count)
	blocks, ahead := next.prefetched(), 0
	if blocks != nil {
		ahead = TileBlocks / lanes
	}
	hits.Masks = [GroupMax]uint64{}
	k.wideU8(q.config(first), q.groups[g].packed, lane, lanes, &t.blocks, &t.consts, limits, &hits.Values, &hits.Masks, &hits.sums, blocks, ahead)
}
