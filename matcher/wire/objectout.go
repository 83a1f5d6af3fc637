package wire

import "nearside/matcher"

// location writes the location of an event, if obj has one.
func (w *Writer) location(obj *matcher.Object) {
	if obj.Event == nil || obj.Event.Location == (matcher.Location{}) {
		return
	}
	w.Key("location")
	w.Object()
	w.group(obj, "location")
	if p := obj.Event.Location.Position; p != nil {
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

// topMatch writes the top match of an event, if obj has one.
func (w *Writer) topMatch(obj *matcher.Object) {
	if obj.Event == nil || obj.Event.TopMatch == (matcher.TopMatch{}) {
		return
	}
	w.Key("top_match")
	w.Object()
	w.group(obj, "top_match")
	if s := obj.Event.TopMatch.Similarity; s != nil {
		w.Key("similarity")
		w.Float(*s)
	}
	w.EndObject()
}

// group writes the plain fields of a group that obj has.
func (w *Writer) group(obj *matcher.Object, name string) {
	for _, f := range matcher.Fields(obj.Origin) {
		if f.Group == name {
			w.plainField(f, obj)
		}
	}
}

// jsonText writes a value that is given as JSON text. In MessagePack, text that is not
// valid JSON becomes null.
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

// descriptors writes the descriptors that are present.
func (w *Writer) descriptors(obj *matcher.Object, form DescriptorForm) {
	for t, d := range obj.Descriptors {
		if d.IsZero() {
			continue
		}
		w.Key(descriptorNames[obj.Origin][t])
		w.descriptor(d, form)
	}
}

func (w *Writer) descriptor(d matcher.Descriptor, form DescriptorForm) {
	w.Object()
	w.Key("version")
	w.Uint(uint64(d.Version))
	w.Key("data")
	w.descriptorData(d, form)
	w.EndObject()
}
