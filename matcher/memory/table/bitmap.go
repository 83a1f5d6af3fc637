package table

import (
	"github.com/RoaringBitmap/roaring/v2"
)

// Bitmap is a set of row numbers of one origin. A published bitmap never changes.
type Bitmap struct{ rows *roaring.Bitmap }

func newBitmap() *Bitmap { return &Bitmap{roaring.New()} }

// bitmapOf returns a bitmap of the given rows.
func bitmapOf(rows []uint32) *Bitmap { return &Bitmap{roaring.BitmapOf(rows...)} }

// Count returns the number of rows.
func (b *Bitmap) Count() int { return int(b.rows.GetCardinality()) }

// And returns the intersection of b and other.
func (b *Bitmap) And(other *Bitmap) *Bitmap { return &Bitmap{roaring.And(b.rows, other.rows)} }

// Union returns the union of all bitmaps. For a single bitmap it returns that bitmap, not
// a copy.
func Union(bitmaps []*Bitmap) *Bitmap {
	if len(bitmaps) == 1 {
		return bitmaps[0]
	}
	rows := make([]*roaring.Bitmap, len(bitmaps))
	for i, b := range bitmaps {
		rows[i] = b.rows
	}
	return &Bitmap{roaring.FastOr(rows...)}
}

// FillWords sets the bits of the rows in dense, which has one bit for every row.
func (b *Bitmap) FillWords(dense []uint64) { b.rows.WriteDenseTo(dense) }

// denseShare is the inverse of a share of rows. If b has less than 1/denseShare of all
// rows, Words uses a map instead of one bit for every row.
const denseShare = 32

// Words returns a function that returns word w of chunk c, which has one bit for each of
// 64 rows. chunkCount is the number of chunks of the table; all rows of b must be in
// them.
func (b *Bitmap) Words(chunkCount int) func(c, w int) uint64 {
	const perChunk = ChunkRowsMax / 64
	if b.Count()*denseShare < chunkCount*ChunkRowsMax {
		words := map[uint32]uint64{}
		for it := b.Iterate(); it.Next(); {
			for _, row := range it.Rows {
				words[row>>6] |= 1 << (row & 63)
			}
		}
		return func(c, w int) uint64 { return words[uint32(c*perChunk+w)] }
	}
	dense := make([]uint64, chunkCount*perChunk)
	b.FillWords(dense)
	return func(c, w int) uint64 { return dense[c*perChunk+w] }
}

// BitmapIterator reads the rows of a bitmap in ascending order, in batches.
type BitmapIterator struct {
	Rows   []uint32 // the batch that Next read; valid until the next call
	it     roaring.ManyIntIterable
	buffer [128]uint32
}

// Iterate returns an iterator positioned before the first row.
func (b *Bitmap) Iterate() *BitmapIterator { return &BitmapIterator{it: b.rows.ManyIterator()} }

// Next reads the next batch of rows. It reports whether there were any.
func (i *BitmapIterator) Next() bool {
	i.Rows = i.buffer[:i.it.NextMany(i.buffer[:])]
	return len(i.Rows) > 0
}

func (b *Bitmap) clone() *Bitmap { return &Bitmap{b.rows.Clone()} }

func (b *Bitmap) add(row uint32) { b.rows.Add(row) }

func (b *Bitmap) addMany(rows []uint32) { b.rows.AddMany(rows) }

// hasChunk reports whether b has any row of the chunk.
func (b *Bitmap) hasChunk(index uint32) bool {
	first := uint64(index) << 16
	return b.rows.IntersectsWithInterval(first, first+ChunkRowsMax)
}

// removeChunk removes all rows of the chunk.
func (b *Bitmap) removeChunk(index uint32) {
	first := uint64(index) << 16
	b.rows.RemoveRange(first, first+ChunkRowsMax)
}
