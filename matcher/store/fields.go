package store

import (
	"cmp"
	"encoding/binary"
	"fmt"
	"math"
	"slices"

	"nearside/matcher"
)

// recordField is a field in the records of objects.
type recordField struct {
	tag byte
	// append appends the tag and the value, or nothing if o does not have the field.
	// It returns CodeListNotFound if the table does not have a list of the field.
	append func(dst []byte, o *matcher.Object, table *listTable) ([]byte, error)
	// decode reads the value. Its tag was read already.
	decode func(d *decoder, o *matcher.Object, table *listTable)
}

// recordFields are the fields of records by origin, in ascending order of tags. They
// include the plain fields and the fields that need code of their own.
var recordFields = func() (by [matcher.Origins][]recordField) {
	for o := range matcher.Origins {
		all := append(commonFields(), ownFields[o]...)
		for _, f := range matcher.Fields(o) {
			all = append(all, plainField(f))
		}
		slices.SortFunc(all, func(a, b recordField) int { return cmp.Compare(a.tag, b.tag) })
		by[o] = all
	}
	return by
}()

// fieldsByTag are recordFields by origin and tag; nil: there is no such field.
var fieldsByTag = func() (by [matcher.Origins][math.MaxUint8 + 1]*recordField) {
	for o := range by {
		for i := range recordFields[o] {
			f := &recordFields[o][i]
			if by[o][f.tag] != nil {
				panic(fmt.Sprintf("store: two fields of %s have the record tag %d", matcher.Origin(o), f.tag))
			}
			by[o][f.tag] = f
		}
	}
	return by
}()

// plainField returns the recordField of a plain field.
func plainField(f *matcher.Field) recordField {
	switch f.Kind {
	case matcher.TextField, matcher.SmallsField:
		return simpleField(f.Record,
			func(dst []byte, o *matcher.Object) []byte { return appendText(dst, f.Record, f.Text(o)) },
			func(d *decoder, o *matcher.Object) { f.SetText(o, string(d.bytes())) })
	case matcher.UUIDField:
		return simpleField(f.Record,
			func(dst []byte, o *matcher.Object) []byte { return appendID(dst, f.Record, f.UUID(o)) },
			func(d *decoder, o *matcher.Object) { f.SetUUID(o, d.id()) })
	default:
		return simpleField(f.Record,
			func(dst []byte, o *matcher.Object) []byte { return appendSmall(dst, f.Record, f.Small(o)) },
			func(d *decoder, o *matcher.Object) { f.SetSmall(o, d.small()) })
	}
}

// simpleField returns a field that does not use the table of lists and cannot fail.
func simpleField(tag byte, add func([]byte, *matcher.Object) []byte, decode func(*decoder, *matcher.Object)) recordField {
	return recordField{
		tag:    tag,
		append: func(dst []byte, o *matcher.Object, _ *listTable) ([]byte, error) { return add(dst, o), nil },
		decode: func(d *decoder, o *matcher.Object, _ *listTable) { decode(d, o) },
	}
}

// eventField returns a field of Object.Event. The event is never nil when add or
// decode is called.
func eventField(tag byte, add func([]byte, *matcher.Event) []byte, decode func(*decoder, *matcher.Event)) recordField {
	return simpleField(tag,
		func(dst []byte, o *matcher.Object) []byte {
			if o.Event == nil {
				return dst
			}
			return add(dst, o.Event)
		},
		func(d *decoder, o *matcher.Object) {
			if o.Event == nil {
				o.Event = &matcher.Event{}
			}
			decode(d, o.Event)
		})
}

// commonFields returns the fields of all origins that are not plain.
func commonFields() []recordField {
	all := []recordField{
		simpleField(tagAccount,
			func(dst []byte, o *matcher.Object) []byte { return appendID(dst, tagAccount, o.Account) },
			func(d *decoder, o *matcher.Object) { o.Account = d.id() }),
		simpleField(tagCreateTime,
			func(dst []byte, o *matcher.Object) []byte { return appendTime(dst, tagCreateTime, o.CreateTime) },
			func(d *decoder, o *matcher.Object) { o.CreateTime = d.time() }),
	}
	for t := range matcher.DescriptorTypes {
		tag := tagDescriptor0 + byte(t)
		all = append(all, simpleField(tag,
			func(dst []byte, o *matcher.Object) []byte { return appendDescriptor(dst, tag, o.Descriptors[t]) },
			func(d *decoder, o *matcher.Object) { o.Descriptors[t] = d.descriptor() }))
	}
	return all
}

// ownFields are the fields of one origin that are not plain.
var ownFields = [matcher.Origins][]recordField{
	matcher.Faces: {{
		tag: tagLists,
		append: func(dst []byte, o *matcher.Object, table *listTable) ([]byte, error) {
			return appendLists(dst, o.Lists, table)
		},
		decode: func(d *decoder, o *matcher.Object, table *listTable) { o.Lists = d.lists(table) },
	}},
	matcher.Events: {
		eventField(tagEndTime,
			func(dst []byte, e *matcher.Event) []byte {
				if e.EndTime == nil {
					return dst
				}
				return binary.AppendVarint(append(dst, tagEndTime), int64(*e.EndTime))
			},
			func(d *decoder, e *matcher.Event) { t := d.time(); e.EndTime = &t }),
		eventField(tagTags,
			func(dst []byte, e *matcher.Event) []byte { return appendTexts(dst, tagTags, e.Tags) },
			func(d *decoder, e *matcher.Event) { e.Tags = d.texts() }),
		eventField(tagPosition,
			func(dst []byte, e *matcher.Event) []byte {
				if e.Location.Position == nil {
					return dst
				}
				return appendFloats(append(dst, tagPosition), e.Location.Position.Longitude, e.Location.Position.Latitude)
			},
			func(d *decoder, e *matcher.Event) {
				e.Location.Position = &matcher.Position{Longitude: d.float(), Latitude: d.float()}
			}),
		eventField(tagTopSimilarity,
			func(dst []byte, e *matcher.Event) []byte {
				if e.TopMatch.Similarity == nil {
					return dst
				}
				return appendFloats(append(dst, tagTopSimilarity), *e.TopMatch.Similarity)
			},
			func(d *decoder, e *matcher.Event) { s := d.float(); e.TopMatch.Similarity = &s }),
		eventField(tagMeta,
			func(dst []byte, e *matcher.Event) []byte { return appendText(dst, tagMeta, e.Meta) },
			func(d *decoder, e *matcher.Event) { e.Meta = string(d.bytes()) }),
	},
	matcher.Attributes: {
		simpleField(tagExpires,
			func(dst []byte, o *matcher.Object) []byte { return appendTime(dst, tagExpires, o.Expires) },
			func(d *decoder, o *matcher.Object) { o.Expires = d.time() }),
	},
}
