package wire

import (
	"math"

	"nearside/matcher"
)

// isEventField reports whether an event has that field in a body.
func isEventField(key string) bool {
	switch key {
	case "event_id", "account_id", "create_time", "end_time", "source", "handler_id", "stream_id", "track_id",
		"external_id", "user_data", "tags", "face_id", "age", "gender", "ethnic_group", "emotion", "mask",
		"location", "top_match", "meta", "face_descriptor", "body_descriptor":
		return true
	}
	return false
}

// eventField sets one field of obj, which isEventField knows.
func (b *binder) eventField(obj *matcher.Object, key string, v value) (err error) {
	switch key {
	case "event_id":
		obj.ID, err = v.objectID()
	case "account_id", "create_time", "external_id", "user_data", "age", "gender", "ethnic_group":
		err = b.faceField(obj, key, v)
	case "face_descriptor":
		err = b.descriptorOf(obj, matcher.FaceDescriptor, v)
	case "body_descriptor":
		err = b.descriptorOf(obj, matcher.BodyDescriptor, v)
	default:
		if obj.Event == nil {
			obj.Event = &matcher.Event{}
		}
		err = b.ownField(obj.Event, key, v)
	}
	return err
}

// ownField sets a field that only events have.
func (b *binder) ownField(e *matcher.Event, key string, v value) (err error) {
	switch key {
	case "end_time":
		var t matcher.Time
		t, err = v.time()
		e.EndTime = &t
	case "source":
		e.Source, err = v.keptText()
	case "handler_id":
		e.HandlerID, err = v.objectID()
	case "stream_id":
		e.StreamID, err = v.objectID()
	case "track_id":
		e.TrackID, err = v.keptText()
	case "tags":
		e.Tags, err = b.tags(v)
	case "face_id":
		e.FaceID, err = v.objectID()
	case "emotion":
		e.Emotion, err = v.optionalSmall()
	case "mask":
		e.Mask, err = v.optionalSmall()
	case "location":
		err = v.location(&e.Location)
	case "top_match":
		err = v.topMatch(&e.TopMatch)
	case "meta":
		e.Meta, err = v.meta()
	}
	return err
}

// tags reads texts and keeps them as they are given.
func (b *binder) tags(v value) ([]string, error) {
	if v.kind() != kindArray {
		return nil, v.no("a list")
	}
	if most := b.Limits.FilterValues; v.len() > most {
		return nil, tooMany(v.len(), "filter_values", most)
	}
	var tags []string
	err := v.array(func(_ int, v value) error {
		s, err := v.keptText()
		if err == nil && s == "" {
			err = badInput("must not be empty")
		}
		tags = append(tags, s)
		return err
	})
	return tags, err
}

// present is object, with null as absent.
func (v value) present(visit func(key string, v value) error) error {
	return v.object(func(key string, field value) error {
		if field.isNull() {
			field = value{}
		}
		return visit(key, field)
	})
}

func (v value) absent() bool { return v.nodes == nil }

func (v value) location(to *matcher.Location) error {
	texts := map[string]*string{
		"city": &to.City, "area": &to.Area, "district": &to.District, "street": &to.Street, "house_number": &to.HouseNumber,
	}
	return v.present(func(key string, v value) (err error) {
		text := texts[key]
		switch {
		case text == nil && key != "geo_position":
			err = errUnknownField
		case v.absent():
		case text != nil:
			*text, err = v.keptText()
		default:
			to.Position, err = v.position()
		}
		return err
	})
}

func (v value) position() (*matcher.Position, error) {
	p := &matcher.Position{Longitude: math.NaN(), Latitude: math.NaN()}
	err := v.object(func(key string, v value) (err error) {
		switch key {
		case "longitude":
			p.Longitude, err = v.number(-180, 180)
		case "latitude":
			p.Latitude, err = v.number(-90, 90)
		default:
			err = errUnknownField
		}
		return err
	})
	return p, orRequired(err,
		requirement{"longitude", math.IsNaN(p.Longitude)}, requirement{"latitude", math.IsNaN(p.Latitude)})
}

func (v value) topMatch(to *matcher.TopMatch) error {
	return v.present(func(key string, v value) (err error) {
		switch {
		case key != "object_id" && key != "external_id" && key != "similarity":
			err = errUnknownField
		case v.absent():
		case key == "object_id":
			to.ObjectID, err = v.objectID()
		case key == "external_id":
			to.ExternalID, err = v.keptText()
		default:
			var f float64
			f, err = v.number(0, 1)
			to.Similarity = &f
		}
		return err
	})
}

// metaDepth is how deep meta may be nested, so that an answer with it is not
// nested deeper than a body may be.
const metaDepth = 24

// meta returns an object as JSON text.
func (v value) meta() (string, error) {
	if v.kind() != kindObject {
		return "", v.no("an object")
	}
	if err := v.checkMeta(metaDepth); err != nil {
		return "", err
	}
	w := NewWriter(nil, JSON)
	w.node(v)
	return string(w.Done()), nil
}

// checkMeta refuses what JSON cannot say, or says in two ways.
func (v value) checkMeta(depth int) error {
	switch n := v.nodes[0]; n.kind {
	case kindFloat:
		if f := math.Float64frombits(n.num); math.IsInf(f, 0) || math.IsNaN(f) {
			return v.no("a finite number")
		}
	case kindArray, kindObject:
		if depth == 0 {
			return badInput("nested deeper than %d", metaDepth)
		}
		if n.kind == kindArray {
			return v.array(func(_ int, v value) error { return v.checkMeta(depth - 1) })
		}
		seen := make(map[string]struct{}, v.len())
		return v.known(func(key string, v value) error {
			if _, twice := seen[key]; twice {
				return badInput("given twice")
			}
			seen[key] = struct{}{}
			return v.checkMeta(depth - 1)
		})
	}
	return nil
}
