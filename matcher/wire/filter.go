package wire

import (
	"maps"
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
)

// filterField is a filter of an origin.
type filterField struct {
	list    bool // takes a list, else one value
	numeric bool // its values are numbers
	bind    func(b *binder, f *matcher.Filter, v value) error
}

// one binds a filter of one value.
func one[T any](read func(*binder, value) (T, error), to func(*matcher.Filter) **T) filterField {
	return filterField{bind: func(b *binder, f *matcher.Filter, v value) error {
		x, err := read(b, v)
		*to(f) = &x
		return err
	}}
}

// many binds a filter of a list of values; an empty one selects nothing.
func many[T any](read func(*binder, value) (T, error), to func(*matcher.Filter) *[]T) filterField {
	return filterField{list: true, bind: func(b *binder, f *matcher.Filter, v value) error {
		if v.kind() != kindArray {
			return v.no("a list")
		}
		if most := b.Limits.FilterValues; v.len() > most {
			return tooMany(v.len(), "filter_values", most)
		}
		all := make([]T, v.len())
		err := v.array(func(i int, v value) (err error) {
			all[i], err = read(b, v)
			return err
		})
		*to(f) = all
		return err
	}}
}

func (f filterField) ofNumbers() filterField { f.numeric = true; return f }

// The readers of filter values.
func readID(_ *binder, v value) (matcher.ID, error) { return v.id() }

// readAccount refuses the nil UUID: objects without an account have it.
func readAccount(_ *binder, v value) (matcher.ID, error) { return v.objectID() }

func readText(_ *binder, v value) (string, error) { return v.keptText() }
func readSmall(_ *binder, v value) (uint8, error) { return v.small() }

func readTime(b *binder, v value) (matcher.Time, error) {
	s, err := v.text()
	if err != nil {
		return 0, err
	}
	t, err := matcher.ParseFilterTime(s, b.now)
	if err != nil {
		return 0, v.no("an RFC 3339 time or now-<n><s|m|h|d|w|M|y>")
	}
	return t, nil
}

// filterFields are the filters by origin (API.md 3). An origin without any is
// not served yet.
var filterFields = [matcher.Origins]map[string]filterField{
	matcher.Faces: {
		"account_id":       one(readAccount, func(f *matcher.Filter) **matcher.ID { return &f.Account }),
		"create_time__gte": one(readTime, func(f *matcher.Filter) **matcher.Time { return &f.CreateTime.GTE }),
		"create_time__lt":  one(readTime, func(f *matcher.Filter) **matcher.Time { return &f.CreateTime.LT }),
		"user_data":        one(readText, func(f *matcher.Filter) **string { return &f.UserData }),
		"external_ids":     many(readText, func(f *matcher.Filter) *[]string { return &f.ExternalIDs }),
		"age__gte":         one(readSmall, func(f *matcher.Filter) **uint8 { return &f.Age.GTE }).ofNumbers(),
		"age__lt":          one(readSmall, func(f *matcher.Filter) **uint8 { return &f.Age.LT }).ofNumbers(),
		"gender":           one(readSmall, func(f *matcher.Filter) **uint8 { return &f.Gender }).ofNumbers(),
		"ethnic_groups":    many(readSmall, func(f *matcher.Filter) *[]uint8 { return &f.EthnicGroups }).ofNumbers(),
		"event_ids":        many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.EventIDs }),
		"face_ids":         many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.FaceIDs }),
		"face_id__gte":     one(readID, func(f *matcher.Filter) **matcher.ID { return &f.FaceID.GTE }),
		"face_id__lt":      one(readID, func(f *matcher.Filter) **matcher.ID { return &f.FaceID.LT }),
		"list_id":          one(readID, func(f *matcher.Filter) **matcher.ID { return &f.ListID }),
		"lists":            many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.Lists }),
	},
}

// fieldsOf returns the filters of o. It is the one place that refuses origins
// that are not served.
func fieldsOf(o matcher.Origin) (map[string]filterField, error) {
	fields := filterFields[o]
	if fields == nil {
		return nil, badInput("%q are not served yet, only faces", o)
	}
	return fields, nil
}

// origin reads the origin of a filters object, on which its other fields depend.
func origin(filters value) (matcher.Origin, error) {
	if filters.kind() != kindObject {
		return 0, filters.no("an object")
	}
	v, ok := filters.field("origin")
	if !ok {
		return 0, within("origin", errRequired)
	}
	s, err := v.text()
	if err != nil {
		return 0, within("origin", err)
	}
	o, err := matcher.ParseOrigin(s)
	if err != nil {
		return 0, within("origin", v.no("one of faces, events, attributes"))
	}
	if _, err := fieldsOf(o); err != nil {
		return 0, within("origin", err)
	}
	return o, nil
}

// filter reads a filters object of o.
func (b *binder) filter(o matcher.Origin, v value) (matcher.Filter, error) {
	var f matcher.Filter
	err := v.object(func(key string, v value) error {
		if key == "origin" {
			return nil
		}
		field, ok := filterFields[o][key]
		if !ok {
			return badInput("unknown filter of %s", o)
		}
		return field.bind(b, &f, v)
	})
	return f, err
}

// QueryFilter reads filters from a query: values are written as in JSON, lists
// with commas between their values, and an empty list is the empty text. The
// caller removes the keys that are no filters.
func (d *Decoder) QueryFilter(o matcher.Origin, query map[string]string) (matcher.Filter, error) {
	var f matcher.Filter
	fields, err := fieldsOf(o)
	if err != nil {
		return f, clientError(within("origin", err))
	}
	b := binder{Decoder: d, now: d.Now()}
	for _, key := range slices.Sorted(maps.Keys(query)) { // the same fault each time
		field, ok := fields[key]
		if !ok {
			return f, clientError(within(shorten(key), badInput("unknown filter of %s", o)))
		}
		if err := field.bind(&b, &f, queryValue(field, query[key])); err != nil {
			return f, clientError(within(key, err))
		}
	}
	return f, nil
}

// queryValue makes the value that JSON would have had.
func queryValue(field filterField, text string) value {
	scalar := func(s string) node {
		if i, err := strconv.ParseInt(s, 10, 64); err == nil && field.numeric {
			return node{kind: kindInt, size: 1, num: uint64(i)}
		}
		return node{kind: kindString, size: 1, text: s}
	}
	if !field.list {
		return value{[]node{scalar(text)}}
	}
	nodes := []node{{kind: kindArray}}
	if text != "" {
		for s := range strings.SplitSeq(text, ",") {
			nodes = append(nodes, scalar(s))
		}
	}
	nodes[0].size, nodes[0].num = uint32(len(nodes)), uint64(len(nodes)-1)
	return value{nodes}
}
