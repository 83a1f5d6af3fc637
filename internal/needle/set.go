package needle

import (
	"encoding/base64"
	"encoding/binary"
	"hash/maphash"
	"math/bits"
)

const (
	// MinBytes is the minimum length of a needle. Shorter needles would be found by chance.
	MinBytes = 16
	// minDistinct is the minimum number of different bytes in a needle. Needles with fewer,
	// such as zeros, occur in many files.
	minDistinct = 4

	anchorBytes = 8
	groupBytes  = 4  // bytes of a needle in a line of a block
	lineBytes   = 64 // bytes from a group to the next one
)

// layout is how the bytes of a needle lie in a file.
type layout uint8

const (
	contiguous layout = iota
	interleaved
	layouts
)

// entry is a needle of a Set.
type entry struct {
	sum    uint64 // of all bytes of the needle
	tag    uint32
	at     uint32 // where the anchor begins in the needle
	length uint32
	next   int32 // the next entry with the same anchor, -1: none
}

// Set is a set of needles. Needles are added first; after that, the set is safe for
// concurrent use.
type Set struct {
	seed    maphash.Seed
	entries [layouts][]entry
	first   [layouts]map[uint64]int32 // by anchor
	filter  [layouts][]uint64         // a bit for each hash of an anchor
	shift   [layouts]uint             // see hashAnchor
	span    int                       // the most bytes of a file that a needle covers
}

// New returns an empty set.
func New() *Set {
	s := &Set{seed: maphash.MakeSeed()}
	for l := range s.first {
		s.first[l] = map[uint64]int32{}
	}
	return s
}

// Searchable reports whether data can be a needle: it is long enough and not almost
// uniform.
func Searchable(data []byte) bool { return len(data) >= MinBytes && distinct(data) >= minDistinct }

// Len returns the number of needles.
func (s *Set) Len() int { return len(s.entries[contiguous]) + len(s.entries[interleaved]) }

// Add adds data as a contiguous needle. Hits of it have the tag. It does nothing if data
// is not Searchable.
func (s *Set) Add(data []byte, tag uint32) { s.add(contiguous, data, tag) }

// AddInterleaved adds data, padded with zeros to a multiple of four bytes, as an
// interleaved needle.
func (s *Set) AddInterleaved(data []byte, tag uint32) {
	if pad := -len(data) & (groupBytes - 1); pad > 0 {
		data = append(append(make([]byte, 0, len(data)+pad), data...), make([]byte, pad)...)
	}
	s.add(interleaved, data, tag)
}

// AddBase64 adds the base64 text of data: three needles, one for each position of data
// in the groups of three bytes that base64 encodes. Bytes at the ends that share a group
// with other bytes are left out.
func (s *Set) AddBase64(data []byte, tag uint32) {
	if !Searchable(data) {
		return
	}
	for skip := range 3 {
		part := data[skip:]
		part = part[:len(part)/3*3]
		s.Add([]byte(base64.StdEncoding.EncodeToString(part)), tag)
	}
}

func (s *Set) add(l layout, data []byte, tag uint32) {
	if !Searchable(data) {
		return
	}
	step := 1
	if l == interleaved {
		step = groupBytes
	}
	at := anchorOf(data, step)
	anchor := binary.LittleEndian.Uint64(data[at:])
	sum := maphash.Bytes(s.seed, data)
	head, ok := s.first[l][anchor]
	if !ok {
		head = -1
	}
	for i := head; i >= 0; i = s.entries[l][i].next {
		if e := &s.entries[l][i]; e.sum == sum && e.tag == tag {
			return
		}
	}
	s.first[l][anchor] = int32(len(s.entries[l])) //nolint:gosec // a set has far fewer than 2^31 needles
	s.entries[l] = append(s.entries[l], entry{sum: sum, tag: tag, at: uint32(at), length: uint32(len(data)), next: head})
	s.span = max(s.span, spanOf(l, len(data)))
	s.filter[l] = nil
}

// spanOf returns the bytes of a file from the first to the last byte of a needle.
func spanOf(l layout, length int) int {
	if l == interleaved {
		return (length/groupBytes-1)*lineBytes + groupBytes
	}
	return length
}

// anchorOf returns where the eight bytes begin that have the most different values.
// These are rarer in files than others. It tries every step-th position.
func anchorOf(data []byte, step int) int {
	best, most := 0, 0
	for at := 0; at+anchorBytes <= len(data); at += step {
		if n := distinct(data[at : at+anchorBytes]); n > most {
			best, most = at, n
		}
		if most == anchorBytes {
			break
		}
	}
	return best
}

// distinct returns the number of different bytes in data.
func distinct(data []byte) int {
	var seen [4]uint64
	for _, b := range data {
		seen[b>>6] |= 1 << (b & 63)
	}
	n := 0
	for _, word := range seen {
		n += bits.OnesCount64(word)
	}
	return n
}

// Prepare makes the set ready for searching.
func (s *Set) Prepare() {
	for l := range s.filter {
		if n := len(s.first[l]); n > 0 && s.filter[l] == nil {
			width := min(max(bits.Len(uint(n))+8, 15), 26) // at most one bit in 256 is set, or one in 16 of very many
			s.shift[l] = uint(64 - width)
			s.filter[l] = make([]uint64, 1<<(width-6))
			for anchor := range s.first[l] {
				h := s.hashAnchor(layout(l), anchor)
				s.filter[l][h>>6] |= 1 << (h & 63)
			}
		}
	}
}

func (s *Set) hashAnchor(l layout, anchor uint64) uint64 {
	return anchor * 0x9e3779b97f4a7c15 >> s.shift[l]
}
