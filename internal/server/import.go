package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"

	"nearside/matcher"
)

// importObjects stores lines as they come. It may take long; each pause has a
// limit instead of the whole.
func (s *Server) importObjects(ctx context.Context, x *exchange) error {
	o, err := x.lineOrigin()
	if err != nil {
		return err
	}
	owners := s.options.Store.Owners()
	if err := owners.CheckOrigin(o); err != nil {
		return err
	}
	d := lineDecoder{x: x, origin: o}
	if text, ok := x.query["list_id"]; ok {
		id, err := matcher.ParseID(text)
		if err != nil {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: %w", err)
		}
		if o != matcher.Faces {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: only faces are in lists, not %s", o)
		}
		if err := owners.CheckList(id); err != nil {
			return err
		}
		d.list = id
	}
	media, err := x.media()
	if err != nil {
		return err
	}
	if media != "" && media != "application/x-ndjson" {
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: %q is not application/x-ndjson", shorten(media))
	}
	room := &importRoom{of: s.blocks, ctx: s.context, timeout: x.limits.RequestTimeout}
	defer room.close()
	x.held = x.limits.lines.claim(x.conn.endReading)
	in := idleReader{x}
	lines := &lineReader{in: in, most: int(x.limits.LineBytes), wait: in.wait, room: room, hold: in.holdLine}
	im := &importer{x: x, room: room, large: s.largeGroups, stopped: make(chan struct{}), errors: []lineError{}}
	err = im.run(context.WithoutCancel(ctx), lines, d)
	if e, ok := errors.AsType[*matcher.Error](err); ok {
		return matcher.Errorf(e.Code, "line %d: %w; %d lines were accepted", lines.count, err, im.accepted)
	}
	if err != nil {
		return err
	}
	return x.value(http.StatusOK, map[string]any{"accepted": im.accepted, "rejected": im.rejected, "errors": im.faults()})
}

// lineOrigin reads ?origin= of an import or export.
func (x *exchange) lineOrigin() (matcher.Origin, error) {
	text, ok := x.query["origin"]
	if !ok {
		return matcher.Faces, nil
	}
	o, err := matcher.ParseOrigin(text)
	if err != nil || o == matcher.Attributes {
		return 0, matcher.Errorf(matcher.CodeBadInput, "origin: %q is not one of faces, events", shorten(text))
	}
	return o, nil
}

// idleReader reads the body; a pause may take as long as a request.
type idleReader struct{ x *exchange }

func (r idleReader) Read(p []byte) (int, error) {
	r.x.conn.readUntil(time.Now().Add(r.x.limits.RequestTimeout))
	n, err := r.x.input.Read(p)
	r.x.held.progress(n)
	return n, err
}

// wait waits for input. Its error comes again from Read.
func (r idleReader) wait() {
	r.x.conn.readUntil(time.Now().Add(r.x.limits.RequestTimeout))
	_ = r.x.input.wait()
}

// holdLine is the holder for lines: it reserves what a buffer has beyond
// freeBytes.
func (r idleReader) holdLine(size int, mayWait bool) (ok bool, err error) {
	need, c := max(int64(size)-freeBytes, 0), r.x.held
	switch {
	case need <= c.held:
		c.shrink(need)
		return true, nil
	case !mayWait:
		return c.tryGrow(need - c.held), nil
	}
	ctx, cancel := context.WithTimeout(r.x.conn.of.server.context, r.x.limits.RequestTimeout)
	defer cancel()
	return true, c.grow(ctx, need-c.held)
}

// run imports all lines: this goroutine reads them, others decode them, as many
// at once as there are cores for all imports together, and one more puts them
// into groups that are stored in order. All have ended
// when it returns.
func (im *importer) run(ctx context.Context, lines *lineReader, d lineDecoder) error {
	b, err := im.first(lines)
	if b == nil {
		return im.ended(err)
	}
	ordered, work := make(chan *lineBlock, blocksMax), make(chan *lineBlock, blocksMax)
	var decoders sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), blocksMax) {
		decoders.Go(func() {
			for b := range work {
				im.x.conn.of.server.work.do(func() { d.decode(b) })
			}
		})
	}
	stored := make(chan error, 1)
	go func() { stored <- im.store(ctx, ordered) }()
	err = im.read(b, err, lines, ordered, work)
	close(work)
	close(ordered)
	decoders.Wait()
	return cmp.Or(err, <-stored) // what was read counts, whatever came after it
}

// first reads until there are lines. Until then an import holds no more than the
// beginning of a line.
func (im *importer) first(lines *lineReader) (*lineBlock, error) {
	for {
		if b, err := lines.next(); b != nil || err != nil {
			return b, err
		}
	}
}

// read hands blocks on, b first, until the end or until nothing can be stored
// any more.
func (im *importer) read(b *lineBlock, err error, lines *lineReader, ordered, work chan<- *lineBlock) error {
	for {
		if b != nil {
			select {
			case <-im.stopped:
				return nil
			case ordered <- b:
				work <- b
			}
		}
		if err != nil {
			return im.ended(err)
		}
		b, err = lines.next()
	}
}

// ended returns the error of an import whose lines have ended with err.
func (im *importer) ended(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	if _, ok := errors.AsType[*matcher.Error](err); ok {
		return err
	}
	return im.x.readFault(err)
}
