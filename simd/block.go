package simd

import (
	"encoding/binary"
	"math"
)

// BlockRows is the number of rows of an interleaved block.
const BlockRows = 16

// line is the size in bytes of the smallest part of a block: four bytes of each
// of its rows, side by side, as one register of 64 bytes holds them.
const line = 4 * BlockRows

// linesU8 returns the lines of a block: one for every four dimensions.
func linesU8(dims int) int { return (dims + 3) / 4 }

// BlockBytesU8 returns the size in bytes of a block of uint8 rows, which is that
// of 16 rows of the next multiple of four dimensions.
func BlockBytesU8(dims int) int { return line * linesU8(dims) }

// BlockBytesF32 returns the size in bytes of a block of float32 rows, which is
// that of 16 rows.
func BlockBytesF32(dims int) int { return line * dims }

// PutRowU8 writes row i (0 to 15) of a block, and zeros behind it where dims is
// no multiple of four. It touches no byte of another row, so that those may be
// read meanwhile. It panics when block is no block of such rows.
func PutRowU8(block []byte, i int, row []uint8) {
	checkBlock(len(block), BlockBytesU8(len(row)), i)
	full := len(row) &^ 3
	for j := 0; j < full; j += 4 {
		copy(block[j*BlockRows+4*i:][:4], row[j:])
	}
	if full < len(row) {
		last := block[full*BlockRows+4*i:][:4]
		clear(last[copy(last, row[full:]):])
	}
}

// GetRowU8 reads row i (0 to 15) of a block into row, whose length tells the
// dimensions. It panics when block is no block of such rows.
func GetRowU8(row []uint8, block []byte, i int) {
	checkBlock(len(block), BlockBytesU8(len(row)), i)
	for j := 0; j < len(row); j += 4 {
		copy(row[j:], block[j*BlockRows+4*i:][:4])
	}
}

// PutRowF32 writes row i (0 to 15) of a block and touches no byte of another
// row. It panics when block is no block of such rows.
func PutRowF32(block []byte, i int, row []float32) {
	checkBlock(len(block), BlockBytesF32(len(row)), i)
	for j, v := range row {
		binary.LittleEndian.PutUint32(block[j*line+4*i:], math.Float32bits(v))
	}
}

// GetRowF32 reads row i (0 to 15) of a block into row, whose length tells the
// dimensions. It panics when block is no block of such rows.
func GetRowF32(row []float32, block []byte, i int) {
	checkBlock(len(block), BlockBytesF32(len(row)), i)
	for j := range row {
		row[j] = math.Float32frombits(binary.LittleEndian.Uint32(block[j*line+4*i:]))
	}
}

// RowConstU8 returns the constant of a row r for squared L2 distances,
// |r|^2 - 256*sum(r). ScanU8 says what it is for. It is in [-2^28, 0].
func RowConstU8(row []uint8) int32 {
	var sum int32
	for _, r := range row {
		sum += int32(r) * (int32(r) - 256)
	}
	return sum
}
