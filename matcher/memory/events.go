package memory

import (
	"encoding/binary"
	"math"

	"nearside/matcher"
)

// eventColumns are the columns that only events have, beside hashes.
type eventColumns struct {
	end                 []matcher.Time // noTime: absent
	emotion, mask       []matcher.Small
	longitude, latitude []number
	similarity          []number // of the top match
	tags                []uint64 // a bit for each tag of a row: that of its name in the view, or tagOther
	meta                []metaColumn
}

// noTime is the end of an event without one: before all that can be written.
const noTime = matcher.Time(math.MinInt64)

// eventBytes and eventCount are of a row's columns beside hashes and meta.
const (
	eventBytes = 8 + 2*2 + 3*8 + 8
	eventCount = 7
)

// tagOther is the bit of tags whose names had no more room. The other 63 are
// given to the names of a chunk as they come: few rows have to be looked at.
const tagOther = 63

// metaColumn is the column of a declared field of meta; one of its slices is
// there. A value of another type is absent.
type metaColumn struct {
	numbers []number
	hashes  []uint32 // 0: absent
	flags   []matcher.Small
}

// metaBytes is what a row needs, by type.
var metaBytes = [...]int{matcher.MetaNumber: 8, matcher.MetaString: 4, matcher.MetaBoolean: 2}

func carveEvents(mem *[]byte, n int, meta []matcher.MetaField) *eventColumns {
	e := &eventColumns{
		end:     carve[matcher.Time](mem, n),
		emotion: carve[matcher.Small](mem, n), mask: carve[matcher.Small](mem, n),
		longitude: carve[number](mem, n), latitude: carve[number](mem, n),
		similarity: carve[number](mem, n),
		tags:       carve[uint64](mem, n),
	}
	for _, f := range meta {
		var c metaColumn
		switch f.Type {
		case matcher.MetaNumber:
			c.numbers = carve[number](mem, n)
		case matcher.MetaString:
			c.hashes = carve[uint32](mem, n)
		case matcher.MetaBoolean:
			c.flags = carve[matcher.Small](mem, n)
		}
		e.meta = append(e.meta, c)
	}
	return e
}

// set writes row i, but for its tags; root is its meta, parsed.
func (c *eventColumns) set(i int, o *matcher.Object, meta []matcher.MetaField, root any) {
	e := o.Event
	if e == nil {
		e = &matcher.Event{}
	}
	c.end[i] = noTime
	if e.EndTime != nil {
		c.end[i] = *e.EndTime
	}
	c.emotion[i], c.mask[i] = e.Emotion, e.Mask
	c.longitude[i], c.latitude[i], c.similarity[i] = noNumber, noNumber, noNumber
	if p := e.Location.Position; p != nil {
		c.longitude[i], c.latitude[i] = numberOf(p.Longitude), numberOf(p.Latitude)
	}
	if s := e.TopMatch.Similarity; s != nil {
		c.similarity[i] = numberOf(*s)
	}
	c.setMeta(i, root, meta)
}

func (c *eventColumns) setMeta(i int, root any, meta []matcher.MetaField) {
	for f := range meta {
		col, value := &c.meta[f], valueAt(root, meta[f].Path)
		switch meta[f].Type {
		case matcher.MetaNumber:
			col.numbers[i] = noNumber
			if x, ok := value.(float64); ok {
				col.numbers[i] = numberOf(x)
			}
		case matcher.MetaString:
			col.hashes[i] = 0
			if s, ok := value.(string); ok {
				col.hashes[i] = hashPresent(s)
			}
		case matcher.MetaBoolean:
			col.flags[i] = 0
			if b, ok := value.(bool); ok {
				col.flags[i] = matcher.SmallOf(0)
				if b {
					col.flags[i] = matcher.SmallOf(1)
				}
			}
		}
	}
}

// hashPresent is hashString of a field that is there, even when it is empty.
func hashPresent(s string) uint32 { return max(1, hashString(s)) }

// copyRow writes row i as row j of from, but for its tags.
func (c *eventColumns) copyRow(i int, from *eventColumns, j int) {
	c.end[i], c.emotion[i], c.mask[i] = from.end[j], from.emotion[j], from.mask[j]
	c.longitude[i], c.latitude[i], c.similarity[i] = from.longitude[j], from.latitude[j], from.similarity[j]
	for f := range c.meta {
		to, from := &c.meta[f], &from.meta[f]
		switch {
		case to.numbers != nil:
			to.numbers[i] = from.numbers[j]
		case to.hashes != nil:
			to.hashes[i] = from.hashes[j]
		default:
			to.flags[i] = from.flags[j]
		}
	}
}

// appendTags ends the record of an event.
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

// tagsIn calls yield with each tag of the record of an event.
func tagsIn(record []byte) func(yield func(tag []byte) bool) {
	return func(yield func(tag []byte) bool) {
		rest := record
		for range eventTexts {
			_, rest = text(rest)
		}
		n, width := binary.Uvarint(rest)
		for rest = rest[width:]; n > 0; n-- {
			var tag []byte
			if tag, rest = text(rest); !yield(tag) {
				return
			}
		}
	}
}

// tagBits returns the bits of the tags of a record, and gives new names theirs.
// Views of before keep their part of the names.
func (v *view) tagBits(record []byte) (bits uint64) {
	for tag := range tagsIn(record) {
		at := tagOther
		for b, name := range v.tagNames {
			if name == string(tag) {
				at = b
				break
			}
		}
		if at == tagOther && len(v.tagNames) < tagOther {
			at = len(v.tagNames)
			v.tagNames = append(v.tagNames, string(tag))
		}
		bits |= 1 << at
	}
	return bits
}

// event reads what only events have of row i.
func (v *view) event(i int) *matcher.Event {
	var texts [eventTexts][]byte
	rest := v.at(i)
	for f := range texts {
		texts[f], rest = text(rest)
	}
	c := v.events
	e := &matcher.Event{
		Source: string(texts[eventSource]), HandlerID: idOfText(texts[eventHandler]), StreamID: idOfText(texts[eventStream]),
		TrackID: string(texts[eventTrack]), FaceID: idOfText(texts[eventFace]), Emotion: c.emotion[i], Mask: c.mask[i],
		Location: matcher.Location{
			City: string(texts[eventCity]), Area: string(texts[eventArea]), District: string(texts[eventDistrict]),
			Street: string(texts[eventStreet]), HouseNumber: string(texts[eventHouse]),
		},
		TopMatch: matcher.TopMatch{ObjectID: idOfText(texts[eventTopObject]), ExternalID: string(texts[eventTopExternal])},
		Meta:     string(texts[eventMeta]),
	}
	if t := c.end[i]; t != noTime {
		e.EndTime = &t
	}
	if x := c.longitude[i]; x != noNumber {
		e.Location.Position = &matcher.Position{Longitude: x.float(), Latitude: c.latitude[i].float()}
	}
	if x := c.similarity[i]; x != noNumber {
		s := x.float()
		e.TopMatch.Similarity = &s
	}
	for tag := range tagsIn(v.at(i)) {
		e.Tags = append(e.Tags, string(tag))
	}
	return e
}
