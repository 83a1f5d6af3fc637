package wire

import (
	"maps"
	"math"
	"strings"

	"nearside/matcher"
)

// filterFields are the filters by origin (docs/api.md, Filters), without those of
// meta.
var filterFields = func() (by [matcher.Origins]map[string]filterField) {
	for o := range matcher.Origins {
		by[o] = maps.Clone(ownFilters[o])
		maps.Copy(by[o], commonFilters(o))
		for _, f := range matcher.Fields(o) {
			addPlainFilters(by[o], f)
		}
	}
	// Attributes have no external_id and no user_data. Filters on these fields are still
	// accepted, and no attribute passes them.
	for _, name := range []string{"external_id", "user_data"} {
		addPlainFilters(by[matcher.Attributes], plainByName[matcher.Faces][""][name])
	}
	return by
}()

// commonFilters returns the filters that every origin has on fields that are not plain.
func commonFilters(o matcher.Origin) map[string]filterField {
	id := o.Singular() + "_id"
	return map[string]filterField{
		id + "s":           listFilter(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.IDs }).inForm(formID),
		id + "__gte":       valueFilter(readID, func(f *matcher.Filter) **matcher.ID { return &f.IDRange.GTE }),
		id + "__lt":        valueFilter(readID, func(f *matcher.Filter) **matcher.ID { return &f.IDRange.LT }),
		"account_id":       valueFilter(readAccount, func(f *matcher.Filter) **matcher.ID { return &f.Account }),
		"create_time__gte": valueFilter(readTime, func(f *matcher.Filter) **matcher.Time { return &f.CreateTime.GTE }),
		"create_time__lt":  valueFilter(readTime, func(f *matcher.Filter) **matcher.Time { return &f.CreateTime.LT }),
	}
}

// ownFilters are the filters of one origin on fields that are not plain.
var ownFilters = [matcher.Origins]map[string]filterField{
	matcher.Faces: {
		"list_id": valueFilter(readID, func(f *matcher.Filter) **matcher.ID { return &f.ListID }),
		"lists":   listFilter(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.Lists }).inForm(formID),
	},
	matcher.Events: {
		"tags":                      listFilter(readText, func(f *matcher.Filter) *[]string { return &f.Event.Tags }),
		"geo_position":              valueFilter(readBox, func(f *matcher.Filter) **matcher.GeoBox { return &f.Event.Position }).inForm(formJSON),
		"end_time__gte":             valueFilter(readTime, func(f *matcher.Filter) **matcher.Time { return &f.Event.EndTime.GTE }),
		"end_time__lt":              valueFilter(readTime, func(f *matcher.Filter) **matcher.Time { return &f.Event.EndTime.LT }),
		"top_match_similarity__gte": valueFilter(readNumber, func(f *matcher.Filter) **float64 { return &f.Event.TopMatchSimilarity.GTE }).inForm(formNumber),
		"top_match_similarity__lt":  valueFilter(readNumber, func(f *matcher.Filter) **float64 { return &f.Event.TopMatchSimilarity.LT }).inForm(formNumber),
	},
	matcher.Attributes: {},
}

// addPlainFilters adds the filters on a plain field.
func addPlainFilters(to map[string]filterField, field *matcher.Field) {
	if field.Any != "" {
		to[field.Any] = plainFilter(field, true)
	}
	if field.Is != "" {
		to[field.Is] = plainFilter(field, false)
	}
	if field.Range != "" {
		to[field.Range+"__gte"] = valueFilter(readSmall, func(f *matcher.Filter) **uint8 { return &f.On(field).Range.GTE }).inForm(formInteger)
		to[field.Range+"__lt"] = valueFilter(readSmall, func(f *matcher.Filter) **uint8 { return &f.On(field).Range.LT }).inForm(formInteger)
	}
}

// plainFilter returns the filter of a plain field by one value or by a list.
func plainFilter(field *matcher.Field, list bool) filterField {
	switch field.Kind {
	case matcher.TextField:
		return plainValueFilter(list, readText, func(f *matcher.Filter) *[]string { return &f.On(field).Texts })
	case matcher.UUIDField:
		return plainValueFilter(list, readID, func(f *matcher.Filter) *[]matcher.ID { return &f.On(field).UUIDs }).inForm(formID)
	default:
		return plainValueFilter(list, readSmall, func(f *matcher.Filter) *[]uint8 { return &f.On(field).Smalls }).inForm(formInteger)
	}
}

// filterAliases are the names that LUNA PLATFORM uses for filters of events.
var filterAliases = map[string]string{
	"top_similar_object_ids":             "top_match_object_ids",
	"top_similar_external_ids":           "top_match_external_ids",
	"top_similar_object_similarity__gte": "top_match_similarity__gte",
	"top_similar_object_similarity__lt":  "top_match_similarity__lt",
}

