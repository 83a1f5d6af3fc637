package server

import (
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"runtime"
	"sync"

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
	im := &importer{x: x, groupBytes: groupBytesMin, stopped: make(chan struct{}), errors: []lineError{}}
	select {
	case s.largeImports <- struct{}{}:
		defer func() { <-s.largeImports }()
		im.groupBytes = groupBytesMax
	default:
	}
	lines := &lineReader{in: idleReader{x}, most: int(x.limits.LineBytes), free: make(chan []byte, blocksMax)}
	d.release = lines.release
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
	if err := r.x.GetConn().SetReadTimeout(r.x.limits.RequestTimeout); err != nil {
		return 0, err
	}
	return r.x.input.Read(p)
}

// run imports all lines: this goroutine reads them, one per core decodes them,
// and one more puts them into groups that are stored in order. All have ended
// when it returns.
func (im *importer) run(ctx context.Context, lines *lineReader, d lineDecoder) error {
	ordered, work := make(chan *lineBlock, blocksMax), make(chan *lineBlock, blocksMax)
	var decoders sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), blocksMax) {
		decoders.Go(func() {
			for b := range work {
				d.decode(b)
			}
		})
	}
	stored := make(chan error, 1)
	go func() { stored <- im.store(ctx, ordered) }()
	err := im.read(lines, ordered, work)
	close(work)
	close(ordered)
	decoders.Wait()
	return cmp.Or(err, <-stored) // what was read counts, whatever came after it
}

// read hands blocks on, until the end or until nothing can be stored any more.
func (im *importer) read(lines *lineReader, ordered, work chan<- *lineBlock) error {
	for {
		b, err := lines.next()
		if b != nil {
			select {
			case <-im.stopped:
				return nil
			case ordered <- b:
				work <- b
			}
		}
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return readFault(err)
		}
	}
}
