package server

import (
	"context"
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

func (s *Server) createList(ctx context.Context, x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	in, err := x.limits.Decoder.List(x.in, body)
	if err != nil {
		return err
	}
	l := &in.List
	if in.HasAccount {
		if err := x.checkAccount(&l.Account, ""); err != nil {
			return err
		}
	} else if x.account != nil {
		l.Account = *x.account
	}
	if !in.HasID {
		l.ID = matcher.NewID()
	}
	l.CreateTime = matcher.TimeOf(time.Now())
	if err := x.server.Store.CreateList(ctx, l); err != nil {
		return err
	}
	return x.value(http.StatusCreated, map[string]any{"list_id": l.ID})
}

func (s *Server) listLists(ctx context.Context, x *exchange) error {
	offset, size, err := x.page()
	if err != nil {
		return err
	}
	lists, count := x.server.Memory.Lists(x.account, offset, size)
	page := make([]wire.ListAnswer, 0, len(lists))
	for _, l := range lists {
		_, faces, _ := x.server.Memory.List(ctx, l.ID, x.account) // gone since: no faces
		page = append(page, wire.ListAnswer{List: l, FaceCount: faces})
	}
	return x.answer(http.StatusOK, wire.AppendLists(nil, x.out, page, count))
}

func (s *Server) getList(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.ListNotFound)
	if err != nil {
		return err
	}
	l, faces, ok := x.server.Memory.List(ctx, id, x.account)
	if !ok {
		return matcher.ListNotFound(id)
	}
	return x.answer(http.StatusOK, wire.AppendList(nil, x.out, wire.ListAnswer{List: l, FaceCount: faces}))
}

func (s *Server) patchList(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.ListNotFound)
	if err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	patch, err := x.limits.Decoder.ListPatch(x.in, body)
	if err != nil {
		return err
	}
	if err := x.server.Store.PatchList(ctx, x.account, id, patch); err != nil {
		return err
	}
	return x.value(http.StatusOK, map[string]any{"list_id": id})
}

func (s *Server) deleteList(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.ListNotFound)
	if err != nil {
		return err
	}
	withFaces, err := x.flag("with_faces")
	if err != nil {
		return err
	}
	var faces func() ([]matcher.ID, error)
	if withFaces {
		faces = func() ([]matcher.ID, error) {
			return x.server.Memory.IDs(ctx, matcher.Faces, &matcher.Filter{ListID: &id}, x.account)
		}
	}
	if err := x.server.Store.DeleteList(ctx, x.account, id, faces); err != nil {
		return err
	}
	return x.noContent()
}

func (s *Server) link(ctx context.Context, x *exchange) error {
	body, err := x.body()
	if err != nil {
		return err
	}
	req, err := x.limits.Decoder.Linker(x.in, body)
	if err != nil {
		return err
	}
	if err := x.server.Store.Link(ctx, x.account, req.ListID, req.FaceIDs, req.Attach); err != nil {
		return err
	}
	return x.noContent()
}
