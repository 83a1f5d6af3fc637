package server

import (
	"context"
	"net/http"
	"strconv"

	"nearside/matcher"
)

// createEvents stores one event or a list of events. It stores either all events or
// none.
func (s *Server) createEvents(ctx context.Context, x *exchange) error {
	if err := x.checkWritable(matcher.Events); err != nil {
		return err
	}
	body, err := x.body()
	if err != nil {
		return err
	}
	all, list, err := x.decoder().Events(x.in, body)
	if err != nil {
		return err
	}
	at := func(i int, err error) error {
		if !list || i < 0 {
			return err
		}
		return matcher.At("body["+strconv.Itoa(i)+"]", err)
	}
	objects, ids := make([]*matcher.Object, len(all)), make([]matcher.ID, len(all))
	for i, in := range all {
		if err := x.completeObject(in); err != nil {
			return at(i, err)
		}
		objects[i], ids[i] = &in.Object, in.Object.ID
	}
	if i, err := x.options.Store.CreateObjects(ctx, x.account, objects); err != nil {
		return at(i, err)
	}
	return x.sendValue(http.StatusCreated, map[string]any{"event_ids": ids})
}
