package server

import (
	"context"
	"net/http"

	"nearside/matcher"
	"nearside/matcher/wire"
)

func (s *Server) createFace(ctx context.Context, x *exchange) error {
	in, err := x.readObject()
	if err != nil {
		return err
	}
	if err := x.options.Store.CreateObject(ctx, x.account, &in.Object); err != nil {
		return err
	}
	return x.sendValue(http.StatusCreated, map[string]any{"face_id": in.Object.ID})
}

func (s *Server) putFace(ctx context.Context, x *exchange) error {
	return x.putObject(ctx, func(*matcher.Object) {})
}

func (s *Server) patchFace(ctx context.Context, x *exchange) error {
	id, err := x.id(matcher.Faces.NotFound)
	if err != nil {
		return err
	}
	patch, err := decodeBody(x, (*wire.Decoder).FacePatch)
	if err != nil {
		return err
	}
	if err := x.checkPatch(id, patch); err != nil {
		return err
	}
	change := func(obj *matcher.Object) error {
		if err := patch(obj); err != nil {
			return err
		}
		return x.checkLine(obj)
	}
	if err := x.options.Store.PatchObject(ctx, x.account, matcher.Faces, id, change); err != nil {
		return err
	}
	return x.sendValue(http.StatusOK, map[string]any{"face_id": id})
}
