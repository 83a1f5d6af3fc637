package server

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net/http"
	"slices"

	"nearside/matcher"
	"nearside/matcher/store"
)

const (
	batchLines   = 1000    // lines of one commit
	batchBytes   = 4 << 20 // or so many bytes of lines
	lineErrorMax = 100     // errors that the answer shows
)

// importer reads lines and stores them in batches. A batch is committed while
// the next one is read; only one is under way at a time.
type importer struct {
	x      *exchange
	list   matcher.ID // that all lines are put into; zero: none
	line   int        // number of the line that was read last, from 1
	batch  []store.ImportLine
	lines  []int // their numbers
	bytes  int
	buf    []byte       // of the line at hand
	commit chan outcome // of the batch under way; nil: none is

	accepted, rejected int
	errors             []map[string]any
}

// outcome is what became of a batch.
type outcome struct {
	lines  []int
	errors []error
}

// importObjects stores lines as they come. It may take long; each pause has a
// limit instead of the whole.
func (s *Server) importObjects(ctx context.Context, x *exchange) error {
	im := &importer{x: x, errors: []map[string]any{}}
	if err := x.faceOrigin(); err != nil {
		return err
	}
	if text, ok := x.query["list_id"]; ok {
		id, err := matcher.ParseID(text)
		if err != nil {
			return matcher.Errorf(matcher.CodeBadInput, "list_id: %w", err)
		}
		im.list = id
	}
	media, err := x.media()
	if err != nil {
		return err
	}
	if media != "" && media != "application/x-ndjson" {
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: %q is not application/x-ndjson", shorten(media))
	}
	ctx = context.WithoutCancel(ctx)
	err = im.read(ctx, bufio.NewReaderSize(idleReader{x}, 64<<10))
	err = cmp.Or(err, im.flush(ctx)) // what was read counts, whatever came after it
	err = cmp.Or(err, im.settle())
	if e, ok := errors.AsType[*matcher.Error](err); ok {
		return matcher.Errorf(e.Code, "line %d: %w; %d lines were accepted", im.line, err, im.accepted)
	}
	if err != nil {
		return err
	}
	slices.SortFunc(im.errors, func(a, b map[string]any) int { return a["line"].(int) - b["line"].(int) })
	return x.value(http.StatusOK, map[string]any{"accepted": im.accepted, "rejected": im.rejected, "errors": im.errors})
}

// faceOrigin checks ?origin=; faces are all that there is so far.
func (x *exchange) faceOrigin() error {
	text, ok := x.query["origin"]
	if !ok {
		return nil
	}
	o, err := matcher.ParseOrigin(text)
	if err == nil && o != matcher.Faces {
		return matcher.Errorf(matcher.CodeBadInput, "origin: %q is not supported by this version", text)
	}
	if err != nil {
		return matcher.Errorf(matcher.CodeBadInput, "origin: %w", err)
	}
	return nil
}

// idleReader reads the body; a pause may take as long as a request.
type idleReader struct{ x *exchange }

func (r idleReader) Read(p []byte) (int, error) {
	if err := r.x.GetConn().SetReadTimeout(r.x.limits.RequestTimeout); err != nil {
		return 0, err
	}
	return r.x.input.Read(p)
}

// read takes lines until the end. A line that the connection cut is dropped.
func (im *importer) read(ctx context.Context, r *bufio.Reader) error {
	for {
		line, end := im.readLine(r)
		if end != nil && !errors.Is(end, io.EOF) {
			return readFault(end)
		}
		if len(line) > 0 || end == nil {
			im.line++
			if err := im.take(ctx, line); err != nil {
				return err
			}
		}
		if end != nil {
			return nil
		}
	}
}

// readLine returns a line without its end, valid until the next call. Of one
// over the limit it returns a part that is over it, too.
func (im *importer) readLine(r *bufio.Reader) ([]byte, error) {
	line := im.buf[:0]
	for {
		part, err := r.ReadSlice('\n')
		if int64(len(line)) <= im.x.limits.LineBytes+2 { // with its end
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			im.buf = line
			return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r")), err
		}
	}
}

// take decodes a line into the batch.
func (im *importer) take(ctx context.Context, line []byte) error {
	if most := im.x.limits.LineBytes; int64(len(line)) > most {
		im.reject(im.line, matcher.Errorf(matcher.CodeTooLarge, "the line is longer than the limit of %d bytes", most))
		return nil
	}
	if len(bytes.TrimSpace(line)) == 0 {
		return nil
	}
	in, err := im.x.limits.Decoder.FaceLine(line)
	if err == nil {
		err = im.x.complete(in)
	}
	if err != nil {
		im.reject(im.line, err)
		return nil
	}
	im.batch = append(im.batch, store.ImportLine{Object: &in.Object, HasLists: in.HasLists, AddList: im.list})
	im.lines = append(im.lines, im.line)
	if im.bytes += len(line); len(im.batch) < batchLines && im.bytes < batchBytes {
		return nil
	}
	return im.flush(ctx)
}

// flush waits for the batch under way and begins to commit the next one.
func (im *importer) flush(ctx context.Context) error {
	if err := im.settle(); err != nil || len(im.batch) == 0 {
		return err
	}
	batch, lines, done := im.batch, im.lines, make(chan outcome, 1)
	im.batch, im.lines, im.bytes, im.commit = nil, nil, 0, done
	go func() { // settle waits for it
		ctx, cancel := context.WithTimeout(ctx, im.x.limits.RequestTimeout)
		defer cancel()
		done <- outcome{lines, im.x.server.Store.Import(ctx, im.x.account, batch)}
	}()
	return nil
}

// settle counts what became of the batch under way. It returns an error when
// the store cannot take more.
func (im *importer) settle() error {
	if im.commit == nil {
		return nil
	}
	o := <-im.commit
	im.commit = nil
	var stop error
	for i, err := range o.errors {
		if err == nil {
			im.accepted++
			continue
		}
		switch matcher.CodeOf(err) {
		case matcher.CodeFull, matcher.CodeUnavailable, matcher.CodeDeadline, matcher.CodeInternal:
			stop = err // of the whole batch
		default:
			im.reject(o.lines[i], err)
		}
	}
	return stop
}

func (im *importer) reject(line int, err error) {
	im.rejected++
	if len(im.errors) < lineErrorMax {
		im.errors = append(im.errors, map[string]any{"line": line, "detail": asError(err).Detail})
	}
}
