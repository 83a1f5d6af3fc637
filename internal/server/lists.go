package server

import (
	"context"
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/matcher/wire"
)

func (s *Server) createList(ctx context.Context, x *exchange) error {
	in, err := decodeBody(x, (*wire.Decoder).List)
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
	if err := x.checkList("list_id", l.ID); err != nil {
		return err
	}
	if !in.HasTime {
		l.CreateTime = matcher.TimeOf(time.Now())
	}
	if err := x.options.Store.CreateList(ctx, l); err != nil {
		return err
	}
	return x.sendValue(http.StatusCreated, map[string]any{"list_id": l.ID})
}

func (s *Server) listLists(ctx context.Context, x *exchange) error {
	req, err := x.limits.Decoder.QueryFind(matcher.Faces, x.query, nil)
	if err != nil {
		return err
	}
	lists, count := x.pageOfLists(ctx, req.Page)
	if req.Page.After != nil {
		count = wire.NoCount
	}
	page := make([]wire.ListAnswer, 0, len(lists))
	for _, l := range lists {
		_, faces, _ := x.options.Memory.List(ctx, l.ID, x.account) // 0 faces if the list was deleted in the meantime
		page = append(page, wire.ListAnswer{List: l, FaceCount: faces})
	}
	return x.sendBody(http.StatusOK, wire.AppendLists(nil, x.out, page, count))
}

func (s *Server) getList(ctx context.Context, x *exchange) error {
	id, err := x.listID()
	if err != nil {
		return err
	}
	l, faces, ok := x.options.Memory.List(ctx, id, x.account)
	if !ok {
		return matcher.ListNotFound(id)
	}
	return x.sendBody(http.StatusOK, wire.AppendList(nil, x.out, wire.ListAnswer{List: l, FaceCount: faces}))
}

func (s *Server) patchList(ctx context.Context, x *exchange) error {
	id, err := x.listID()
	if err != nil {
		return err
	}
	patch, err := decodeBody(x, (*wire.Decoder).ListPatch)
	if err != nil {
		return err
	}
	if err := x.checkListPatch(id, patch); err != nil {
		return err
	}
	if err := x.options.Store.PatchList(ctx, x.account, id, patch); err != nil {
		return err
	}
	return x.sendValue(http.StatusOK, map[string]any{"list_id": id})
}

func (s *Server) deleteList(ctx context.Context, x *exchange) error {
	id, err := x.listID()
	if err != nil {
		return err
	}
	withFaces, err := x.flag("with_faces")
	if err != nil {
		return err
	}
	if x.lists() != nil {
		return x.unlinkList(ctx, id, withFaces)
	}
	var faces store.FindFunc
	if withFaces {
		faces = x.options.Memory.Finder(ctx, matcher.Faces, &matcher.Filter{ListID: &id}, x.account)
	}
	if err := x.options.Store.DeleteList(ctx, x.account, id, faces); err != nil {
		return err
	}
	return x.sendNoContent()
}

func (s *Server) linkFaces(ctx context.Context, x *exchange) error {
	req, err := decodeBody(x, (*wire.Decoder).Linker)
	if err != nil {
		return err
	}
	if err := x.checkList("list_id", req.ListID); err != nil {
		return err
	}
	if x.audit.wanted {
		action := "detach"
		if req.Attach {
			action = "attach"
		}
		x.noteFilters(wire.AppendValue(nil, wire.JSON, map[string]any{"action": action, "list_id": req.ListID}))
	}
	if err := x.options.Store.Link(ctx, x.account, req.ListID, req.FaceIDs, req.Attach); err != nil {
		return err
	}
	return x.sendNoContent()
}
