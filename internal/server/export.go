package server

import (
	"context"
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// exportFlush is how many bytes of lines are sent at once.
const exportFlush = 32 << 10

// exportObjects sends objects with their descriptors, one per line, as an
// import takes them. It may take long; each pause of the client has a limit.
func (s *Server) exportObjects(ctx context.Context, x *exchange) error {
	origin, err := x.lineOrigin()
	if err != nil {
		return err
	}
	f, err := x.filter(origin, "origin")
	if err != nil {
		return err
	}
	out := x.stream("application/x-ndjson")
	if x.IsHead() {
		return nil
	}
	var lines []byte
	send := func() error {
		s.work.end() // while the client is waited for
		defer s.work.begin()
		x.conn.writeUntil(time.Now().Add(x.limits.RequestTimeout))
		_, err := out.Write(lines)
		lines = lines[:0]
		return err
	}
	s.work.begin()
	defer s.work.end()
	err = x.server.Memory.Each(context.WithoutCancel(ctx), origin, f, x.account, func(o *matcher.Object) error {
		lines = append(wire.AppendObject(lines, wire.JSON, o, nil, true), '\n')
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
