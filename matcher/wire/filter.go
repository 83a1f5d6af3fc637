package wire

import (
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strconv"
	"strings"

	"nearside/matcher"
)

// filterField is a filter of an origin.
type filterField struct {
	list bool // takes a list, else one value
	form form // of its values in a query
	bind func(b *binder, f *matcher.Filter, v value) error
}

// form is how a query writes a value.
type form uint8

const (
	formText form = iota
	formInteger
	formNumber
	formBoolean
	formJSON
)

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

func (f filterField) as(in form) filterField { f.form = in; return f }

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
	return o, nil
}

// filter reads a filters object of o.
func (b *binder) filter(o matcher.Origin, v value) (matcher.Filter, error) {
	var f matcher.Filter
	err := v.object(func(key string, v value) error {
		if key == "origin" {
			return nil
		}
		field, err := b.filterField(o, key)
		if err != nil {
			return err
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
	b := binder{Decoder: d, now: d.Now()}
	for _, key := range slices.Sorted(maps.Keys(query)) { // the same fault each time
		field, err := b.filterField(o, key)
		if err != nil {
			return f, clientError(within(shorten(key), err))
		}
		if err := bindQuery(&b, &f, field, query[key]); err != nil {
			return f, clientError(within(key, err))
		}
	}
	return f, nil
}

func bindQuery(b *binder, f *matcher.Filter, field filterField, text string) error {
	if field.form != formJSON {
		return field.bind(b, f, queryValue(field, text))
	}
	err := b.bindJSON([]byte(text), func(v value) error { return field.bind(b, f, v) })
	if syntax, ok := errors.AsType[*fault](err); ok && syntax.code == matcher.CodeSyntax {
		return badInput("%q is not JSON: %s", shorten(text), syntax.message)
	}
	return err
}

// queryValue makes the value that JSON would have had.
func queryValue(field filterField, text string) value {
	if !field.list {
		return value{[]node{queryNode(field.form, text)}}
	}
	nodes := []node{{kind: kindArray}}
	if text != "" {
		for s := range strings.SplitSeq(text, ",") {
			nodes = append(nodes, queryNode(field.form, s))
		}
	}
	nodes[0].size, nodes[0].num = uint32(len(nodes)), uint64(len(nodes)-1)
	return value{nodes}
}

// queryNode makes a value of text; what has not the form stays text, which its
// reader refuses.
func queryNode(in form, text string) node {
	n := node{kind: kindString, text: text}
	i, err := strconv.ParseInt(text, 10, 64)
	switch {
	case in == formInteger && err == nil:
		n = node{kind: kindInt, num: uint64(i)}
	case in == formNumber && json.Valid([]byte(text)) && !strings.ContainsAny(text, "\"ntf[{ \t\r\n"):
		n = numberNode(text)
	case in == formBoolean && text == "true":
		n = node{kind: kindBool, num: 1}
	case in == formBoolean && text == "false":
		n = node{kind: kindBool}
	}
	n.size = 1
	return n
}
