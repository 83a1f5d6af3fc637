package server

import (
	"context"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// exportFlush is how many bytes of lines go out at once.
const exportFlush = 256 << 10

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
	out := x.chunks("application/x-ndjson")
	var lines []byte
	send := func() error {
		if err := x.GetConn().SetWriteTimeout(x.limits.RequestTimeout); err != nil {
			return err
		}
		if _, err := out.Write(lines); err != nil {
			return err
		}
		lines = lines[:0]
		return out.Flush()
	}
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
