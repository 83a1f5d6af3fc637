package wire

import (
	"cmp"
	"slices"

	"nearside/matcher"
)

// objectField is a field of objects in requests and answers.
type objectField struct {
	name  string
	read  func(b *binder, obj *matcher.Object, v value) error // v is not null
	write func(w *Writer, obj *matcher.Object)                // writes nothing if obj does not have the field
	// copy copies the field from the object of a PATCH to the stored object. In a
	// PATCH, null clears the field, unless required is set.
	copy     func(to, from *matcher.Object)
	required bool
}

// objectFields are the fields of objects by origin, in the order of answers. They do
// not include the descriptors, whose names are in descriptorNames.
var objectFields = func() (by [matcher.Origins][]objectField) {
	for o := range matcher.Origins {
		fields := []objectField{idField(o), accountField, createTimeField}
		for _, f := range matcher.Fields(o) {
			if f.Group == "" {
				fields = append(fields, plainObjectField(f))
			}
		}
		by[o] = append(fields, ownFields[o]...)
		slices.SortStableFunc(by[o], func(a, b objectField) int {
			return cmp.Compare(answerPlace(o, a.name), answerPlace(o, b.name))
		})
	}
	return by
}()

// answerOrder fixes the order of these fields in answers. Answers then stay the same,
// byte for byte, when other fields are added. Fields that are not listed come last.
var answerOrder = [matcher.Origins][]string{
	matcher.Faces: {"face_id", "account_id", "external_id", "user_data", "event_id", "create_time", "avatar", "lists"},
	matcher.Events: {
		"event_id", "account_id", "create_time", "end_time", "source", "handler_id", "stream_id", "track_id",
		"external_id", "user_data", "tags", "face_id", "age", "gender", "ethnic_group", "emotion", "mask",
		"location", "top_match", "meta",
	},
}

// answerPlace returns the place of a field in answerOrder.
func answerPlace(o matcher.Origin, name string) int {
	if i := slices.Index(answerOrder[o], name); i >= 0 {
		return i
	}
	return len(answerOrder[o])
}

// fieldByName holds objectFields and the fields of descriptors, by origin and name.
var fieldByName = func() (by [matcher.Origins]map[string]*objectField) {
	for o := range by {
		by[o] = map[string]*objectField{}
		for i := range objectFields[o] {
			by[o][objectFields[o][i].name] = &objectFields[o][i]
		}
		for t, name := range descriptorNames[o] {
			by[o][name] = descriptorField(matcher.Origin(o), matcher.DescriptorType(t))
		}
	}
	return by
}()

// plainByName are the plain fields by origin, group and name.
var plainByName = func() (by [matcher.Origins]map[string]map[string]*matcher.Field) {
	for o := range matcher.Origins {
		by[o] = map[string]map[string]*matcher.Field{}
		for _, f := range matcher.Fields(o) {
			if by[o][f.Group] == nil {
				by[o][f.Group] = map[string]*matcher.Field{}
			}
			by[o][f.Group][f.Name] = f
		}
	}
	return by
}()

func idField(o matcher.Origin) objectField {
	name := o.Singular() + "_id"
	return objectField{
		name: name, required: true,
		read:  func(_ *binder, obj *matcher.Object, v value) (err error) { obj.ID, err = v.objectID(); return err },
		write: func(w *Writer, obj *matcher.Object) { w.Key(name); w.ID(obj.ID) },
	}
}

var accountField = objectField{
	name: "account_id", required: true,
	read:  func(_ *binder, obj *matcher.Object, v value) (err error) { obj.Account, err = v.objectID(); return err },
	write: func(w *Writer, obj *matcher.Object) { w.optionalID("account_id", obj.Account) },
}

var createTimeField = objectField{
	name: "create_time", required: true,
	read:  func(_ *binder, obj *matcher.Object, v value) (err error) { obj.CreateTime, err = v.time(); return err },
	write: func(w *Writer, obj *matcher.Object) { w.Key("create_time"); w.Time(obj.CreateTime) },
	copy:  func(to, from *matcher.Object) { to.CreateTime = from.CreateTime },
}

func plainObjectField(f *matcher.Field) objectField {
	return objectField{
		name:  f.Name,
		read:  func(_ *binder, obj *matcher.Object, v value) error { return v.plainField(f, obj) },
		write: func(w *Writer, obj *matcher.Object) { w.plainField(f, obj) },
		copy:  f.Copy,
	}
}

