package table

import (
	"encoding/binary"
	"unsafe"

	"nearside/matcher"
)

// HashString returns a hash that is 0 only for the absent (empty) string. Columns of
// hashes find strings without a pointer per row; after a match, the caller must compare
// the string itself. Segments store the hashes, so they must be the same in every
// process: FNV-1a.
func HashString(s string) uint32 {
	if s == "" {
		return 0
	}
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return max(1, h)
}

// ArenaBlock is the size of a block of records, in bytes. A longer record has a block of
// its own.
const ArenaBlock = 1 << 16

// Arena holds the fields that have no column, as one record per row. Existing blocks stay
// where they are, and only their unused ends are written. A reader's copy of the block
// list therefore stays valid.
type Arena struct {
	blocks [][]byte
	used   int // bytes used in the last block
}

// addRecord stores record and returns its position: the block number in the upper 16 bits
// and the offset in the block in the lower 16.
func (a *Arena) addRecord(record []byte) uint32 {
	last := len(a.blocks) - 1
	if last < 0 || len(a.blocks[last])-a.used < len(record) {
		size := ArenaBlock
		if last < 1 { // keep small tables small
			size = ArenaBlock / 16
		}
		size = max(size, len(record))
		a.blocks = append(a.blocks, make([]byte, size))
		a.used = 0
		last++
	}
	offset := a.used
	a.used += copy(a.blocks[last][offset:], record)
	return uint32(last)<<16 | uint32(offset)
}

// RestoreArena returns an arena of blocks that RecordBlocks returned before. sizes has
// the size of each block as 4 bytes, little-endian, and records has the contents of all
// blocks, one after another. More records can be added only if records has ArenaBlock
// bytes of spare capacity.
func RestoreArena(sizes, records []byte) *Arena {
	a := &Arena{}
	for len(sizes) > 0 {
		a.used = int(binary.LittleEndian.Uint32(sizes))
		if sizes = sizes[4:]; len(sizes) > 0 {
			a.blocks = append(a.blocks, records[:a.used:a.used])
		} else { // the last block, which may receive more records
			a.blocks = append(a.blocks, records[:max(a.used, ArenaBlock)])
		}
		records = records[a.used:]
	}
	return a
}

// RecordBlocks returns the memory of the records of the rows of v. That memory does not
// change any more.
func (v *View) RecordBlocks() (blocks [][]byte) {
	// Records are stored in row order, so the record of the last row ends this view's
	// part of the arena.
	last := v.records[v.Rows-1]
	end := int(last&0xffff) + len(v.record(v.Rows-1))
	blocks = append(blocks, v.blocks[:last>>16]...)
	return append(blocks, v.blocks[last>>16][:end:end])
}

// appendRecord appends the record of o: its texts, followed by the ordinals of its lists
// or, for an event, by its tags.
func appendRecord(dst []byte, o *matcher.Object, lists []uint32) []byte {
	var texts [textsBuffer]string
	for _, s := range Shapes[o.Origin].appendTexts(texts[:0], o) {
		dst = appendText(dst, s)
	}
	if o.Origin == matcher.Events {
		return appendTags(dst, o.Event)
	}
	dst = binary.AppendUvarint(dst, uint64(len(lists)))
	for _, l := range lists {
		dst = binary.AppendUvarint(dst, uint64(l))
	}
	return dst
}

func appendText(dst []byte, s string) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s)))
	return append(dst, s...)
}

// textBounds returns where the first text of b starts and ends.
func textBounds(b []byte) (start, end int) {
	if n := int(b[0]); n < 0x80 {
		return 1, 1 + n
	}
	n, width := binary.Uvarint(b)
	return width, width + int(n)
}

// cutText returns the first text of b, and the bytes after it.
func cutText(b []byte) (s, rest []byte) {
	start, end := textBounds(b)
	return b[start:end:end], b[end:]
}

// RecordFrom returns the record of row i and everything after it in its block.
func (v *View) RecordFrom(i int) []byte {
	at := v.records[i]
	return v.blocks[at>>16][at&0xffff:]
}

// textBytes returns the total length of the texts of row i, in bytes.
func (v *View) textBytes(i int) (bytes int) {
	rest := v.RecordFrom(i)
	for range v.Layout.textCount() {
		var s []byte
		s, rest = cutText(rest)
		bytes += len(s)
	}
	return bytes
}

// Text returns the text with index field in the record of row i.
func (v *View) Text(i, field int) []byte {
	s, rest := cutText(v.RecordFrom(i))
	for ; field > 0; field-- {
		s, rest = cutText(rest)
	}
	return s
}

// SharedText is Text as a string that shares the memory of the record. It is valid as long
// as the snapshot that v belongs to.
func (v *View) SharedText(i, field int) string {
	text := v.Text(i, field)
	return unsafe.String(unsafe.SliceData(text), len(text))
}

// Meta returns the text of the meta of row i, which must be an event.
func (v *View) Meta(i int) []byte { return v.Text(i, len(v.Layout.Texts)) }

// setFields sets the plain fields of obj from row i. It returns the rest of the record.
func (v *View) setFields(obj *matcher.Object, i int) (rest []byte) {
	for s, f := range v.Layout.Smalls {
		f.SetSmall(obj, v.Smalls[s][i])
	}
	rest = v.RecordFrom(i)
	for _, f := range v.Layout.Texts {
		var s []byte
		switch s, rest = cutText(rest); {
		case len(s) == 0:
		case f.Kind == matcher.UUIDField:
			f.SetUUID(obj, matcher.ID(s))
		default:
			f.SetText(obj, string(s))
		}
	}
	return rest
}

// record returns the bytes of the record of row i. They belong to the arena.
func (v *View) record(i int) []byte {
	b := v.RecordFrom(i)
	rest := b
	for range v.Layout.textCount() {
		_, rest = cutText(rest)
	}
	n, width := binary.Uvarint(rest)
	for rest = rest[width:]; n > 0; n-- {
		if v.Layout.Origin == matcher.Events {
			_, rest = cutText(rest)
			continue
		}
		_, width = binary.Uvarint(rest)
		rest = rest[width:]
	}
	return b[:len(b)-len(rest)]
}

// Ordinals calls yield with the ordinal of each list of row i. Rows of events have no
// lists.
func (v *View) Ordinals(i int) func(yield func(ordinal uint32) bool) {
	return func(yield func(uint32) bool) {
		if v.Layout.Origin == matcher.Events {
			return
		}
		rest := v.RecordFrom(i)
		for range v.Layout.textCount() {
			_, rest = cutText(rest)
		}
		n, width := binary.Uvarint(rest)
		for rest = rest[width:]; n > 0; n-- {
			ordinal, width := binary.Uvarint(rest)
			if !yield(uint32(ordinal)) {
				return
			}
			rest = rest[width:]
		}
	}
}
