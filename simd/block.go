package simd

import "encoding/binary"

// BlockRows is the number of rows of an interleaved block.
const BlockRows = 16

// line is the size in bytes of a line of a block: four bytes of each of its 16
// rows, side by side. It fills one register of 64 bytes.
const line = 4 * BlockRows

// linesU8 returns the number of lines of a block: one for every four dimensions.
func linesU8(dims int) int { return (dims + 3) / 4 }

// BlockBytesU8 returns the size in bytes of a block of uint8 rows. Each row is
// padded to a multiple of four dimensions.
func BlockBytesU8(dims int) int { return line * linesU8(dims) }

// PutRowU8 writes row i (0 to 15) of a block and pads it with zeros to a multiple
// of four dimensions. It writes no byte of another row, so other rows may be read
// at the same time. It panics if i is out of range or if the size of block does
// not fit rows of len(row) dimensions.
func PutRowU8(block []byte, i int, row []uint8) {
	checkBlock(len(block), BlockBytesU8(len(row)), i)
	block = block[4*i:]
	// Four bytes in one move: copy would call a function for each group.
	for ; len(row) >= 4; row = row[4:] {
		binary.NativeEndian.PutUint32(block, binary.NativeEndian.Uint32(row))
		block = block[min(line, len(block)):]
	}
	if len(row) > 0 {
		clear(block[copy(block[:4], row):4])
	}
}

// GetRowU8 copies row i (0 to 15) of a block into row, whose length is the number
// of dimensions. It panics if i is out of range or if the size of block does not
// fit rows of len(row) dimensions.
func GetRowU8(row []uint8, block []byte, i int) {
	checkBlock(len(block), BlockBytesU8(len(row)), i)
	for j := 0; j < len(row); j += 4 {
		copy(row[j:], block[j*BlockRows+4*i:][:4])
	}
}

// RowConstU8 returns the constant of a row r for squared L2 distances,
// |r|^2 - 256*sum(r), which is in [-2^28, 0]. ScanU8 explains its use.
func RowConstU8(row []uint8) int32 {
	var sum int32
	for _, r := range row {
		sum += int32(r) * (int32(r) - 256)
	}
	return sum
}
