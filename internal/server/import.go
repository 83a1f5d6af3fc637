package server

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"sync"
	"time"

	"nearside/internal/coding"
	"nearside/matcher"
)

// importObjects stores the lines of the body as they arrive. There is a deadline for
// each pause of the client, but not for the whole import.
func (s *Server) importObjects(ctx context.Context, x *exchange) error {
	o, err := x.lineOrigin()
	if err != nil {
		return err
	}
	if err := x.checkWritable(o); err != nil {
		return err
	}
	owners := x.options.Store.Owners()
	if err := owners.CheckOrigin(o); err != nil {
		return err
	}
	d := lineDecoder{x: x, decoder: x.limits.Decoder.Lines(o)}
	if text, ok := x.parameter("list_id"); ok {
		id, err := matcher.ParseID(text)
		if err != nil {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: %w", err)
		}
		if id.IsZero() {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: must not be the nil UUID, got %s", id)
		}
		if o != matcher.Faces {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: must not be given for %s; only faces are in lists", o)
		}
		if err := x.checkList("list_id", id); err != nil {
			return err
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
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: must be application/x-ndjson, got %q", matcher.Shorten(media))
	}
	texts := &importRoom{shared: s.importTexts, size: textRoom, ctx: s.context, timeout: x.limits.RequestTimeout}
	defer texts.close()
	room := &importRoom{shared: s.importLines, size: lineRoom, ctx: s.context, timeout: x.limits.RequestTimeout, short: make(chan struct{}, 1)}
	defer room.close()
	commits := &importRoom{shared: s.importCommits, size: commitRoom, ctx: s.context, timeout: x.limits.RequestTimeout}
	defer commits.close()
	d.texts, d.lines = texts, room
	x.bodyRoom = x.limits.unfinishedLines.newClaim(x.conn.endReading)
	x.bodyRoom.pause() // until the first wait; the beginning of the body may have arrived
	lines := &lineReader{origin: o, lineBytesMax: int(x.limits.LineBytes), texts: texts, lines: room}
	closeInput := x.readLinesFrom(lines)
	defer closeInput()
	im := &importer{x: x, target: x.options.Store.NewImport(x.account), room: room, commits: commits, largeGroups: s.largeGroups, stopped: make(chan struct{}), errors: []lineError{}}
	err = im.runImport(context.WithoutCancel(ctx), lines, d)
	if e, ok := errors.AsType[*matcher.Error](err); ok {
		return matcher.Errorf(e.Code, "%s%w; %d lines were accepted", afterLine(lines.count), err, im.accepted)
	}
	if err != nil {
		return err
	}
	return x.sendValue(http.StatusOK, map[string]any{"accepted": im.accepted, "rejected": im.rejected, "errors": im.faults()})
}

// readLinesFrom makes lines read the body of the import. closeInput ends the use of the body.
func (x *exchange) readLinesFrom(lines *lineReader) (closeInput func()) {
	if x.inCoding == coding.Identity {
		in := idleReader{x}
		lines.in, lines.wait, lines.reserveRest = in, in.wait, in.reserveLine
		return func() {}
	}
	in := newContentReader(x)
	lines.in, lines.wait, lines.reserveRest = in, in.wait, in.reserveLine
	return in.decoder.Close
}

// afterLine returns the beginning of the error of an import that ended after that
// many lines.
func afterLine(lines int) string {
	if lines == 0 {
		return ""
	}
	return fmt.Sprintf("after line %d: ", lines)
}

// lineOrigin returns ?origin of an import or export. The default is faces.
func (x *exchange) lineOrigin() (matcher.Origin, error) {
	text, ok := x.parameter("origin")
	if !ok {
		return matcher.Faces, nil
	}
	o, err := matcher.ParseOrigin(text)
	if err != nil {
		return 0, matcher.Errorf(matcher.CodeBadInput, "origin: %w", err)
	}
	return o, nil
}

// idleReader reads the body of an import. Each pause of the client may last for the
// request timeout.
type idleReader struct{ x *exchange }

func (r idleReader) Read(p []byte) (n int, err error) {
	// Read does not wait, because wait was called before. It needs a worker, because
	// reading tiny chunks takes much CPU time.
	r.x.conn.listener.server.workers.runWorker(func() { n, err = r.x.input.Read(p) })
	r.x.bodyRoom.progress(n)
	return n, err
}

// wait waits for input. It is called before each Read. Read returns the error of the
// wait. Only during wait can the client be slow: between two reads, the import waits for
// other memory, for a worker or for the store.
func (r idleReader) wait() {
	r.x.bodyRoom.proceed()
	defer r.x.bodyRoom.pause()
	r.x.conn.readUntil(time.Now().Add(r.x.limits.RequestTimeout))
	_ = r.x.input.wait()
}

// reserveLine is a reserveFunc. It reserves the bytes of a buffer beyond lineFree.
func (r idleReader) reserveLine(size int, mayWait bool) (ok bool, err error) {
	return r.reserve(max(int64(size)-lineFree, 0), mayWait)
}

// reserve changes the reservation of the import to that many bytes.
func (r idleReader) reserve(need int64, mayWait bool) (ok bool, err error) {
	c := r.x.bodyRoom
	switch {
	case need <= c.held:
		c.shrink(need)
		return true, nil
	case !mayWait:
		return c.tryGrow(need - c.held), nil
	}
	ctx, cancel := context.WithTimeout(r.x.conn.listener.server.context, r.x.limits.RequestTimeout)
	defer cancel()
	return true, c.grow(ctx, need-c.held)
}

// runImport imports all lines. The calling goroutine reads them, several goroutines
// decode them, and another goroutine stores them in groups, in order. All imports
// together decode as many blocks at once as there are cores. All goroutines have ended
// when runImport returns.
func (im *importer) runImport(ctx context.Context, lines *lineReader, d lineDecoder) error {
	b, err := im.firstBlock(lines)
	if b == nil {
		return im.endError(err)
	}
	toStore, toDecode := make(chan *lineBlock, blocksMax), make(chan *lineBlock, blocksMax)
	var decoders sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), blocksMax) {
		decoders.Go(func() {
			for b := range toDecode {
				im.x.conn.listener.server.workers.runWorker(func() { d.decodeBlock(b) })
			}
		})
	}
	stored := make(chan error, 1)
	go func() { stored <- im.storeBlocks(ctx, toStore) }()
	err = im.readBlocks(b, err, lines, toStore, toDecode)
	close(toDecode)
	close(toStore)
	decoders.Wait()
	return cmp.Or(err, <-stored)
}

// firstBlock reads until the first line is complete. An import starts no goroutines
// before that.
func (im *importer) firstBlock(lines *lineReader) (*lineBlock, error) {
	for {
		if b, err := lines.nextBlock(); b != nil || err != nil {
			return b, err
		}
	}
}

// readBlocks reads blocks and sends them to both channels until the input ends or
// nothing more can be stored. b and err are the results of the first read.
func (im *importer) readBlocks(b *lineBlock, err error, lines *lineReader, toStore, toDecode chan<- *lineBlock) error {
	for {
		if b != nil {
			select {
			case <-im.stopped:
				return nil
			case toStore <- b:
				toDecode <- b
			}
		}
		if err != nil {
			return im.endError(err)
		}
		b, err = lines.nextBlock()
	}
}

// endError returns the error of an import whose input has ended with err.
func (im *importer) endError(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	err = im.x.codingFault(err)
	if _, ok := errors.AsType[*matcher.Error](err); ok {
		return err
	}
	return im.x.readFault(err)
}
