package server

import (
	"context"
	"math"
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// readObject decodes the object in the body and completes it.
func (x *exchange) readObject() (*wire.ObjectInput, error) {
	in, err := decodeObjectBody(x, (*wire.Decoder).Object)
	if err != nil {
		return nil, err
	}
	if err := x.completeObject(in); err != nil {
		return nil, err
	}
	return in, x.placeObject(in)
}

// completeObject sets the account, the ID and the time that the client left out.
func (x *exchange) completeObject(in *wire.ObjectInput) error {
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
	return x.checkLine(obj)
}

// checkLine refuses an object whose exported line would be too long for an import.
func (x *exchange) checkLine(obj *matcher.Object) error {
	return wire.CheckLine(obj, x.limits.LineBytes)
}

// putObject calls change with the object in the body, and stores the object under
// the ID in the path.
func (x *exchange) putObject(ctx context.Context, change func(*matcher.Object)) error {
	o := x.operation.origin
	field := o.Singular() + "_id"
	id, err := x.id(o.NotFound)
	if err != nil {
		return matcher.Errorf(matcher.CodeBadInput, "%w", err) // PUT can create an object, so the error is not "not found"
	}
	if id.IsZero() {
		return matcher.Errorf(matcher.CodeBadInput, "%s: must not be the nil UUID, got %s", field, id)
	}
	in, err := x.readObject()
	if err != nil {
		return err
	}
	if in.HasID && in.Object.ID != id {
		return matcher.Errorf(matcher.CodeBadInput, "%s: must be %s as in the path, got %s", field, id, in.Object.ID)
	}
	in.Object.ID = id
	change(&in.Object)
	created, err := x.options.Store.PutObject(ctx, x.account, &in.Object)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return x.sendValue(status, map[string]any{field: id})
}

// attributeTTL is after how many seconds an attribute expires whose request names no time.
const attributeTTL = 300

// putAttribute stores an attribute that expires after ?ttl seconds.
func (s *Server) putAttribute(ctx context.Context, x *exchange) error {
	ttl, err := x.number("ttl", attributeTTL, 1, math.MaxInt32)
	if err != nil {
		return err
	}
	return x.putObject(ctx, func(o *matcher.Object) {
		o.Expires = matcher.TimeOf(time.Now().Add(time.Duration(ttl) * time.Second))
	})
}

// getObject sends the object that the path names.
func (s *Server) getObject(ctx context.Context, x *exchange) error {
	o := x.operation.origin
	id, err := x.id(o.NotFound)
	if err != nil {
		return err
	}
	form, err := x.descriptorForm()
	if err != nil {
		return err
	}
	room := &answerRoom{x: x, numbers: form.IsNumbers()}
	if err := matcher.ReserveText(x.withRoom(ctx, room), x.options.Memory.CopyBytes(o, id, x.account, form.Written())); err != nil {
		return err
	}
	obj, ok := x.options.Memory.Get(o, id, x.account, form.Written())
	if !ok || !x.lists().See(&obj) {
		return o.NotFound(id)
	}
	x.noteObjects([]matcher.Object{obj})
	x.hideListsOf(&obj)
	return x.sendBody(http.StatusOK, wire.AppendObject(nil, x.out, &obj, nil, form))
}

// deleteObject deletes the object that the path names.
func (s *Server) deleteObject(ctx context.Context, x *exchange) error {
	o := x.operation.origin
	id, err := x.id(o.NotFound)
	if err != nil {
		return err
	}
	if err := x.options.Store.DeleteObject(ctx, x.account, o, id); err != nil {
		return err
	}
	return x.sendNoContent()
}

// listObjects sends a page of the objects that pass the filters in the query.
func (s *Server) listObjects(ctx context.Context, x *exchange) error {
	req, err := x.limits.Decoder.QueryFind(x.operation.origin, x.query, x.filters)
	if err != nil {
		return err
	}
	return x.sendPage(ctx, req, "")
}

// findObjects sends a page of the objects that pass the filters in the body.
func (s *Server) findObjects(ctx context.Context, x *exchange) error {
	req, err := decodeObjectBody(x, (*wire.Decoder).Find)
	if err != nil {
		return err
	}
	x.noteBody()
	if err := x.checkAccount(req.Filter.Account, "filters."); err != nil {
		return err
	}
	return x.sendPage(ctx, req, "filters.")
}

// sendPage sends a page of objects. A page after an ID has no count, because
// counting would need all objects before it. path is the place of the filters in the
// request.
func (x *exchange) sendPage(ctx context.Context, req *wire.FindRequest, path string) error {
	o := x.operation.origin
	if err := x.restrict(o, &req.Filter, path); err != nil {
		return err
	}
	form, err := x.descriptorForm()
	if err != nil {
		return err
	}
	req.Page.Descriptors = form.Written()
	if err := x.reserve(ctx, req.Page.Size*rowBytes); err != nil {
		return err
	}
	room := &answerRoom{x: x, numbers: form.IsNumbers()}
	if req.Page.Size*rowBytes > freeBytes { // otherwise many large pages would delay small requests
		room.workers = x.conn.listener.server.workers
		room.workers.enter()
		defer room.workers.leave()
	}
	objects, count, err := x.options.Memory.Page(x.withRoom(ctx, room), o, &req.Filter, x.account, req.Page)
	if err != nil {
		return err
	}
	x.noteObjects(objects)
	if req.Page.After != nil {
		count = wire.NoCount
	}
	page := make([]*matcher.Object, len(objects))
	for i := range objects {
		x.hideListsOf(&objects[i])
		page[i] = &objects[i]
	}
	return x.sendBody(http.StatusOK, wire.AppendObjects(nil, x.out, o, page, req.Targets, form, count))
}

// deleteObjects deletes the objects that pass the filters in the query.
func (s *Server) deleteObjects(ctx context.Context, x *exchange) error {
	f, err := x.limits.Decoder.QueryFilter(x.operation.origin, x.filters)
	if err != nil {
		return err
	}
	return x.deleteSelected(ctx, &f, "query", "")
}

// deleteFoundObjects deletes the objects that pass the filters in the body.
func (s *Server) deleteFoundObjects(ctx context.Context, x *exchange) error {
	f, err := decodeObjectBody(x, (*wire.Decoder).Delete)
	if err != nil {
		return err
	}
	x.noteBody()
	if err := x.checkAccount(f.Account, "filters."); err != nil {
		return err
	}
	return x.deleteSelected(ctx, &f, "filters", "filters.")
}

// deleteSelected deletes the objects that pass f. path is the place of f in the
// request, and prefix that of its fields.
func (x *exchange) deleteSelected(ctx context.Context, f *matcher.Filter, path, prefix string) error {
	o := x.operation.origin
	withoutAccount := *f
	withoutAccount.Account = nil
	if withoutAccount.IsZero() {
		return matcher.Errorf(matcher.CodeBadInput, "%s: must have a filter besides account_id", path)
	}
	if err := x.restrict(o, f, prefix); err != nil {
		return err
	}
	switch names, err := x.options.Store.Owners().Of(o, f); {
	case err != nil:
		return err
	case len(names) > 0:
		return matcher.Errorf(matcher.CodeForbidden, "%s: the selected objects are owned by %s; delete them there", path, matcher.OwnerText(names))
	}
	deleted, err := x.options.Store.DeleteFound(ctx, o, x.options.Memory.Finder(ctx, o, f, x.account))
	if err != nil {
		return err
	}
	return x.sendValue(http.StatusOK, map[string]any{"deleted": deleted})
}
