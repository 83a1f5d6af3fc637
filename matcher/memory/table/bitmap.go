package table

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// FewRows is the maximum number of rows of a small set. A small set is a sorted slice of
// row numbers. Work on it depends only on the number of its rows, not on the number of
// chunks in which they are.
const FewRows = 4096

// Bitmap is a set of row numbers of one origin. It never changes.
type Bitmap struct {
	few  []uint32        // the rows in ascending order, if rows is nil
	rows *roaring.Bitmap // nil: a small set
}

// bitmapOf returns a set of the given rows. It keeps and sorts the slice.
func bitmapOf(rows []uint32) *Bitmap {
	if len(rows) > FewRows {
		return &Bitmap{rows: roaring.BitmapOf(rows...)}
	}
	if !slices.IsSorted(rows) {
		slices.Sort(rows)
	}
	return &Bitmap{few: slices.Compact(rows)}
}

// Few returns the rows in ascending order if b is a small set. They must not be changed.
func (b *Bitmap) Few() (rows []uint32, ok bool) { return b.few, b.rows == nil }

// Count returns the number of rows.
func (b *Bitmap) Count() int {
	if b.rows == nil {
		return len(b.few)
	}
	return int(b.rows.GetCardinality())
}

// has reports whether b has a row.
func (b *Bitmap) has(row uint32) bool {
	if b.rows == nil {
		_, ok := slices.BinarySearch(b.few, row)
		return ok
	}
	return b.rows.Contains(row)
}

// And returns the intersection of b and other.
func (b *Bitmap) And(other *Bitmap) *Bitmap {
	if b.rows != nil && other.rows != nil {
		return &Bitmap{rows: roaring.And(b.rows, other.rows)}
	}
	if b.rows != nil || other.rows == nil && len(other.few) < len(b.few) {
		b, other = other, b
	}
	both := make([]uint32, 0, len(b.few))
	for _, row := range b.few {
		if other.has(row) {
			both = append(both, row)
		}
	}
	return &Bitmap{few: both}
}

// Union returns the union of all bitmaps. For a single bitmap it returns that bitmap, not
// a copy.
func Union(bitmaps []*Bitmap) *Bitmap {
	if len(bitmaps) == 1 {
		return bitmaps[0]
	}
	var few []uint32
	var large []*roaring.Bitmap
	for _, b := range bitmaps {
		if b.rows == nil {
			few = append(few, b.few...)
		} else {
			large = append(large, b.rows)
		}
	}
	if len(large) == 0 {
		return bitmapOf(few)
	}
	if len(few) > 0 {
		large = append(large, roaring.BitmapOf(few...))
	}
	return &Bitmap{rows: roaring.FastOr(large...)}
}

// FillWords sets the bits of the rows in dense, which has one bit for every row.
func (b *Bitmap) FillWords(dense []uint64) {
	if b.rows != nil {
		b.rows.WriteDenseTo(dense)
		return
	}
	for _, row := range b.few {
		dense[row>>6] |= 1 << (row & 63)
	}
}

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
	Rows   []uint32                // the batch that Next read; valid until the next call
	few    []uint32                // rows of a small set that are not read yet
	it     roaring.ManyIntIterable // nil: a small set
	buffer [128]uint32
}

// Iterate returns an iterator positioned before the first row.
func (b *Bitmap) Iterate() *BitmapIterator {
	if b.rows == nil {
		return &BitmapIterator{few: b.few}
	}
	return &BitmapIterator{it: b.rows.ManyIterator()}
}

// Next reads the next batch of rows. It reports whether there were any.
func (i *BitmapIterator) Next() bool {
	if i.it == nil {
		i.Rows, i.few = i.few, nil
	} else {
		i.Rows = i.buffer[:i.it.NextMany(i.buffer[:])]
	}
	return len(i.Rows) > 0
}
