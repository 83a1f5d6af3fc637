package wire

import "nearside/matcher"

// ObjectInput is an object that a client gives. What it left out is zero in
// Object: the server makes ids and times.
type ObjectInput struct {
	Object              matcher.Object // Lists is sorted, each once
	HasID, HasLists     bool
	HasTime, HasAccount bool
}

// eventsMax is how many events one request may store.
const eventsMax = 1000

// objectForm is how objects of an origin are written.
type objectForm struct {
	id    string // the field of the ID
	known func(key string) bool
	bind  func(b *binder, obj *matcher.Object, key string, v value) error // of a known key
	need  func(obj *matcher.Object) requirement
}

var objectForms = [matcher.Origins]objectForm{
	matcher.Faces:      {"face_id", isFaceField, (*binder).faceField, needsDescriptor},
	matcher.Events:     {"event_id", isEventField, (*binder).eventField, needsOneDescriptor},
	matcher.Attributes: {"attribute_id", isAttributeField, (*binder).attributeField, needsDescriptor},
}

// Object reads the body of POST and PUT of an object of o. A descriptor is
// required, null is absent, and so is empty text.
func (d *Decoder) Object(o matcher.Origin, f Format, body []byte) (*ObjectInput, error) {
	in := &ObjectInput{}
	b := binder{Decoder: d}
	if err := d.decode(f, body, func(v value) error { return b.object(o, v, in) }); err != nil {
		return nil, err
	}
	return in, nil
}

// Line reads one line of an import, which is the JSON of Object.
func (d *Decoder) Line(o matcher.Origin, line []byte) (*ObjectInput, error) {
	return d.Object(o, JSON, line)
}

// Events reads the body of POST of events: one, or a list of 1..1000. list
// says which.
func (d *Decoder) Events(f Format, body []byte) (all []*ObjectInput, list bool, err error) {
	b := binder{Decoder: d}
	add := func(v value) error {
		in := &ObjectInput{}
		all = append(all, in)
		return b.object(matcher.Events, v, in)
	}
	err = d.decode(f, body, func(v value) error {
		if list = v.kind() == kindArray; !list {
			return add(v)
		}
		if n := v.len(); n == 0 || n > eventsMax {
			return badInput("%d events are not 1..%d", n, eventsMax)
		}
		return v.array(func(_ int, v value) error { return add(v) })
	})
	if err != nil {
		return nil, false, err
	}
	return all, list, nil
}

func (b *binder) object(o matcher.Origin, v value, in *ObjectInput) error {
	obj, form := &in.Object, &objectForms[o]
	obj.Origin = o
	err := v.object(func(key string, v value) error {
		switch {
		case !form.known(key):
			return errUnknownField
		case v.isNull():
			return nil
		}
		switch key {
		case form.id:
			in.HasID = true
		case "account_id":
			in.HasAccount = true
		case "create_time":
			in.HasTime = true
		case "lists":
			in.HasLists = true
		}
		return form.bind(b, obj, key, v)
	})
	return orRequired(err, form.need(obj))
}

func needsDescriptor(obj *matcher.Object) requirement {
	return requirement{"descriptor", !hasDescriptor(obj)}
}

// needsOneDescriptor names the first of the two; either is enough.
func needsOneDescriptor(obj *matcher.Object) requirement {
	return requirement{"face_descriptor", !hasDescriptor(obj)}
}

func hasDescriptor(obj *matcher.Object) bool {
	for _, d := range obj.Descriptors {
		if !d.IsZero() {
			return true
		}
	}
	return false
}

// isAttributeField reports whether an attribute has that field in a body.
func isAttributeField(key string) bool {
	switch key {
	case "attribute_id", "account_id", "create_time", "age", "gender", "ethnic_group", "descriptor":
		return true
	}
	return false
}

// attributeField sets one field of obj, which isAttributeField knows. The
// descriptor may be of any type.
func (b *binder) attributeField(obj *matcher.Object, key string, v value) (err error) {
	switch key {
	case "attribute_id":
		obj.ID, err = v.objectID()
	case "descriptor":
		var d matcher.Descriptor
		if d, err = b.descriptor(v); err == nil {
			obj.Descriptors[b.Registry.Version(d.Version).Type] = d
		}
	default:
		err = b.faceField(obj, key, v)
	}
	return err
}
