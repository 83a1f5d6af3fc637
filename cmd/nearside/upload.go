package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"time"

	"nearside/matcher"
)

// requestBytes is the approximate maximum size of one request of an import. It is
// large, because the server is idle for a moment between requests. It is bounded,
// because only the answer to a request says what was stored. Tests reduce it.
var requestBytes int64 = 1 << 30

// shownMax bounds the rejected lines that are printed.
const shownMax = 100

// upload sends the files of an import.
type upload struct {
	*system
	server   *client
	query    url.Values
	origin   matcher.Origin
	progress *progress
	total    summary
	shown    int64 // rejected lines that were printed

	bytesBefore int64       // total size of the files that were sent before the current one
	firstLine   int64       // number of the request's first line in its file, from 1
	maybeStored bool        // a request got no answer, so some of its lines may be stored
	faults      []lineFault // of the lines of the request
}

// lineFault is the reason why a line was rejected.
type lineFault struct {
	Line   int64  `json:"line"` // in the request, from 1
	Detail string `json:"detail"`
}

func newUpload(s *system, server *client, origin matcher.Origin, listID *matcher.ID, jobs []job) *upload {
	query := url.Values{"origin": {origin.String()}}
	if listID != nil {
		query.Set("list_id", listID.String())
	}
	all := int64(0)
	for _, j := range jobs {
		if j.bytes < 0 {
			all = -1
			break
		}
		all += j.bytes
	}
	return &upload{
		system: s, server: server, query: query, origin: origin,
		progress: newProgress(s.stderr, all), total: summary{ListID: listID},
	}
}

// sendFile sends one file. After an error, the lines of earlier requests stay accepted,
// and total includes them.
func (u *upload) sendFile(j job, v *matcher.Version, stdin io.Reader) error {
	if u.ctx.Err() != nil {
		return fmt.Errorf("%w before %s", context.Cause(u.ctx), j.path)
	}
	lines, err := j.openSource(u.ctx, v, u.origin, stdin)
	if err != nil {
		return err
	}
	f := startFeed(u.ctx, lines)
	defer func() {
		if f.stop(j.path != "-"); j.path != "-" {
			u.bytesBefore += lines.offset()
			lines.close()
		}
	}()
	u.firstLine = 1
	for !f.ended {
		if err := u.sendRequest(j, f); err != nil {
			return err
		}
		by, isCut := errors.AsType[interruption](f.err) // the last line was cut
		if !isCut && !f.ended {
			by, isCut = interruptedBy(u.ctx)
		}
		if isCut {
			return fmt.Errorf("%w after %s of %s; the server has answered for all lines up to it", by, j.lineName(u.firstLine-1), j.path)
		}
	}
	if f.err != nil { // the lines before it were sent
		return fmt.Errorf("%s: %w", j.path, f.err)
	}
	return nil
}

// importAnswer is the server's answer to one request.
type importAnswer struct {
	Accepted int64       `json:"accepted"`
	Rejected int64       `json:"rejected"`
	Errors   []lineFault `json:"errors"`
}

// sendRequest sends one request and counts its accepted and rejected lines.
func (u *upload) sendRequest(j job, f *feed) error {
	u.faults = nil
	lines, before := int64(0), u.total.Accepted+u.total.Rejected
	b := newBody(f, requestBytes, func(b feedBlock) {
		for _, fault := range b.skipped {
			u.faults = append(u.faults, lineFault{lines + fault.Line, fault.Detail})
		}
		lines += b.lines
		u.progress.set(before+lines, u.bytesBefore+b.offset)
	})
	ctx, stop := withGrace(u.ctx, answerGrace)
	defer stop()
	defer context.AfterFunc(u.ctx, u.noteWaiting)()
	data, err := u.server.sendBody(ctx, http.MethodPost, "/1/import", u.query, "application/x-ndjson", b)
	<-b.closed // the transport may read the body until then, even after the answer
	skipped := int64(len(u.faults))
	var answer importAnswer
	if err == nil {
		if err = json.Unmarshal(data, &answer); err != nil {
			err = fmt.Errorf("server: /1/import: %w", err)
		}
	}
	if err != nil {
		return u.stoppedError(j, lines, err)
	}
	u.faults = append(u.faults, answer.Errors...)
	slices.SortFunc(u.faults, func(a, b lineFault) int { return cmp.Compare(a.Line, b.Line) })
	for _, fault := range u.faults {
		u.printRejected(j, u.firstLine+fault.Line-1, fault.Detail)
	}
	u.total.Accepted += answer.Accepted
	u.total.Rejected += answer.Rejected + skipped
	u.firstLine += lines
	return nil
}

// answerGrace is how long an interrupted import waits for the server to report
// what it stored.
const answerGrace = 30 * time.Second

// noteWaiting prints why an interrupted import does not end at once.
func (u *upload) noteWaiting() {
	_, _ = fmt.Fprintln(u.stderr, "nearside: interrupted: waiting until the server reports what it stored; interrupt again to end at once")
}

// stoppedError returns the error for a request that failed, and adds the lines that the
// server reports as accepted to the total.
func (u *upload) stoppedError(j job, lines int64, err error) error {
	earlier, last := u.total.Accepted, u.firstLine+lines-1
	u.total.Accepted += acceptedOf(err)
	err = fmt.Errorf("import stopped in the request of lines %d to %d of %s; %d lines were accepted before it: %w",
		u.firstLine, last, j.path, earlier, err)
	if fault, ok := errors.AsType[*serverError](err); lines == 0 || ok && fault.Code != matcher.CodeInternal {
		return err
	}
	u.maybeStored = true
	return fmt.Errorf("%w\nthe server may have stored some of these lines; vectors, lines with ids, and all lines with --ids content can be imported again without duplicates", err)
}

// acceptedLines matches the end of the detail of a server that stopped an import.
var acceptedLines = regexp.MustCompile(`; (\d+) lines were accepted`)

// acceptedOf returns the number of accepted lines in a server's error.
func acceptedOf(err error) int64 {
	found := acceptedLines.FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseInt(found[1], 10, 64) // can only fail by overflow, and no request has that many lines
	return n
}

// lineName returns the name of a line, counted from 1, in messages. For a vector it is
// the row, counted from 0.
func (j *job) lineName(line int64) string {
	if j.hasRows() {
		return fmt.Sprintf("row %d", line-1)
	}
	return fmt.Sprintf("line %d", line)
}

// printRejected prints the reason why a line was rejected, for the first shownMax lines.
func (u *upload) printRejected(j job, line int64, detail string) {
	if u.shown == shownMax {
		return
	}
	u.shown++
	u.progress.clear()
	_, _ = fmt.Fprintf(u.stderr, "nearside: %s: %s: %s\n", j.path, j.lineName(line), detail) // the exit code reports it too
}

// reportRest prints the number of rejected lines that were not printed.
func (u *upload) reportRest() {
	if rest := u.total.Rejected - u.shown; rest > 0 {
		_, _ = fmt.Fprintf(u.stderr, "nearside: %d more lines were rejected\n", rest)
	}
}
