package server

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

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
	commit chan outcome // of the batch under way; nil: none is

	accepted, rejected int
	errors             []map[string]any
}

// outcome is what became of a batch.
type outcome struct {
	lines  []int
	errors []error
}

func (s *Server) importObjects(ctx context.Context, x *exchange) error {
	im := &importer{x: x}
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
	if media, _, _ := strings.Cut(string(x.ContentType()), ";"); media != "" && media != "application/x-ndjson" && media != "application/json" {
		return matcher.Errorf(matcher.CodeMediaType, "header: Content-Type: %q is not application/x-ndjson", shorten(media))
	}
	ctx = context.WithoutCancel(ctx) // an import may take long; each pause has a limit instead
	err := im.read(ctx, bufio.NewReaderSize(idleReader{x}, 64<<10))
	if failed := im.flush(ctx); err == nil {
		err = failed
	}
	if failed := im.settle(); err == nil {
		err = failed
	}
	if err != nil {
		x.discard()
		var e *matcher.Error
		if errors.As(err, &e) {
			return matcher.Errorf(e.Code, "line %d: %w; %d lines were accepted", im.line, err, im.accepted)
		}
		return err
	}
	if im.errors == nil {
		im.errors = []map[string]any{}
	}
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
	return r.x.RequestBodyStream().Read(p)
}

// read takes lines until the end. A line that the connection cut is dropped.
func (im *importer) read(ctx context.Context, r *bufio.Reader) error {
	for {
		line, tooLong, err := im.readLine(r)
		if err != nil && !errors.Is(err, io.EOF) {
			return matcher.Errorf(matcher.CodeSyntax, "body: %w", err)
		}
		if len(line) > 0 || tooLong || err == nil {
			im.line++
			if e := im.take(ctx, line, tooLong); e != nil {
				return e
			}
		}
		if err != nil {
			return nil
		}
	}
}

// readLine returns a line without its end. Of one over the limit it keeps
// nothing, but reads it all.
func (im *importer) readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if tooLong = tooLong || int64(len(line)+len(part)) > im.x.limits.LineBytes+1; tooLong {
			line = nil
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			if n := len(line); n > 0 && line[n-1] == '\n' {
				line = line[:n-1]
			}
			return line, tooLong, err
		}
	}
}

// take decodes a line into the batch.
func (im *importer) take(ctx context.Context, line []byte, tooLong bool) error {
	if tooLong {
		im.reject(im.line, matcher.Errorf(matcher.CodeTooLarge, "the line is longer than the limit of %d bytes", im.x.limits.LineBytes))
		return nil
	}
	if len(strings.TrimSpace(string(line))) == 0 {
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
		switch code := matcher.CodeOf(err); {
		case err == nil:
			im.accepted++
		case code == matcher.CodeFull || code == matcher.CodeUnavailable || code == matcher.CodeInternal:
			stop = err
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

// exportFlush is how many bytes of lines go out at once.
const exportFlush = 256 << 10

func (s *Server) exportObjects(ctx context.Context, x *exchange) error {
	if err := x.faceOrigin(); err != nil {
		return err
	}
	f, err := x.filter(matcher.Faces, "origin")
	if err != nil {
		return err
	}
	x.SetStatusCode(http.StatusOK)
	x.SetContentType("application/x-ndjson")
	out := x.chunks()
	var lines []byte
	send := func() error {
		if len(lines) == 0 {
			return nil
		}
		if err := x.GetConn().SetWriteTimeout(x.limits.RequestTimeout); err != nil {
			return err
		}
		if _, err := out.Write(lines); err != nil {
			return err
		}
		lines = lines[:0]
		return out.Flush()
	}
	err = x.server.Memory.Each(context.WithoutCancel(ctx), matcher.Faces, f, x.account, func(o *matcher.Object) error {
		lines = appendLine(lines, o)
		if len(lines) < exportFlush {
			return nil
		}
		return send()
	})
	if err == nil {
		err = send()
	}
	if err != nil { // the answer has begun: a cut connection tells the client
		x.server.Log.Warn("export was cut", "request_id", x.requestID, "error", err, "after", time.Now())
		_ = x.GetConn().Close()
	}
	return nil
}
