package server

import (
	"context"
	"maps"
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// face reads the body of POST and PUT, and fills in what it left out.
func (x *exchange) face() (*wire.FaceInput, error) {
	body, err := x.body()
	if err != nil {
		return nil, err
	}
	in, err := x.limits.Decoder.Face(x.in, body)
	if err != nil {
		return nil, err
	}
	return in, x.complete(in)
}

// complete fills in the account, the ID and the time of a face.
func (x *exchange) complete(in *wire.FaceInput) error {
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

func (s *Server) createFace(ctx context.Context, x *exchange) error {
	in, err := x.face()
	if err != nil {
		return err
	}
	if err := x.server.Store.CreateObject(ctx, x.account, &in.Object); err != nil {
		return err
	}
	return x.value(http.StatusCreated, map[string]any{"face_id": in.Object.ID})
}

func (s *Server) putFace(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.Faces.NotFound)
	if err != nil {
		return matcher.Errorf(matcher.CodeBadInput, "%w", err) // PUT makes what is not there
	}
	in, err := x.face()
	if err != nil {
		return err
	}
	if in.HasID && in.Object.ID != id {
		return matcher.Errorf(matcher.CodeBadInput, "face_id: %s is not the %s of the path", in.Object.ID, id)
	}
	in.Object.ID = id
	created, err := x.server.Store.PutObject(ctx, x.account, &in.Object)
	if err != nil {
		return err
	}
	status := http.StatusOK
	if created {
		status = http.StatusCreated
	}
	return x.value(status, map[string]any{"face_id": id})
}

func (s *Server) patchFace(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.Faces.NotFound)
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	patch, err := x.limits.Decoder.FacePatch(x.in, body)
	if err != nil {
		return err
	}
	if err := x.server.Store.PatchObject(ctx, x.account, matcher.Faces, id, patch); err != nil {
		return err
	}
	return x.value(http.StatusOK, map[string]any{"face_id": id})
}

func (s *Server) getFace(_ context.Context, x *exchange) error {
	id, err := x.id(matcher.Faces.NotFound)
	if err != nil {
		return err
	}
	descriptor, err := x.flag("descriptor")
	if err != nil {
		return err
	}
	obj, ok := x.server.Memory.Get(matcher.Faces, id, x.account, descriptor)
	if !ok {
		return matcher.Faces.NotFound(id)
	}
	return x.answer(http.StatusOK, wire.AppendObject(nil, x.out, &obj, nil, descriptor))
}

func (s *Server) deleteFace(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.Faces.NotFound)
	if err != nil {
		return err
	}
	if err := x.server.Store.DeleteObject(ctx, x.account, matcher.Faces, id); err != nil {
		return err
	}
	return x.noContent()
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

func (s *Server) listFaces(ctx context.Context, x *exchange) error {
	offset, size, err := x.page()
	if err != nil {
		return err
	}
	descriptor, err := x.flag("descriptor")
	if err != nil {
		return err
	}
	f, err := x.filter(matcher.Faces, "page", "page_size", "descriptor")
	if err != nil {
		return err
	}
	objects, count, err := x.server.Memory.Page(ctx, matcher.Faces, f, x.account, offset, size, descriptor)
	if err != nil {
		return err
	}
	page := make([]*matcher.Object, len(objects))
	for i := range objects {
		page[i] = &objects[i]
	}
	return x.answer(http.StatusOK, wire.AppendObjects(nil, x.out, matcher.Faces, page, nil, descriptor, count))
}

func (s *Server) deleteFaces(ctx context.Context, x *exchange) error {
	f, err := x.filter(matcher.Faces)
	if err != nil {
		return err
	}
	if f.IsZero() {
		return matcher.Errorf(matcher.CodeBadInput, "query: deleting needs a filter besides account_id")
	}
	deleted, err := x.server.Store.DeleteObjects(ctx, matcher.Faces, func() ([]matcher.ID, error) {
		return x.server.Memory.IDs(ctx, matcher.Faces, f, x.account)
	})
	if err != nil {
		return err
	}
	return x.value(http.StatusOK, map[string]any{"deleted": deleted})
}
