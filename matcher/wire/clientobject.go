package wire

import (
	"errors"
	"strings"

	"nearside/matcher"
)

// ParseObjects reads a page of objects of o with their descriptors, as
// AppendObjects writes it; count is how many there are on all pages. Fields
// that this version does not know are skipped, and so are descriptors of
// versions that are not registered.
func (d *Decoder) ParseObjects(f Format, o matcher.Origin, body []byte) (objects []matcher.Object, count int, err error) {
	b := d.clientBinder()
	hasObjects, hasCount := false, false
	err = d.decode(f, body, func(v value) error {
		err := v.given(func(key string, v value) (err error) {
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

// ParseObject reads one object, which is an element of ParseObjects.
func (d *Decoder) ParseObject(f Format, o matcher.Origin, body []byte) (matcher.Object, error) {
	var obj matcher.Object
	b := d.clientBinder()
	if err := d.decode(f, body, func(v value) error { return b.storedObject(v, o, &obj) }); err != nil {
		return matcher.Object{}, err
	}
	return obj, nil
}

// clientBinder binds what a server says: its objects may have more values than
// a request of ours may.
func (d *Decoder) clientBinder() *binder {
	return &binder{Decoder: &Decoder{Registry: d.Registry, Limits: Limits{FilterValues: nodesMax}}}
}

// rowBinder binds the objects of rows, which have no descriptors.
var rowBinder = (&Decoder{}).clientBinder()

// storedObject reads an object with its descriptors; its ID must be there.
func (b *binder) storedObject(v value, o matcher.Origin, obj *matcher.Object) error {
	obj.Origin = o
	err := b.clientObject(v, obj, true)
	return orRequired(err, requirement{objectForms[o].id, obj.ID.IsZero()})
}

// clientObject reads an object as a client does: fields that it does not know
// and null are skipped, and descriptors that it cannot use or does not want.
func (b *binder) clientObject(v value, obj *matcher.Object, descriptors bool) error {
	form := &objectForms[obj.Origin]
	return v.given(func(key string, v value) error {
		isDescriptor := strings.HasSuffix(key, "descriptor")
		if !form.known(key) || isDescriptor && !descriptors {
			return nil
		}
		err := form.bind(b, obj, key, v)
		if f, ok := errors.AsType[*fault](err); ok && isDescriptor && f.code == matcher.CodeUnknownVersion {
			return nil
		}
		return err
	})
}
