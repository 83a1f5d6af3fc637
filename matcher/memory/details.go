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

// hashID returns a hash that is 0 only for the absent ID.
func hashID(id matcher.ID) uint32 {
	if id.IsZero() {
		return 0
	}
	return hashString(string(id[:]))
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

// details are the fields of a row that no column has. Strings and ordinals
// point into the arena.
type details struct {
	externalID, userData, avatar []byte
	eventID                      matcher.ID
	lists                        []byte // uvarint ordinals of m.lists
}

// appendDetails appends the record of o; lists are ordinals.
func appendDetails(dst []byte, o *matcher.Object, lists []uint32) []byte {
	for _, s := range []string{o.ExternalID, o.UserData, o.Avatar} {
		dst = binary.AppendUvarint(dst, uint64(len(s)))
		dst = append(dst, s...)
	}
	if o.EventID.IsZero() {
		dst = append(dst, 0)
	} else {
		dst = append(append(dst, 1), o.EventID[:]...)
	}
	dst = binary.AppendUvarint(dst, uint64(len(lists)))
	for _, l := range lists {
		dst = binary.AppendUvarint(dst, uint64(l))
	}
	return dst
}

// details reads the record of row i.
func (v *view) details(i int) details {
	d, _ := v.parse(i)
	return d
}

// record returns the bytes of the record of row i, which belong to the arena.
func (v *view) record(i int) []byte {
	_, record := v.parse(i)
	return record
}

func (v *view) parse(i int) (d details, record []byte) {
	at := v.chunk.details[i]
	b := v.blocks[at>>16][at&0xffff:]
	whole := b
	for _, field := range []*[]byte{&d.externalID, &d.userData, &d.avatar} {
		n, width := binary.Uvarint(b)
		*field = b[width : width+int(n)]
		b = b[width+int(n):]
	}
	if b[0] == 1 {
		d.eventID = matcher.ID(b[1:17])
		b = b[16:]
	}
	d.lists = b[1:]
	rest := d.lists
	n, width := binary.Uvarint(rest)
	for rest = rest[width:]; n > 0; n-- {
		_, width = binary.Uvarint(rest)
		rest = rest[width:]
	}
	d.lists = d.lists[:len(d.lists)-len(rest)]
	return d, whole[:len(whole)-len(rest)]
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
