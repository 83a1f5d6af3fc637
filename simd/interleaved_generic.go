package simd

// A kernel reads all rows of a block, including rows that another goroutine may
// be writing. It computes values for those rows that the caller ignores. The race
// detector does not look into assembly; norace excludes the reference, too.

//go:norace
func scanU8Generic(query []uint32, blocks []byte, consts []int32, limit int32, values []int32, masks []uint16) {
	size := len(query) * line
	for b := range masks {
		masks[b] = blockU8(query, 1, blocks[b*size:][:size], consts[b*BlockRows:], limit, values[b*BlockRows:])
	}
}

//go:norace
func tileU8Generic(queries []uint32, blocks *[TileBlocks][]byte, consts *[TileBlocks][]int32,
	limits *[NarrowMax]int32, values *[NarrowMax][TileRows]int32, masks *[NarrowMax]uint64, _ *[TileBlocks][]byte,
) {
	width := len(queries) * line / len(blocks[0])
	for q := range width {
		masks[q] = 0
		for b, block := range blocks {
			mask := blockU8(queries[q:], width, block, consts[b], limits[q], values[q][b*BlockRows:])
			masks[q] |= uint64(mask) << (b * BlockRows)
		}
	}
}

// blockU8 computes the values and the mask of one block. The words of the query
// are stride words apart.
//
//go:norace
func blockU8(query []uint32, stride int, block []byte, consts []int32, limit int32, values []int32) (mask uint16) {
	var dots [BlockRows]int32
	for l := range len(block) / line {
		word := query[l*stride]
		q0, q1, q2, q3 := int32(int8(word)), int32(int8(word>>8)), int32(int8(word>>16)), int32(int8(word>>24))
		rows := (*[line]byte)(block[l*line:])
		for i := range dots {
			r := rows[4*i:][:4]
			dots[i] += q0*int32(r[0]) + q1*int32(r[1]) + q2*int32(r[2]) + q3*int32(r[3])
		}
	}
	for i, dot := range dots {
		values[i] = consts[i] - 2*dot
		if values[i] <= limit {
			mask |= 1 << i
		}
	}
	return mask
}
