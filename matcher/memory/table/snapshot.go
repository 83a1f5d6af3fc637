package table

import (
	"slices"

	"nearside/matcher"
)

// View is a chunk at one moment: its first Rows rows, except the dead ones.
type View struct {
	*Chunk
	Rows      int
	Dead      []uint64 // one bit per row, copied when it changes; nil: no row is dead
	Deaths    int
	DeadBytes int64
	blocks    [][]byte // of the chunk's arena
	TagNames  []string // events only: tags that have their own bit, in the order of bits
}

// Alive reports whether row i was not deleted. i must be less than v.Rows.
func (v *View) Alive(i int) bool {
	return v.Dead == nil || v.Dead[i>>6]>>(i&63)&1 == 0
}

// Live returns the number of rows that are not dead.
func (v *View) Live() int { return v.Rows - v.Deaths }

// RowBytes returns the memory that row i needs, in bytes.
func (v *View) RowBytes(i int) int64 {
	return int64(v.Layout.rowOverhead() + v.Versions.descriptorBytes() + len(v.record(i)))
}

// IsIn reports whether the record of row i names one of the lists, given by ordinal.
func (v *View) IsIn(i int, lists []uint32) bool {
	for ordinal := range v.Ordinals(i) {
		if slices.Contains(lists, ordinal) {
			return true
		}
	}
	return false
}

// Snapshot is the whole state at one moment. It never changes.
type Snapshot struct {
	Views    [matcher.Origins][]View // by row >> 16; Chunk is nil if the chunk was dropped
	Lists    Lists
	Accounts []matcher.ID // by ordinal
}

// Live returns the number of live rows of an origin.
func (s *Snapshot) Live(o matcher.Origin) int {
	n := 0
	for i := range s.Views[o] {
		n += s.Views[o][i].Live()
	}
	return n
}

// At returns the view of a row and its offset there.
func (s *Snapshot) At(o matcher.Origin, row uint32) (v *View, i int) {
	return &s.Views[o][row>>16], int(row & 0xffff)
}

// Object returns the fields of a row, without descriptors.
func (s *Snapshot) Object(o matcher.Origin, row uint32) matcher.Object {
	v, i := s.At(o, row)
	obj := matcher.Object{Origin: o, ID: v.IDs[i], CreateTime: v.Times[i], Account: s.Account(o, row)}
	if o == matcher.Events {
		obj.Event = &matcher.Event{}
	}
	rest := v.setFields(&obj, i)
	switch o {
	case matcher.Events:
		meta, _ := cutText(rest)
		v.setEvent(&obj, i, meta)
	case matcher.Attributes:
		if t := v.Expires[i]; t != Never {
			obj.Expires = t
		}
	}
	for ordinal := range v.Ordinals(i) {
		if s.Lists.Shows(ordinal) {
			obj.Lists = append(obj.Lists, s.Lists.At(ordinal).ID)
		}
	}
	return obj
}

// Account returns the account of a row, or the zero ID if it has none.
func (s *Snapshot) Account(o matcher.Origin, row uint32) matcher.ID {
	v, i := s.At(o, row)
	if a := v.Accounts[i]; a != 0 {
		return s.Accounts[a-1]
	}
	return matcher.ID{}
}

// CopyBytes returns how many bytes Object copies for a row. If descriptors is set, the
// bytes that WithDescriptors copies are included.
func (s *Snapshot) CopyBytes(o matcher.Origin, row uint32, descriptors bool) int {
	v, i := s.At(o, row)
	bytes := v.textBytes(i)
	for _, version := range v.Versions {
		if descriptors && version != nil {
			bytes += version.Size()
		}
	}
	return bytes
}

// WithDescriptors adds copies of the descriptors of row to obj.
func (s *Snapshot) WithDescriptors(obj *matcher.Object, row uint32) {
	v, i := s.At(obj.Origin, row)
	for t, version := range v.Versions {
		if version != nil {
			obj.Descriptors[t] = matcher.Descriptor{
				Version: version.Number,
				Data:    v.Slabs[t].appendTo(nil, i),
			}
		}
	}
}
