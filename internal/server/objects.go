package server

import (
	"context"
	"maps"
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// object reads the body of an object of o, and fills in what it left out.
func (x *exchange) object(o matcher.Origin) (*wire.ObjectInput, error) {
	body, err := x.body()
	if err != nil {
		return nil, err
	}
	in, err := x.limits.Decoder.Object(o, x.in, body)
	if err != nil {
		return nil, err
	}
	return in, x.complete(in)
}

// complete fills in the account, the ID and the time of an object.
func (x *exchange) complete(in *wire.ObjectInput) error {
	obj := &in.Object
	if in.HasAccount {
		if err := x.checkAccount(&obj.Account, ""); err != nil {
			return err
		}
	} else if x.account != nil {
		obj.Account = *x.account
	}
	if !in.HasID {
		obj.ID = matcher.NewID()
	}
	if !in.HasTime {
		obj.CreateTime = matcher.TimeOf(time.Now())
	}
	return nil
}

// put creates or replaces the object that the path names, after change.
func (x *exchange) put(ctx context.Context, o matcher.Origin, change func(*matcher.Object)) error {
	field := o.Singular() + "_id"
	id, err := x.id(o.NotFound)
	if err != nil {
		return matcher.Errorf(matcher.CodeBadInput, "%w", err) // PUT makes what is not there
	}
	in, err := x.object(o)
	if err != nil {
		return err
	}
	if in.HasID && in.Object.ID != id {
		return matcher.Errorf(matcher.CodeBadInput, "%s: %s is not the %s of the path", field, in.Object.ID, id)
	}
	in.Object.ID = id
	change(&in.Object)
	created, err := x.server.Store.PutObject(ctx, x.account, &in.Object)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return x.value(status, map[string]any{field: id})
}

// getObject answers GET of one object of o.
func getObject(o matcher.Origin) handler {
	return func(_ context.Context, x *exchange) error {
		id, err := x.id(o.NotFound)
		if err != nil {
			return err
		}
		descriptor, err := x.flag("descriptor")
		if err != nil {
			return err
		}
		obj, ok := x.server.Memory.Get(o, id, x.account, descriptor)
		if !ok {
			return o.NotFound(id)
		}
		return x.answer(http.StatusOK, wire.AppendObject(nil, x.out, &obj, nil, descriptor))
	}
}

// deleteObject answers DELETE of one object of o.
func deleteObject(o matcher.Origin) handler {
	return func(ctx context.Context, x *exchange) error {
		id, err := x.id(o.NotFound)
		if err != nil {
			return err
		}
		if err := x.server.Store.DeleteObject(ctx, x.account, o, id); err != nil {
			return err
		}
		return x.noContent()
	}
}

// filter reads the filters of the query: what is left of it without the
// route's own keys.
func (x *exchange) filter(o matcher.Origin, own ...string) (*matcher.Filter, error) {
	rest := maps.Clone(x.query)
	for _, k := range append(own, "account_id") {
		delete(rest, k)
	}
	f, err := x.limits.Decoder.QueryFilter(o, rest)
	return &f, err
}

// page reads page and page_size and returns where the page begins.
func (x *exchange) page() (offset, size int, err error) {
	size, err = x.number("page_size", 10, 1, 1000)
	if err != nil {
		return 0, 0, err
	}
	page, err := x.number("page", 1, 1, 1<<40)
	return (page - 1) * size, size, err
}

// listObjects answers GET of the objects of o that pass filters.
func listObjects(o matcher.Origin) handler {
	return func(ctx context.Context, x *exchange) error {
		offset, size, err := x.page()
		if err != nil {
			return err
		}
		descriptor, err := x.flag("descriptor")
		if err != nil {
			return err
		}
		f, err := x.filter(o, "page", "page_size", "descriptor")
		if err != nil {
			return err
		}
		objects, count, err := x.server.Memory.Page(ctx, o, f, x.account, offset, size, descriptor)
		if err != nil {
			return err
		}
		page := make([]*matcher.Object, len(objects))
		for i := range objects {
			page[i] = &objects[i]
		}
		return x.answer(http.StatusOK, wire.AppendObjects(nil, x.out, o, page, nil, descriptor, count))
	}
}

// deleteObjects answers DELETE of the objects of o that pass filters.
func deleteObjects(o matcher.Origin) handler {
	return func(ctx context.Context, x *exchange) error {
		f, err := x.filter(o)
		if err != nil {
			return err
		}
		if f.IsZero() {
			return matcher.Errorf(matcher.CodeBadInput, "query: deleting needs a filter besides account_id")
		}
		switch names, err := x.server.Store.Owners().Of(o, f); {
		case err != nil:
			return err
		case len(names) > 0:
			return matcher.Errorf(matcher.CodeForbidden, "query: what it selects is owned by %s: delete there", matcher.OwnerText(names))
		}
		deleted, err := x.server.Store.DeleteObjects(ctx, o, func() ([]matcher.ID, error) {
			return x.server.Memory.IDs(ctx, o, f, x.account)
		})
		if err != nil {
			return err
		}
		return x.value(http.StatusOK, map[string]any{"deleted": deleted})
	}
}
