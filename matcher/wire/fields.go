package wire

import (
	"maps"
	"math"
	"strings"

	"nearside/matcher"
)

// commonFilters are the filters of all origins.
var commonFilters = map[string]filterField{
	"account_id":       one(readAccount, func(f *matcher.Filter) **matcher.ID { return &f.Account }),
	"create_time__gte": one(readTime, func(f *matcher.Filter) **matcher.Time { return &f.CreateTime.GTE }),
	"create_time__lt":  one(readTime, func(f *matcher.Filter) **matcher.Time { return &f.CreateTime.LT }),
	"user_data":        one(readText, func(f *matcher.Filter) **string { return &f.UserData }),
	"external_ids":     many(readText, func(f *matcher.Filter) *[]string { return &f.ExternalIDs }),
	"age__gte":         one(readSmall, func(f *matcher.Filter) **uint8 { return &f.Age.GTE }).as(formInteger),
	"age__lt":          one(readSmall, func(f *matcher.Filter) **uint8 { return &f.Age.LT }).as(formInteger),
	"gender":           one(readSmall, func(f *matcher.Filter) **uint8 { return &f.Gender }).as(formInteger),
	"ethnic_groups":    many(readSmall, func(f *matcher.Filter) *[]uint8 { return &f.EthnicGroups }).as(formInteger),
}

// filterFields are the filters by origin (API.md 3), but for those of meta.
var filterFields = [matcher.Origins]map[string]filterField{
	matcher.Faces: withCommon(map[string]filterField{
		"event_ids":    many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.EventIDs }),
		"face_ids":     many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.FaceIDs }),
		"face_id__gte": one(readID, func(f *matcher.Filter) **matcher.ID { return &f.FaceID.GTE }),
		"face_id__lt":  one(readID, func(f *matcher.Filter) **matcher.ID { return &f.FaceID.LT }),
		"list_id":      one(readID, func(f *matcher.Filter) **matcher.ID { return &f.ListID }),
		"lists":        many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.Lists }),
	}),
	matcher.Events: withCommon(map[string]filterField{
		"event_ids":                 many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.EventIDs }),
		"face_ids":                  many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.FaceIDs }),
		"sources":                   many(readText, func(f *matcher.Filter) *[]string { return &f.Event.Sources }),
		"handler_ids":               many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.Event.HandlerIDs }),
		"stream_ids":                many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.Event.StreamIDs }),
		"track_ids":                 many(readText, func(f *matcher.Filter) *[]string { return &f.Event.TrackIDs }),
		"tags":                      many(readText, func(f *matcher.Filter) *[]string { return &f.Event.Tags }),
		"emotions":                  many(readSmall, func(f *matcher.Filter) *[]uint8 { return &f.Event.Emotions }).as(formInteger),
		"masks":                     many(readSmall, func(f *matcher.Filter) *[]uint8 { return &f.Event.Masks }).as(formInteger),
		"cities":                    many(readText, func(f *matcher.Filter) *[]string { return &f.Event.Cities }),
		"areas":                     many(readText, func(f *matcher.Filter) *[]string { return &f.Event.Areas }),
		"districts":                 many(readText, func(f *matcher.Filter) *[]string { return &f.Event.Districts }),
		"streets":                   many(readText, func(f *matcher.Filter) *[]string { return &f.Event.Streets }),
		"house_numbers":             many(readText, func(f *matcher.Filter) *[]string { return &f.Event.HouseNumbers }),
		"geo_position":              one(readBox, func(f *matcher.Filter) **matcher.GeoBox { return &f.Event.Position }).as(formJSON),
		"end_time__gte":             one(readTime, func(f *matcher.Filter) **matcher.Time { return &f.Event.EndTime.GTE }),
		"end_time__lt":              one(readTime, func(f *matcher.Filter) **matcher.Time { return &f.Event.EndTime.LT }),
		"top_match_object_ids":      many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.Event.TopMatchObjectIDs }),
		"top_match_external_ids":    many(readText, func(f *matcher.Filter) *[]string { return &f.Event.TopMatchExternalIDs }),
		"top_match_similarity__gte": one(readNumber, func(f *matcher.Filter) **float64 { return &f.Event.TopMatchSimilarity.GTE }).as(formNumber),
		"top_match_similarity__lt":  one(readNumber, func(f *matcher.Filter) **float64 { return &f.Event.TopMatchSimilarity.LT }).as(formNumber),
	}),
	matcher.Attributes: withCommon(map[string]filterField{
		"attribute_ids": many(readID, func(f *matcher.Filter) *[]matcher.ID { return &f.AttributeIDs }),
	}),
}

func withCommon(own map[string]filterField) map[string]filterField {
	maps.Copy(own, commonFilters)
	return own
}

// filterField returns the filter of o that key names.
func (d *Decoder) filterField(o matcher.Origin, key string) (filterField, error) {
	if field, ok := filterFields[o][key]; ok {
		return field, nil
	}
	if path, ok := strings.CutPrefix(key, "meta."); ok && o == matcher.Events {
		return d.metaFilter(path)
	}
	return filterField{}, badInput("unknown filter of %s", o)
}

// metaFilter returns the filter of a field of meta: name is "<path>__<op>".
func (d *Decoder) metaFilter(name string) (filterField, error) {
	at := strings.LastIndex(name, "__")
	if at < 0 {
		return filterField{}, badInput("a filter of meta ends in __eq, __gte, __lt or __in")
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
				return filterField{}, badInput("%s is of type boolean, which has no order", shorten(path))
			}
			return metaFilterField(declared, op), nil
		}
		return filterField{}, badInput("a filter of meta ends in __eq, __gte, __lt or __in")
	}
	return filterField{}, badInput("%q is not declared in events.meta_fields", shorten(path))
}

// metaFilterField reads the values of a filter of a field of meta.
func metaFilterField(declared matcher.MetaField, op matcher.MetaOp) filterField {
	read := func(_ *binder, v value) (matcher.MetaValue, error) { return v.metaValue(declared.Type) }
	field := filterField{list: op == matcher.MetaIn}
	field.form = [...]form{matcher.MetaNumber: formNumber, matcher.MetaString: formText, matcher.MetaBoolean: formBoolean}[declared.Type]
	field.bind = func(b *binder, f *matcher.Filter, v value) error {
		var values []matcher.MetaValue
		if op == matcher.MetaIn {
			if err := many(read, func(*matcher.Filter) *[]matcher.MetaValue { return &values }).bind(b, f, v); err != nil {
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
		return matcher.MetaValue{Number: float64(v.nodes[0].num)}, err
	default:
		f, err := v.finite()
		return matcher.MetaValue{Number: f}, err
	}
}

// finite returns a number that is one.
func (v value) finite() (float64, error) {
	f, err := v.number(-math.MaxFloat64, math.MaxFloat64)
	if err != nil {
		err = v.no("a number")
	}
	return f, err
}

func readNumber(_ *binder, v value) (float64, error) { return v.finite() }

// readBox reads the filter geo_position.
func readBox(_ *binder, v value) (matcher.GeoBox, error) {
	var box matcher.GeoBox
	nan := math.NaN()
	box = matcher.GeoBox{Longitude: nan, Latitude: nan, LongitudeDelta: nan, LatitudeDelta: nan}
	err := v.object(func(key string, v value) (err error) {
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