// plainField reads a plain field of obj.
func (v value) plainField(f *matcher.Field, obj *matcher.Object) error {
	switch f.Kind {
	case matcher.TextField:
		text, err := v.keptText()
		f.SetText(obj, text)
		return err
	case matcher.UUIDField:
		id, err := v.objectID()
		f.SetUUID(obj, id)
		return err
	case matcher.SmallsField:
		numbers, err := v.smalls()
		f.SetText(obj, string(numbers))
		return err
	default:
		n, err := v.small()
		f.SetSmall(obj, matcher.SmallOf(n))
		return err
	}
}

// plainField writes a plain field of obj, if obj has it.
func (w *Writer) plainField(f *matcher.Field, obj *matcher.Object) {
	switch f.Kind {
	case matcher.TextField:
		w.optionalText(f.Name, f.Text(obj))
	case matcher.UUIDField:
		w.optionalID(f.Name, f.UUID(obj))
	case matcher.SmallsField:
		w.optionalSmalls(f.Name, matcher.Smalls(f.Text(obj)))
	default:
		w.optionalSmall(f.Name, f.Small(obj))
	}
}

// descriptorField returns the field for the descriptor of type t in objects of o. In
// attributes, the field accepts a descriptor of any type.
func descriptorField(o matcher.Origin, t matcher.DescriptorType) *objectField {
	f := &objectField{
		name: descriptorNames[o][t], required: true,
		read: func(b *binder, obj *matcher.Object, v value) error { return b.descriptorOf(obj, t, v) },
		copy: func(to, from *matcher.Object) { to.Descriptors[t] = from.Descriptors[t] },
	}
	switch o {
	case matcher.Attributes:
		f.read = func(b *binder, obj *matcher.Object, v value) error {
			d, err := b.descriptor(v)
			if err == nil {
				obj.Descriptors[b.Registry.Version(d.Version).Type] = d
			}
			return err
		}
	case matcher.Faces: // both types have the same name
		f.read = func(b *binder, obj *matcher.Object, v value) error {
			return b.descriptorOf(obj, matcher.FaceDescriptor, v)
		}
		f.copy = func(to, from *matcher.Object) {
			to.Descriptors[matcher.FaceDescriptor] = from.Descriptors[matcher.FaceDescriptor]
		}
	}
	return f
}

// ownFields are the fields of one origin that are not plain.
var ownFields = [matcher.Origins][]objectField{
	matcher.Faces: {{
		name: "lists",
		read: func(b *binder, obj *matcher.Object, v value) (err error) { obj.Lists, err = b.ids(v); return err },
		write: func(w *Writer, obj *matcher.Object) {
			w.Key("lists")
			w.Array(len(obj.Lists))
			for _, id := range obj.Lists {
				w.ID(id)
			}
			w.EndArray()
		},
		copy: func(to, from *matcher.Object) { to.Lists = from.Lists },
	}},
	matcher.Events: {
		eventField("end_time",
			func(_ *binder, e *matcher.Event, v value) error {
				t, err := v.time()
				e.EndTime = &t
				return err
			},
			func(w *Writer, e *matcher.Event) {
				if e.EndTime != nil {
					w.Key("end_time")
					w.Time(*e.EndTime)
				}
			}),
		eventField("tags",
			func(b *binder, e *matcher.Event, v value) (err error) { e.Tags, err = b.tags(v); return err },
			func(w *Writer, e *matcher.Event) {
				if len(e.Tags) > 0 {
					w.Key("tags")
					writeList(w, e.Tags)
				}
			}),
		{
			name:  "location",
			read:  func(_ *binder, obj *matcher.Object, v value) error { return v.location(obj) },
			write: (*Writer).location,
		},
		{
			name:  "top_match",
			read:  func(_ *binder, obj *matcher.Object, v value) error { return v.topMatch(obj) },
			write: (*Writer).topMatch,
		},
		eventField("meta",
			func(_ *binder, e *matcher.Event, v value) (err error) { e.Meta, err = v.meta(); return err },
			func(w *Writer, e *matcher.Event) {
				if e.Meta != "" {
					w.Key("meta")
					w.jsonText(e.Meta)
				}
			}),
	},
}

// eventField returns a field of Object.Event. The event is never nil when read or write
// is called.
func eventField(name string, read func(*binder, *matcher.Event, value) error, write func(*Writer, *matcher.Event)) objectField {
	return objectField{
		name: name,
		read: func(b *binder, obj *matcher.Object, v value) error { return read(b, eventOf(obj), v) },
		write: func(w *Writer, obj *matcher.Object) {
			if obj.Event != nil {
				write(w, obj.Event)
			}
		},
	}
}

// eventOf returns obj.Event. It sets obj.Event if that is nil.
func eventOf(obj *matcher.Object) *matcher.Event {
	if obj.Event == nil {
		obj.Event = &matcher.Event{}
	}
	return obj.Event
}
