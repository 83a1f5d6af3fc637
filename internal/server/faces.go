package server

import (
	"context"
	"net/http"

	"nearside/matcher"
)

func (s *Server) createFace(ctx context.Context, x *exchange) error {
	in, err := x.object(matcher.Faces)
	if err != nil {
		return err
	}
	if err := x.server.Store.CreateObject(ctx, x.account, &in.Object); err != nil {
		return err
	}
	return x.value(http.StatusCreated, map[string]any{"face_id": in.Object.ID})
}

func (s *Server) putFace(ctx context.Context, x *exchange) error {
	return x.put(ctx, matcher.Faces, func(*matcher.Object) {})
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
