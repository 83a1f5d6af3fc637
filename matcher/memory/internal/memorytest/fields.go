package memorytest

import (
	"slices"

	"nearside/matcher"
)

// passesField reports whether x passes a filter on one of its fields.
func passesField(f *matcher.FieldFilter, x *matcher.Object) bool {
	switch value := FieldOf(x, f.Field.Path()).(type) {
	case string:
		return slices.Contains(f.Texts, value)
	case matcher.ID:
		return slices.Contains(f.UUIDs, value)
	case uint8:
		return (f.Smalls == nil || slices.Contains(f.Smalls, value)) && InRange(f.Range, value)
	case []uint8:
		return slices.ContainsFunc(value, func(n uint8) bool { return slices.Contains(f.Smalls, n) })
	default:
		return false // absent
	}
}

// FieldOf returns a field of an object in the same form as Selection.Reader.
func FieldOf(x *matcher.Object, name string) any {
	id := func(id matcher.ID) any {
		if id.IsZero() {
			return nil
		}
		return id
	}
	text := func(s string) any {
		if s == "" {
			return nil
		}
		return s
	}
	small := func(s matcher.Small) any {
		if v, ok := s.Get(); ok {
			return v
		}
		return nil
	}
	smalls := func(s matcher.Smalls) any {
		switch values, isList := s.Values(); {
		case isList:
			return values
		case values != nil:
			return values[0]
		}
		return nil
	}
	common := map[string]any{
		x.Origin.Singular() + "_id": id(x.ID), "account_id": id(x.Account), "create_time": x.CreateTime, "external_id": text(x.ExternalID),
		"user_data": text(x.UserData), "age": small(x.Age), "gender": small(x.Gender), "ethnic_group": small(x.EthnicGroup),
	}
	if value, ok := common[name]; ok {
		return value
	}
	if x.Origin == matcher.Faces {
		return map[string]any{"event_id": id(x.EventID), "avatar": text(x.Avatar)}[name]
	}
	e := x.Event
	if e == nil {
		return nil
	}
	return map[string]any{
		"source": text(e.Source), "handler_id": id(e.HandlerID),
		"stream_id": id(e.StreamID), "track_id": text(e.TrackID), "face_id": id(e.FaceID), "emotion": small(e.Emotion), "mask": small(e.Mask),
		"location.city": text(e.Location.City), "location.area": text(e.Location.Area), "location.district": text(e.Location.District),
		"location.street": text(e.Location.Street), "location.house_number": text(e.Location.HouseNumber),
		"top_match.object_id": id(e.TopMatch.ObjectID), "top_match.external_id": text(e.TopMatch.ExternalID),
		"source_group": text(e.SourceGroup), "apparent_age": small(e.ApparentAge), "apparent_gender": small(e.ApparentGender),
		"headwear_state": smalls(e.HeadwearState), "sleeve_length": smalls(e.SleeveLength), "upper_clothing_color": smalls(e.UpperClothingColor),
		"backpack_state": smalls(e.BackpackState), "lower_garment_type": smalls(e.LowerGarmentType), "lower_garment_color": smalls(e.LowerGarmentColor),
		"shoes_apparent_color": smalls(e.ShoesApparentColor), "headwear_apparent_color": smalls(e.HeadwearApparentColor),
		"tags": append([]string{}, e.Tags...), "end_time": optional(e.EndTime), "top_match.similarity": optional(e.TopMatch.Similarity),
		"location.geo_position.longitude": coordinate(e, func(p *matcher.Position) float64 { return p.Longitude }),
		"location.geo_position.latitude":  coordinate(e, func(p *matcher.Position) float64 { return p.Latitude }),
	}[name]
}

// optional returns the value at p, or nil.
func optional[T any](p *T) any {
	if p == nil {
		return nil
	}
	return *p
}

// coordinate returns a coordinate of an event, or nil.
func coordinate(e *matcher.Event, of func(*matcher.Position) float64) any {
	if e.Location.Position == nil {
		return nil
	}
	return of(e.Location.Position)
}