// filterField returns the filter of o with the name key. given reports whether the
// request has a filter of some name.
func (d *Decoder) filterField(o matcher.Origin, key string, given func(name string) bool) (filterField, error) {
	if field, ok := filterFields[o][key]; ok {
		return field, nil
	}
	if name := filterAliases[key]; name != "" && o == matcher.Events {
		if given(name) {
			return filterField{}, badInput("is another name of %s, which is also given", name)
		}
		return filterFields[o][name], nil
	}
	if path, ok := strings.CutPrefix(key, "meta."); ok && o == matcher.Events {
		return d.metaFilter(path)
	}
	if plain, ok := strings.CutSuffix(key, "[]"); ok && filterFields[o][plain].bind != nil {
		return filterField{}, badInput("unknown filter of %s; did you mean %s?", o, plain)
	}
	return filterField{}, badInput("unknown filter of %s", o)
}

// metaFilter returns the filter of a field of meta: name is "<path>__<op>".
func (d *Decoder) metaFilter(name string) (filterField, error) {
	at := strings.LastIndex(name, "__")
	if at < 0 {
		return filterField{}, badInput("must end in __eq, __gte, __lt or __in")
	}
	path, suffix := name[:at], name[at+len("__"):]
	for _, declared := range d.MetaFields {
		if declared.Path != path {
			continue
		}
		for _, op := range []matcher.MetaOp{matcher.MetaEQ, matcher.MetaIn, matcher.MetaGTE, matcher.MetaLT} {
			if op.String() != suffix {
				continue
			}
			if declared.Type == matcher.MetaBoolean && (op == matcher.MetaGTE || op == matcher.MetaLT) {
				return filterField{}, badInput("must end in __eq or __in: %s is of type boolean", matcher.Shorten(path))
			}
			return metaFilterField(declared, op), nil
		}
		return filterField{}, badInput("must end in __eq, __gte, __lt or __in")
	}
	return filterField{}, badInput("%q is not declared in events.meta_fields", matcher.Shorten(path))
}

// metaFilterField returns the filter that compares a declared field of meta by op.
func metaFilterField(declared matcher.MetaField, op matcher.MetaOp) filterField {
	read := func(_ *binder, v value) (matcher.MetaValue, error) { return v.metaValue(declared.Type) }
	field := filterField{list: op == matcher.MetaIn}
	field.form = [...]form{matcher.MetaNumber: formNumber, matcher.MetaString: formText, matcher.MetaBoolean: formBoolean}[declared.Type]
	field.bind = func(b *binder, f *matcher.Filter, v value) error {
		var values []matcher.MetaValue
		if op == matcher.MetaIn {
			if err := listFilter(read, func(*matcher.Filter) *[]matcher.MetaValue { return &values }).bind(b, f, v); err != nil {
				return err
			}
		} else {
			x, err := read(b, v)
			if err != nil {
				return err
			}
			values = []matcher.MetaValue{x}
		}
		f.Event.Meta = append(f.Event.Meta, matcher.MetaFilter{Field: declared, Op: op, Values: values})
		return nil
	}
	return field
}

func (v value) metaValue(t matcher.MetaType) (matcher.MetaValue, error) {
	switch t {
	case matcher.MetaString:
		s, err := v.keptText()
		return matcher.MetaValue{Text: s}, err
	case matcher.MetaBoolean:
		_, err := v.boolean()
		return matcher.MetaValue{Number: matcher.UintNumber(v.nodes[0].num)}, err
	default:
		if _, err := v.finite(); err != nil {
			return matcher.MetaValue{}, err
		}
		return matcher.MetaValue{Number: v.exactNumber()}, nil
	}
}

// finite returns a number that is neither infinite nor NaN.
func (v value) finite() (float64, error) {
	f, err := v.number(-math.MaxFloat64, math.MaxFloat64)
	if err != nil {
		err = v.mustBe("a finite number")
	}
	return f, err
}

// exactNumber returns a number. It does not round integers.
func (v value) exactNumber() matcher.Number {
	switch n := v.nodes[0]; n.kind {
	case kindInt:
		return matcher.IntNumber(int64(n.num))
	case kindUint:
		return matcher.UintNumber(n.num)
	default:
		return matcher.Number{Float: math.Float64frombits(n.num)}
	}
}

func readNumber(_ *binder, v value) (float64, error) { return v.finite() }

// readBox reads the filter geo_position.
func readBox(_ *binder, v value) (matcher.GeoBox, error) {
	var box matcher.GeoBox
	nan := math.NaN()
	box = matcher.GeoBox{Longitude: nan, Latitude: nan, LongitudeDelta: nan, LatitudeDelta: nan}
	err := v.strictFields(func(key string, v value) (err error) {
		switch key {
		case "origin_longitude":
			box.Longitude, err = v.number(-180, 180)
		case "origin_latitude":
			box.Latitude, err = v.number(-90, 90)
		case "longitude_delta":
			box.LongitudeDelta, err = v.number(0, 360)
		case "latitude_delta":
			box.LatitudeDelta, err = v.number(0, 180)
		default:
			err = errUnknownField
		}
		return err
	})
	return box, orRequired(err,
		requirement{"origin_longitude", math.IsNaN(box.Longitude)}, requirement{"origin_latitude", math.IsNaN(box.Latitude)},
		requirement{"longitude_delta", math.IsNaN(box.LongitudeDelta)}, requirement{"latitude_delta", math.IsNaN(box.LatitudeDelta)})
}
