package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"nearside/matcher"
)

// batchBytes is about the size of a request of an import: large enough that
// the server commits many rows at once, small enough for progress and memory.
const batchBytes = 8 << 20

// shownMax bounds the rejected lines that are shown.
const shownMax = 100

// upload sends the files of an import.
type upload struct {
	*system
	server   *client
	query    url.Values
	origin   matcher.Origin
	progress *progress
	total    summary
	shown    int64 // rejected lines that were shown

	earlier   int64 // bytes of the files before this one
	batch     []byte
	lines     int64 // in batch
	firstLine int64 // number of the first line of batch in its file, from 1
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

// file sends one file. After an error the lines of earlier requests stay
// accepted, and total counts them.
func (u *upload) file(j job, v *matcher.Version, stdin io.Reader) error {
	lines, err := j.open(u.ctx, v, u.origin, stdin)
	if err != nil {
		return err
	}
	defer lines.close()
	u.firstLine = 1
	defer func() { u.earlier += lines.offset() }()
	for {
		u.batch, err = lines.appendLine(u.batch)
		switch {
		case errors.Is(err, errLongLine):
			if err := u.send(j, lines); err != nil { // so that lines are shown in their order
				return err
			}
			u.reject(j, u.firstLine, err.Error())
			u.total.Rejected++
			u.firstLine++
			continue
		case errors.Is(err, io.EOF):
			return u.send(j, lines)
		case err != nil: // what was read before is good
			return errors.Join(u.send(j, lines), fmt.Errorf("%s: %w", j.path, err))
		}
		u.lines++
		if len(u.batch) >= batchBytes {
			if err := u.send(j, lines); err != nil {
				return err
			}
		}
	}
}

// importAnswer is the server's answer to one request.
type importAnswer struct {
	Accepted int64 `json:"accepted"`
	Rejected int64 `json:"rejected"`
	Errors   []struct {
		Line   int64  `json:"line"`
		Detail string `json:"detail"`
	} `json:"errors"`
}

// send sends the batch and counts what became of it.
func (u *upload) send(j job, from source) error {
	if u.lines == 0 {
		return nil
	}
	data, err := u.server.send(u.ctx, http.MethodPost, "/1/import", u.query, "application/x-ndjson", u.batch)
	var answer importAnswer
	if err == nil {
		if err = json.Unmarshal(data, &answer); err != nil {
			err = fmt.Errorf("server: /1/import: %w", err)
		}
	}
	if err != nil {
		return fmt.Errorf("import stopped in the request of lines %d to %d of %s; %d lines were accepted before it: %w",
			u.firstLine, u.firstLine+u.lines-1, j.path, u.total.Accepted, err)
	}
	for _, fault := range answer.Errors {
		u.reject(j, u.firstLine+fault.Line-1, fault.Detail)
	}
	u.total.Accepted += answer.Accepted
	u.total.Rejected += answer.Rejected
	u.progress.set(u.total.Accepted+u.total.Rejected, u.earlier+from.offset())
	u.firstLine += u.lines
	u.batch, u.lines = u.batch[:0], 0
	return nil
}

// reject shows why a line was rejected, as long as it is not one of too many.
// A vector is named by its row, which counts from 0.
func (u *upload) reject(j job, line int64, detail string) {
	if u.shown == shownMax {
		return
	}
	u.shown++
	u.progress.clear()
	where := fmt.Sprintf("line %d", line)
	if j.vectors {
		where = fmt.Sprintf("row %d", line-1)
	}
	_, _ = fmt.Fprintf(u.stderr, "nearside: %s: %s: %s\n", j.path, where, detail) // the exit code says it too
}

// reportRest says how many rejected lines were not shown.
func (u *upload) reportRest() {
	if rest := u.total.Rejected - u.shown; rest > 0 {
		_, _ = fmt.Fprintf(u.stderr, "nearside: %d more lines were rejected\n", rest)
	}
}
