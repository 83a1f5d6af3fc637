package synth

import (
	"encoding/binary"
	"math"

	"nearside/matcher"
)

// Kind is the distribution of the rows of a set.
type Kind uint8

// The kinds.
const (
	Uniform Kind = iota
	Faces
)

// String returns "uniform" or "faces".
func (k Kind) String() string { return [...]string{"uniform", "faces"}[k] }

// Set is a seeded set of rows and of queries. It is read-only and safe for
// concurrent use.
type Set struct {
	kind     Kind
	seed     uint64
	version  *matcher.Version
	identity []uint32 // person of each row; nil for uniform rows
	persons  int
	rotation rotation
	mean     []float32
	spread   []float32 // standard deviation of a centre's coordinates, unrotated
}

// New returns a set of n rows of a descriptor version.
func New(kind Kind, seed uint64, v *matcher.Version, n int) *Set {
	s := &Set{kind: kind, seed: seed, version: v}
	if kind == Uniform {
		return s
	}
	s.rotation = newRotation(seed, v.Length)
	s.mean, s.spread = shape(seed, v.Length)
	r := newRandom(seed, tagPictures)
	s.identity = make([]uint32, n)
	for i := 0; i < n; s.persons++ {
		for range min(1+r.below(picturesMax), n-i) {
			s.identity[i] = uint32(s.persons)
			i++
		}
	}
	for i := n - 1; i > 0; i-- { // shuffles the rows, so that pictures of a person are not consecutive
		j := r.below(i + 1)
		s.identity[i], s.identity[j] = s.identity[j], s.identity[i]
	}
	return s
}

// The tags of random generators. Each kind of number has a different tag, so that no two
// kinds come from the same generator.
const (
	tagPictures = iota
	tagRow
	tagQuery
	tagCentre
	tagRotation
	tagMean
)

// Row writes row i to dst, which must have the version's size.
func (s *Set) Row(dst []byte, i int) {
	r := newRandom(s.seed, tagRow, uint64(i))
	if s.kind == Uniform {
		s.uniform(dst, &r)
		return
	}
	s.picture(dst, &r, uint64(s.identity[i]))
}

// Person returns the person of row i, who is in picture i of a set of faces.
func (s *Set) Person(i int) int { return int(s.identity[i]) }

// Query writes query i to dst. For faces, even queries are new pictures of persons in the
// set, and odd queries are pictures of other persons.
func (s *Set) Query(dst []byte, i int) {
	r := newRandom(s.seed, tagQuery, uint64(i))
	switch {
	case s.kind == Uniform:
		s.uniform(dst, &r)
	case i%2 == 0:
		s.picture(dst, &r, uint64(s.identity[r.below(len(s.identity))]))
	default:
		s.picture(dst, &r, uint64(s.persons+i))
	}
}

func (s *Set) uniform(dst []byte, r *random) {
	if s.version.Encoding == matcher.Uint8 {
		for ; len(dst) >= 8; dst = dst[8:] {
			binary.LittleEndian.PutUint64(dst, r.next())
		}
		for i := range dst {
			dst[i] = byte(r.next())
		}
		return
	}
	for ; len(dst) >= 4; dst = dst[4:] {
		putFloat(dst, float32(int64(r.next())>>40)*0x1p-23) // [-1, 1)
	}
}

func putFloat(dst []byte, x float32) { binary.LittleEndian.PutUint32(dst, math.Float32bits(x)) }
