package server

import (
	"context"
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// exportFlush is the number of bytes after which lines are sent.
const exportFlush = 32 << 10

// exportObjects sends objects with their descriptors, one per line, in the format
// of an import. There is a deadline for each write, but not for the whole export.
func (s *Server) exportObjects(ctx context.Context, x *exchange) error {
	origin, err := x.lineOrigin()
	if err != nil {
		return err
	}
	f, err := x.limits.Decoder.QueryFilter(origin, x.filters)
	if err != nil {
		return err
	}
	if err := x.restrict(origin, &f, ""); err != nil {
		return err
	}
	form, err := x.exportForm()
	if err != nil {
		return err
	}
	if err := x.auditStream(http.StatusOK); err != nil {
		return err
	}
	out := x.startStream(http.StatusOK, "application/x-ndjson")
	if x.IsHead() {
		return nil
	}
	var lines []byte
	send := func() error {
		piece := out.compress(lines)
		s.workers.leave() // while it waits for the client
		defer s.workers.enter()
		x.conn.writeUntil(time.Now().Add(x.limits.RequestTimeout))
		err := out.sendPiece(piece)
		lines = reuse(lines)
		return err
	}
	s.workers.enter()
	defer s.workers.leave()
	err = x.options.Memory.Export(context.WithoutCancel(ctx), origin, &f, x.account, func(o *matcher.Object, accounts map[matcher.ID]matcher.ID) error {
		x.hideListsOf(o)
		lines = append(wire.AppendLine(lines, o, accounts, form), '\n')
		if len(lines) < exportFlush {
			return nil
		}
		return send()
	})
	if err != nil {
		return err
	}
	return send()
}
