package wire

import "nearside/matcher"

// filterField is a filter of an origin.
type filterField struct {
	list bool // takes a list; false: takes one value
	form form // of its values in a query
	bind func(b *binder, f *matcher.Filter, v value) error
}

// form is the way in which a query writes a value. Commas can separate the values
// of a list, but not texts, because a text may contain a comma.
type form uint8

const (
	formText form = iota
	formID
	formInteger
	formNumber
	formBoolean
	formJSON
)

// valueFilter returns a filter that takes one value. to is where the value belongs.
func valueFilter[T any](read func(*binder, value) (T, error), to func(*matcher.Filter) **T) filterField {
	return filterField{bind: func(b *binder, f *matcher.Filter, v value) error {
		x, err := read(b, v)
		*to(f) = &x
		return err
	}}
}

// listFilter returns a filter that takes a list of values; an empty list selects
// nothing. to is where the list belongs.
func listFilter[T any](read func(*binder, value) (T, error), to func(*matcher.Filter) *[]T) filterField {
	return filterField{list: true, bind: func(b *binder, f *matcher.Filter, v value) error {
		if v.kind() != kindArray {
			return v.mustBe("an array")
		}
		if limit := b.Limits.FilterValues; v.len() > limit {
			return tooMany(v.len(), "filter_values", limit)
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

// plainValueFilter returns a filter whose values belong in a list. If list is false,
// the filter takes one value, which becomes a list of one.
func plainValueFilter[T any](list bool, read func(*binder, value) (T, error), to func(*matcher.Filter) *[]T) filterField {
	if list {
		return listFilter(read, to)
	}
	return filterField{bind: func(b *binder, f *matcher.Filter, v value) error {
		x, err := read(b, v)
		*to(f) = []T{x}
		return err
	}}
}

// inForm returns f with a form for its values in a query.
func (f filterField) inForm(in form) filterField { f.form = in; return f }

func readID(_ *binder, v value) (matcher.ID, error) { return v.id() }

// readAccount refuses the nil UUID, which objects without an account have.
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
		return 0, badInput("%s", err.Error())
	}
	return t, nil
}

// readOrigin reads the origin of a filters object. The other fields depend on it.
func readOrigin(filters value) (matcher.Origin, error) {
	if filters.kind() != kindObject {
		return 0, filters.mustBe("an object")
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
		return 0, within("origin", v.mustBe("one of faces, events, attributes"))
	}
	return o, nil
}

// bindFilters reads a filters object of o. It refuses null. If null meant that the
// filter is absent, more objects than intended could be matched or deleted.
func (b *binder) bindFilters(o matcher.Origin, v value) (matcher.Filter, error) {
	var f matcher.Filter
	given := func(name string) bool { _, ok := v.field(name); return ok }
	err := v.strictFields(func(key string, v value) error {
		if key == "origin" {
			return nil
		}
		field, err := b.filterField(o, key, given)
		if err != nil {
			return err
		}
		if v.isNull() {
			return badInput("must not be null; leave the filter out to select all values")
		}
		return field.bind(b, &f, v)
	})
	return f, err
}
