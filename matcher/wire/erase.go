package wire

import "nearside/matcher"

// EraseRequest asks for the erasure of objects.
type EraseRequest struct {
	Origin    matcher.Origin
	IDs       []matcher.ID    // nil: Filter is given
	Filter    *matcher.Filter // nil: IDs are given
	Snapshots bool
}

// Erase reads the body of POST of an erasure. A null field is absent.
func (d *Decoder) Erase(f Format, body []byte) (*EraseRequest, error) {
	req := &EraseRequest{}
	b := binder{Decoder: d, now: d.Now()}
	err := d.decode(f, body, func(v value) error {
		if v.kind() != kindObject {
			return v.mustBe("an object")
		}
		named, given := v.field("origin")
		if given && !named.isNull() {
			text, err := named.text()
			if err == nil {
				req.Origin, err = matcher.ParseOrigin(text)
			}
			if err != nil {
				return within("origin", named.mustBe("faces, events or attributes"))
			}
		}
		err := v.nullableFields(func(key string, v value) error { return req.field(&b, key, v) })
		if err := orRequired(err, requirement{"origin", !given || named.isNull()}); err != nil {
			return err
		}
		if (req.IDs == nil) == (req.Filter == nil) {
			return badInput("must have either ids or filters")
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return req, nil
}

// field reads a field other than the origin, which was read before.
func (req *EraseRequest) field(b *binder, key string, v value) (err error) {
	switch {
	case key != "origin" && key != "ids" && key != "filters" && key != "snapshots":
		err = errUnknownField
	case v.absent():
	case key == "ids":
		if err = checkCount(v, "filter_values", b.Limits.FilterValues); err == nil {
			req.IDs, err = b.ids(v)
		}
	case key == "filters":
		var f matcher.Filter
		f, err = b.routeFilters(req.Origin, v)
		req.Filter = &f
	case key == "snapshots":
		req.Snapshots, err = v.boolean()
	}
	return err
}
