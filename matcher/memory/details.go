package memory

import (
	"encoding/binary"

	"nearside/matcher"
)

// hashString returns a hash that is 0 only for the absent (empty) string.
// Columns of hashes find strings without a pointer per row; who finds one
// compares the string itself. Segments keep the hashes, so they are the same in
// every process: FNV-1a.
func hashString(s string) uint32 {
	if s == "" {
		return 0
	}
	h := uint32(2166136261)
	for i := range len(s) {
		h = (h ^ uint32(s[i])) * 16777619
	}
	return max(1, h)
}

// arenaBlock is the size of a block of details; a longer record has a block of
// its own.
const arenaBlock = 1 << 16

// arena holds the fields that no column has, as one record per row. Blocks are
// only appended, and only their free ends are written: a reader's own slice of
// them stays right.
type arena struct {
	blocks [][]byte
	used   int // bytes of the last block
}

// add stores record and returns where: block number and offset in it.
func (a *arena) add(record []byte) uint32 {
	last := len(a.blocks) - 1
	if last < 0 || len(a.blocks[last])-a.used < len(record) {
		size := arenaBlock
		if last < 1 { // small tables stay small
			size = arenaBlock / 16
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

// details are the fields of a row that no column has, but for those of events
// alone. Strings and ordinals point into the arena.
type details struct {
	externalID, userData, avatar []byte
	eventID                      matcher.ID
	lists                        []byte // uvarint ordinals of m.lists
}

// appendDetails appends the record of o: its texts, then the ordinals of lists,
// or the tags of an event.
func appendDetails(dst []byte, o *matcher.Object, lists []uint32) []byte {
	var texts [textsMax]string
	for _, s := range textsOf(texts[:0], o) {
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

// text takes a text off b.
func text(b []byte) (s, rest []byte) {
	n, width := binary.Uvarint(b)
	end := width + int(n)
	return b[width:end:end], b[end:]
}

// at returns the record of row i and what comes behind it.
func (v *view) at(i int) []byte {
	at := v.chunk.details[i]
	return v.blocks[at>>16][at&0xffff:]
}

// text returns a text of the record of row i.
func (v *view) text(i, field int) []byte {
	s, rest := text(v.at(i))
	for ; field > 0; field-- {
		s, rest = text(rest)
	}
	return s
}

// details reads the record of row i.
func (v *view) details(i int) (d details) {
	b := v.at(i)
	if v.layout.texts > 0 {
		d.externalID, b = text(b)
		d.userData, b = text(b)
	}
	switch v.layout.origin {
	case matcher.Faces:
		var id []byte
		if id, b = text(b); len(id) > 0 {
			d.eventID = matcher.ID(id)
		}
		d.avatar, d.lists = text(b)
	case matcher.Attributes:
		d.lists = b
	}
	return d
}

// record returns the bytes of the record of row i, which belong to the arena.
func (v *view) record(i int) []byte {
	b := v.at(i)
	rest := b
	for range v.layout.texts {
		_, rest = text(rest)
	}
	n, width := binary.Uvarint(rest)
	for rest = rest[width:]; n > 0; n-- {
		if v.layout.origin == matcher.Events {
			_, rest = text(rest)
			continue
		}
		_, width = binary.Uvarint(rest)
		rest = rest[width:]
	}
	return b[:len(b)-len(rest)]
}

// ordinals calls yield with each list ordinal of d.
func (d *details) ordinals(yield func(uint32) bool) {
	b := d.lists
	n, width := binary.Uvarint(b)
	for b = b[width:]; n > 0; n-- {
		ordinal, width := binary.Uvarint(b)
		if !yield(uint32(ordinal)) {
			return
		}
		b = b[width:]
	}
}
