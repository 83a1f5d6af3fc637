package table

import (
	"encoding/binary"
	"math"

	"nearside/matcher"
)

// EventColumns are the columns that only events have, except the columns of hashes.
type EventColumns struct {
	End                 []matcher.Time // NoTime: absent
	Longitude, Latitude []Number
	Similarity          []Number // of the top match
	Tags                []uint64 // one bit for each tag of a row: the bit of its name in the view, or TagOther
	Meta                []MetaColumn
}

// NoTime is the end of an event without an end time. It is before all times that can be
// stored.
const NoTime = matcher.Time(math.MinInt64)

// eventBytes is the size of a row in EventColumns without Meta, and eventCount is the
// number of those columns.
const (
	eventBytes = 8 + 3*8 + 8
	eventCount = 5
)

// TagOther is the bit shared by tags whose name did not get a bit of its own. The other
// 63 bits go to the first 63 tag names of a chunk, so few records must be read to compare
// tags.
const TagOther = 63

// MetaColumn is the column of a declared field of meta. Exactly one of its slices is
// used. A value of another type counts as absent.
type MetaColumn struct {
	Numbers []Number
	Hashes  []uint32 // 0: absent
	Flags   []matcher.Small
}

// metaBytes is the size of a row's value in bytes, by type.
var metaBytes = [...]int{matcher.MetaNumber: 8, matcher.MetaString: 4, matcher.MetaBoolean: 2}

func carveEvents(mem *[]byte, n int, meta []matcher.MetaField) *EventColumns {
	e := &EventColumns{
		End:       carve[matcher.Time](mem, n),
		Longitude: carve[Number](mem, n), Latitude: carve[Number](mem, n),
		Similarity: carve[Number](mem, n),
		Tags:       carve[uint64](mem, n),
	}
	for _, f := range meta {
		var c MetaColumn
		switch f.Type {
		case matcher.MetaNumber:
			c.Numbers = carve[Number](mem, n)
		case matcher.MetaString:
			c.Hashes = carve[uint32](mem, n)
		case matcher.MetaBoolean:
			c.Flags = carve[matcher.Small](mem, n)
		}
		e.Meta = append(e.Meta, c)
	}
	return e
}

// setRow writes row i, except for its tags. root is the parsed meta of the event.
func (c *EventColumns) setRow(i int, o *matcher.Object, meta []matcher.MetaField, root any) {
	e := o.Event
	if e == nil {
		e = &matcher.Event{}
	}
	c.End[i] = NoTime
	if e.EndTime != nil {
		c.End[i] = *e.EndTime
	}
	c.Longitude[i], c.Latitude[i], c.Similarity[i] = NoNumber, NoNumber, NoNumber
	if p := e.Location.Position; p != nil {
		c.Longitude[i], c.Latitude[i] = NumberOf(p.Longitude), NumberOf(p.Latitude)
	}
	if s := e.TopMatch.Similarity; s != nil {
		c.Similarity[i] = NumberOf(*s)
	}
	c.setMeta(i, root, meta)
}

func (c *EventColumns) setMeta(i int, root any, meta []matcher.MetaField) {
	for f := range meta {
		col, value := &c.Meta[f], ValueAt(root, meta[f].Path)
		switch meta[f].Type {
		case matcher.MetaNumber:
			col.Numbers[i] = NoNumber
			if n, ok := MetaNumberOf(value); ok {
				col.Numbers[i] = NumberOf(n.Float)
			}
		case matcher.MetaString:
			col.Hashes[i] = 0
			if s, ok := value.(string); ok {
				col.Hashes[i] = HashPresent(s)
			}
		case matcher.MetaBoolean:
			col.Flags[i] = 0
			if b, ok := value.(bool); ok {
				col.Flags[i] = matcher.SmallOf(0)
				if b {
					col.Flags[i] = matcher.SmallOf(1)
				}
			}
		}
	}
}

// HashPresent is HashString for a field that is present: it is not 0 even for the empty
// string.
func HashPresent(s string) uint32 { return max(1, HashString(s)) }

// copyRow copies row j of from to row i, except for its tags.
func (c *EventColumns) copyRow(i int, from *EventColumns, j int) {
	c.End[i] = from.End[j]
	c.Longitude[i], c.Latitude[i], c.Similarity[i] = from.Longitude[j], from.Latitude[j], from.Similarity[j]
	for f := range c.Meta {
		to, from := &c.Meta[f], &from.Meta[f]
		switch {
		case to.Numbers != nil:
			to.Numbers[i] = from.Numbers[j]
		case to.Hashes != nil:
			to.Hashes[i] = from.Hashes[j]
		default:
			to.Flags[i] = from.Flags[j]
		}
	}
}

// appendTags appends the last part of an event's record, its tags.
func appendTags(dst []byte, e *matcher.Event) []byte {
	if e == nil {
		return append(dst, 0)
	}
	dst = binary.AppendUvarint(dst, uint64(len(e.Tags)))
	for _, s := range e.Tags {
		dst = appendText(dst, s)
	}
	return dst
}

// TagsIn calls yield with each tag of the record of an event.
func (l *Layout) TagsIn(record []byte) func(yield func(tag []byte) bool) {
	return func(yield func(tag []byte) bool) {
		rest := record
		for range l.textCount() {
			_, rest = cutText(rest)
		}
		n, width := binary.Uvarint(rest)
		for rest = rest[width:]; n > 0; n-- {
			var tag []byte
			if tag, rest = cutText(rest); !yield(tag) {
				return
			}
		}
	}
}

// tagBits returns the tag bits of a record, and assigns bits to new names while bits are
// left. Older views keep their shorter list of names.
func (v *View) tagBits(record []byte) (bits uint64) {
	for tag := range v.Layout.TagsIn(record) {
		at := TagOther
		for b, name := range v.TagNames {
			if name == string(tag) {
				at = b
				break
			}
		}
		if at == TagOther && len(v.TagNames) < TagOther {
			at = len(v.TagNames)
			v.TagNames = append(v.TagNames, string(tag))
		}
		bits |= 1 << at
	}
	return bits
}

// setEvent sets the fields of obj that only events have and that are not plain fields,
// from row i. meta is the text of the row's meta.
func (v *View) setEvent(obj *matcher.Object, i int, meta []byte) {
	c, e := v.Events, obj.Event
	e.Meta = string(meta)
	if t := c.End[i]; t != NoTime {
		e.EndTime = &t
	}
	if x := c.Longitude[i]; x != NoNumber {
		e.Location.Position = &matcher.Position{Longitude: x.Float(), Latitude: c.Latitude[i].Float()}
	}
	if x := c.Similarity[i]; x != NoNumber {
		s := x.Float()
		e.TopMatch.Similarity = &s
	}
	for tag := range v.Layout.TagsIn(v.RecordFrom(i)) {
		e.Tags = append(e.Tags, string(tag))
	}
}
