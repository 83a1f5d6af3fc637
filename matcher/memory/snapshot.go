package memory

import (
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"nearside/matcher"
)

// view is a chunk as of one moment: its first n rows but the dead ones.
type view struct {
	*chunk
	n         int
	dead      []uint64 // bit per row, copied when it changes; nil: none is dead
	deaths    int
	deadBytes int64
	blocks    [][]byte // of the chunk's arena
	tagNames  []string // of events: the tags that have a bit, in the order of bits
}

// alive reports whether row i, which is below n, was not deleted.
func (v *view) alive(i int) bool {
	return v.dead == nil || v.dead[i>>6]>>(i&63)&1 == 0
}

// live is the number of rows that are not dead.
func (v *view) live() int { return v.n - v.deaths }

// list is a named set of faces. The fields below the empty line are guarded by
// Memory.mu; a published bitmap never changes.
type list struct {
	id      matcher.ID
	ordinal uint32
	deleted atomic.Uint64 // epoch of its deletion; 0: it exists

	info *matcher.List
	rows *roaring.Bitmap // rows ever put in, the dead ones included
}

// snapshot is the whole state at one moment; it never changes.
type snapshot struct {
	epoch    uint64
	tables   [matcher.Origins][]view // index: row >> 16; chunk is nil where one was dropped
	lists    []*list                 // by ordinal
	accounts []matcher.ID            // by ordinal
}

// live counts the rows of an origin.
func (s *snapshot) live(o matcher.Origin) int {
	n := 0
	for i := range s.tables[o] {
		n += s.tables[o][i].live()
	}
	return n
}

// at returns the view and the offset of a row.
func (s *snapshot) at(o matcher.Origin, row uint32) (v *view, i int) {
	return &s.tables[o][row>>16], int(row & 0xffff)
}

// shows reports whether l exists in s.
func (s *snapshot) shows(l *list) bool {
	deleted := l.deleted.Load()
	return deleted == 0 || deleted > s.epoch
}

// object returns the fields of a row, without descriptors.
func (s *snapshot) object(o matcher.Origin, row uint32) matcher.Object {
	v, i := s.at(o, row)
	d := v.details(i)
	obj := matcher.Object{
		Origin: o, ID: v.ids[i], CreateTime: v.times[i],
		Age: v.age[i], Gender: v.gender[i], EthnicGroup: v.ethnicGroup[i],
		ExternalID: string(d.externalID), UserData: string(d.userData), Avatar: string(d.avatar), EventID: d.eventID,
	}
	if a := v.accounts[i]; a != 0 {
		obj.Account = s.accounts[a-1]
	}
	switch o {
	case matcher.Events:
		obj.Event = v.event(i)
	case matcher.Attributes:
		if t := v.expires[i]; t != never {
			obj.Expires = t
		}
	}
	for ordinal := range d.ordinals {
		if l := s.lists[ordinal]; s.shows(l) {
			obj.Lists = append(obj.Lists, l.id)
		}
	}
	return obj
}

// withDescriptors adds copies of the descriptors of row to obj.
func (s *snapshot) withDescriptors(obj *matcher.Object, row uint32) {
	v, i := s.at(obj.Origin, row)
	for t, version := range v.versions {
		if version != nil {
			obj.Descriptors[t] = matcher.Descriptor{
				Version: version.Number,
				Data:    v.slabs[t].appendTo(nil, i),
			}
		}
	}
}
