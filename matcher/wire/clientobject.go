package wire

import (
	"errors"
	"slices"
	"strings"

	"nearside/matcher"
)

// ParseObjects reads a page of objects of o with their descriptors, as
// AppendObjects writes it; count is the number of objects on all pages. It skips
// fields that it does not know and descriptors of versions that are not
// registered.
func (d *Decoder) ParseObjects(f Format, o matcher.Origin, body []byte) (objects []matcher.Object, count int, err error) {
	b := d.clientBinder()
	hasObjects, hasCount := false, false
	err = d.decode(f, body, func(v value) error {
		err := v.presentFields(func(key string, v value) (err error) {
			switch key {
			case o.String():
				hasObjects = true
				err = each(v, &objects, func(v value, obj *matcher.Object) error { return b.storedObject(v, o, obj) })
			case "count":
				hasCount = true
				count, err = v.count()
			}
			return err
		})
		return orRequired(err, requirement{o.String(), !hasObjects}, requirement{"count", !hasCount})
	})
	if err != nil {
		return nil, 0, err
	}
	return objects, count, nil
}

// ParseObject reads one object in the form that it has on a page.
func (d *Decoder) ParseObject(f Format, o matcher.Origin, body []byte) (matcher.Object, error) {
	var obj matcher.Object
	b := d.clientBinder()
	if err := d.decode(f, body, func(v value) error { return b.storedObject(v, o, &obj) }); err != nil {
		return matcher.Object{}, err
	}
	return obj, nil
}

// clientBinder binds the objects of a server. Their lists may be longer than the
// limits for requests allow.
func (d *Decoder) clientBinder() *binder {
	return &binder{Decoder: &Decoder{Registry: d.Registry, Limits: Limits{FilterValues: nodesMax}}}
}

// rowBinder binds the objects of rows, which have no descriptors.
var rowBinder = (&Decoder{}).clientBinder()

// storedObject reads an object with its descriptors; its ID is required.
func (b *binder) storedObject(v value, o matcher.Origin, obj *matcher.Object) error {
	obj.Origin = o
	err := b.clientObject(v, obj, true)
	return orRequired(err, requirement{objectFields[o][0].name, obj.ID.IsZero()})
}

// clientObject reads an object as a client does. It skips null, fields that it
// does not know and descriptors of versions that are not registered. Without
// descriptors, it skips all of them.
func (b *binder) clientObject(v value, obj *matcher.Object, descriptors bool) error {
	return v.presentFields(func(key string, v value) error {
		field := fieldByName[obj.Origin][key]
		isDescriptor := strings.HasSuffix(key, "descriptor")
		if field == nil || isDescriptor && !descriptors {
			return nil
		}
		err := field.read(b, obj, v)
		if key == "lists" {
			slices.SortFunc(obj.Lists, matcher.ID.Compare)
			obj.Lists = slices.Compact(obj.Lists)
		}
		if f, ok := errors.AsType[*fault](err); ok && isDescriptor && f.code == matcher.CodeUnknownVersion {
			return nil
		}
		return err
	})
}
