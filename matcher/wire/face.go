package wire

import "nearside/matcher"

// descriptorOf reads the descriptor of type t of obj.
func (b *binder) descriptorOf(obj *matcher.Object, t matcher.DescriptorType, v value) error {
	d, err := b.descriptor(v)
	if err != nil {
		return err
	}
	if other := b.Registry.Version(d.Version).Type; other != t {
		if obj.Origin == matcher.Faces {
			return within("version", badInput("must be a version of type face, got %d of type body; a face cannot have a body descriptor", d.Version))
		}
		return within("version", badInput("must be a version of type %s, got %d of type %s", t, d.Version, other))
	}
	obj.Descriptors[t] = d
	return nil
}

// ids reads ids of objects. They keep the order of the request, so that an error
// can give the position of a wrong one.
func (b *binder) ids(v value) ([]matcher.ID, error) {
	if v.kind() != kindArray {
		return nil, v.mustBe("an array")
	}
	if limit := b.Limits.FilterValues; v.len() > limit {
		return nil, tooMany(v.len(), "filter_values", limit)
	}
	ids := make([]matcher.ID, v.len())
	err := v.array(func(i int, v value) (err error) {
		ids[i], err = v.objectID()
		return err
	})
	return ids, err
}

// FacePatch reads the body of PATCH and returns a function that applies it to a
// face. The function sets the fields that are given; null clears a field. A
// descriptor or a create_time can be replaced but not cleared. face_id and
// account_id cannot change: the function returns an error if the body gives other
// values for them. After an error, the face is unchanged.
func (d *Decoder) FacePatch(f Format, body []byte) (func(*matcher.Object) error, error) {
	var given matcher.Object
	var fields []*objectField
	b := binder{Decoder: d}
	err := d.decode(f, body, func(v value) error {
		return v.strictFields(func(key string, v value) error {
			field := fieldByName[matcher.Faces][key]
			if field == nil {
				return errUnknownField
			}
			fields = append(fields, field)
			switch {
			case !v.isNull():
				return field.read(&b, &given, v)
			case field.required:
				return badInput("cannot be cleared")
			}
			return nil
		})
	})
	if err != nil {
		return nil, err
	}
	return func(obj *matcher.Object) error {
		if !given.ID.IsZero() && given.ID != obj.ID {
			return matcher.Errorf(matcher.CodeBadInput, "face_id: %s cannot be changed to %s", obj.ID, given.ID)
		}
		if !given.Account.IsZero() && given.Account != obj.Account {
			return matcher.AccountChange(obj.Account, given.Account)
		}
		for _, field := range fields {
			if field.copy != nil {
				field.copy(obj, &given)
			}
		}
		return nil
	}, nil
}
