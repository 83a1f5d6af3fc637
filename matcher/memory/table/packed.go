package table

import (
	"encoding/binary"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// packedMax is the maximum size of the packed rows of a list, in bytes. A list with more
// is large.
const packedMax = 2048

// packedRows are the rows of a list that is not large: the number of accounts, each
// account with its number of live rows, then the differences of the ascending row
// numbers, all as uvarints. They never change.
type packedRows []byte

// next returns the first number, and the rest.
func (p packedRows) next() (uint32, packedRows) {
	if len(p) > 0 && p[0] < 0x80 {
		return uint32(p[0]), p[1:]
	}
	x, width := binary.Uvarint(p)
	return uint32(x), p[width:]
}

// tally returns the number of live rows by account.
func (p packedRows) tally() Tally {
	if len(p) == 0 {
		return nil
	}
	n, p := p.next()
	t := make(Tally, n)
	for i := range t {
		var rows uint32
		t[i].account, p = p.next()
		rows, p = p.next()
		t[i].rows = int(rows)
	}
	return t
}

// rows returns the rows in ascending order.
func (p packedRows) rows() []uint32 {
	if len(p) == 0 {
		return []uint32{}
	}
	n, p := p.next()
	for range 2 * n {
		_, p = p.next()
	}
	count := 0
	for _, b := range p {
		if b < 0x80 { // the last byte of a number
			count++
		}
	}
	rows := make([]uint32, 0, count)
	for row := uint32(0); len(p) > 0; {
		var step uint32
		step, p = p.next()
		row += step
		rows = append(rows, row)
	}
	return rows
}

// appendPacked appends the packed form of rows, which ascend.
func appendPacked(dst []byte, t Tally, rows []uint32) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(t)))
	for _, a := range t {
		dst = binary.AppendUvarint(dst, uint64(a.account))
		dst = binary.AppendUvarint(dst, uint64(a.rows))
	}
	last := uint32(0)
	for _, row := range rows {
		dst = binary.AppendUvarint(dst, uint64(row-last))
		last = row
	}
	return dst
}

// members are the rows of a list in a form that can be changed: in rows, or in bitmap if
// the list is large. A large list stays large.
type members struct {
	rows   []uint32 // in ascending order
	bitmap *roaring.Bitmap
	tally  Tally // counts the live rows
}

// add adds a row.
func (m *members) add(row uint32) {
	n := len(m.rows)
	switch {
	case m.bitmap != nil:
	case n == 0 || m.rows[n-1] < row:
		m.rows = append(m.rows, row)
		return
	case n > packedMax: // to insert into so many rows would take long
		m.enlarge()
	default:
		if at, found := slices.BinarySearch(m.rows, row); !found {
			m.rows = slices.Insert(m.rows, at, row)
		}
		return
	}
	m.bitmap.Add(row)
}

// addMany adds rows, which ascend and are new.
func (m *members) addMany(rows []uint32) {
	if m.bitmap == nil && len(m.rows)+len(rows) > packedMax {
		m.enlarge()
	}
	switch n := len(m.rows); {
	case m.bitmap != nil:
		m.bitmap.AddMany(rows)
	case n == 0 || m.rows[n-1] < rows[0]:
		m.rows = append(m.rows, rows...)
	default:
		m.rows = append(m.rows, rows...)
		slices.Sort(m.rows)
	}
}

// merge adds the rows of other, which has none of the rows of m. other must not be used
// after that.
func (m *members) merge(other *members) {
	m.tally.merge(other.tally)
	switch {
	case other.bitmap == nil:
		m.addMany(other.rows)
	case m.bitmap == nil:
		rows := m.rows
		m.bitmap, m.rows = other.bitmap, nil
		m.bitmap.AddMany(rows)
	default:
		m.bitmap.Or(other.bitmap)
	}
}

// enlarge makes the list large.
func (m *members) enlarge() { m.bitmap, m.rows = roaring.BitmapOf(m.rows...), nil }

// removeChunk removes all rows of the chunk.
func (m *members) removeChunk(index uint32) {
	first := uint64(index) << 16
	if m.bitmap != nil {
		m.bitmap.RemoveRange(first, first+ChunkRowsMax)
		return
	}
	m.rows = slices.DeleteFunc(m.rows, func(row uint32) bool { return row>>16 == index })
}

// unpackList returns the rows of a list in a form that can be changed. It copies what
// readers use. The caller must hold the lock, at least for reading.
func (t *Tables) unpackList(l *List, ordinal uint32) *members {
	if large := t.large[ordinal]; large != nil {
		return &members{bitmap: large.bitmap.Clone(), tally: slices.Clone(large.tally)}
	}
	p := l.packed()
	return &members{rows: p.rows(), tally: p.tally()}
}

// packList makes m the rows of a list. m must not be changed after that. The caller must
// hold the lock.
func (t *Tables) packList(l *List, ordinal uint32, m *members) {
	if m.bitmap == nil && len(m.rows) == 0 && len(m.tally) == 0 {
		l.setPacked(nil)
		return
	}
	if m.bitmap == nil && len(m.rows) <= packedMax {
		if t.packing = appendPacked(t.packing[:0], m.tally, m.rows); len(t.packing) <= packedMax {
			l.setPacked(slices.Clip(slices.Clone(t.packing)))
			return
		}
	}
	if m.bitmap == nil {
		m.enlarge()
	}
	l.setPacked(nil)
	t.large[ordinal] = m
}
