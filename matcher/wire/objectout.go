package wire

import "nearside/matcher"

// eventField writes a field of an event, if it is there.
func (w *Writer) eventField(obj *matcher.Object, name string) {
	e := obj.Event
	if e == nil {
		e = &matcher.Event{}
	}
	switch name {
	case "end_time":
		if e.EndTime != nil {
			w.Key(name)
			w.Time(*e.EndTime)
		}
	case "source":
		w.optionalText(name, e.Source)
	case "handler_id":
		w.optionalID(name, e.HandlerID)
	case "stream_id":
		w.optionalID(name, e.StreamID)
	case "track_id":
		w.optionalText(name, e.TrackID)
	case "tags":
		if len(e.Tags) > 0 {
			w.Key(name)
			list(w, e.Tags)
		}
	case "face_id":
		w.optionalID(name, e.FaceID)
	case "emotion":
		w.optionalSmall(name, e.Emotion)
	case "mask":
		w.optionalSmall(name, e.Mask)
	case "location":
		w.location(name, &e.Location)
	case "top_match":
		w.topMatch(name, &e.TopMatch)
	case "meta":
		if e.Meta != "" {
			w.Key(name)
			w.jsonText(e.Meta)
		}
	default:
		w.faceField(obj, name)
	}
}

func (w *Writer) location(key string, l *matcher.Location) {
	if *l == (matcher.Location{}) {
		return
	}
	w.Key(key)
	w.Object()
	w.optionalText("city", l.City)
	w.optionalText("area", l.Area)
	w.optionalText("district", l.District)
	w.optionalText("street", l.Street)
	w.optionalText("house_number", l.HouseNumber)
	if p := l.Position; p != nil {
		w.Key("geo_position")
		w.Object()
		w.Key("longitude")
		w.Float(p.Longitude)
		w.Key("latitude")
		w.Float(p.Latitude)
		w.EndObject()
	}
	w.EndObject()
}

func (w *Writer) topMatch(key string, m *matcher.TopMatch) {
	if *m == (matcher.TopMatch{}) {
		return
	}
	w.Key(key)
	w.Object()
	w.optionalID("object_id", m.ObjectID)
	w.optionalText("external_id", m.ExternalID)
	if m.Similarity != nil {
		w.Key("similarity")
		w.Float(*m.Similarity)
	}
	w.EndObject()
}

// jsonText writes a value that is JSON already. What is not valid becomes null.
func (w *Writer) jsonText(text string) {
	if w.format == JSON {
		w.Raw([]byte(text))
		return
	}
	t := newTape()
	defer t.release()
	if t.parseJSON([]byte(text)) != nil {
		w.Null()
		return
	}
	w.node(t.root())
}

// descriptorNames are the fields of descriptors by origin and type.
var descriptorNames = [matcher.Origins][matcher.DescriptorTypes]string{
	matcher.Faces:      {matcher.FaceDescriptor: "descriptor", matcher.BodyDescriptor: "descriptor"},
	matcher.Events:     {matcher.FaceDescriptor: "face_descriptor", matcher.BodyDescriptor: "body_descriptor"},
	matcher.Attributes: {matcher.FaceDescriptor: "descriptor", matcher.BodyDescriptor: "descriptor"},
}

// descriptors writes those that are there.
func (w *Writer) descriptors(obj *matcher.Object) {
	for t, d := range obj.Descriptors {
		if d.IsZero() {
			continue
		}
		w.Key(descriptorNames[obj.Origin][t])
		w.descriptor(d)
	}
}

func (w *Writer) descriptor(d matcher.Descriptor) {
	w.Object()
	w.Key("version")
	w.Uint(uint64(d.Version))
	w.Key("data")
	w.Bytes(d.Data)
	w.EndObject()
}
