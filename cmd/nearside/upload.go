package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"

	"nearside/matcher"
)

// requestBytes is about the most that one request of an import sends: large,
// because the server is idle for a moment at its end, and not all, because an
// answer tells what was stored. Tests send less.
var requestBytes int64 = 1 << 30

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

	earlier   int64       // bytes of the files before this one
	firstLine int64       // number of the first line of the request in its file, from 1
	faults    []lineFault // of the lines of the request
}

// lineFault is why a line was rejected.
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

// file sends one file. After an error the lines of earlier requests stay
// accepted, and total counts them.
func (u *upload) file(j job, v *matcher.Version, stdin io.Reader) error {
	lines, err := j.open(u.ctx, v, u.origin, stdin)
	if err != nil {
		return err
	}
	f := startFeed(u.ctx, lines)
	defer func() {
		if f.stop(j.path != "-"); j.path != "-" {
			u.earlier += lines.offset()
			lines.close()
		}
	}()
	u.firstLine = 1
	for !f.ended {
		if err := u.send(j, f); err != nil {
			return err
		}
	}
	if f.err != nil { // what was read before is good
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

// send sends one request and counts what became of it.
func (u *upload) send(j job, f *feed) error {
	u.faults = nil
	lines, before := int64(0), u.total.Accepted+u.total.Rejected
	b := newBody(f, requestBytes, func(b feedBlock) {
		for _, n := range b.long {
			u.faults = append(u.faults, lineFault{lines + n + 1, errLongLine.Error()})
		}
		lines += b.lines
		u.progress.set(before+lines, u.earlier+b.offset)
	})
	data, err := u.server.send(u.ctx, http.MethodPost, "/1/import", u.query, "application/x-ndjson", b)
	<-b.closed // until then the transport may read it, even after the answer
	long := int64(len(u.faults))
	var answer importAnswer
	if err == nil {
		if err = json.Unmarshal(data, &answer); err != nil {
			err = fmt.Errorf("server: /1/import: %w", err)
		}
	}
	if err != nil {
		earlier := u.total.Accepted
		u.total.Accepted += acceptedOf(err)
		return fmt.Errorf("import stopped in the request of lines %d to %d of %s; %d lines were accepted before it: %w",
			u.firstLine, u.firstLine+lines-1, j.path, earlier, err)
	}
	u.faults = append(u.faults, answer.Errors...)
	slices.SortFunc(u.faults, func(a, b lineFault) int { return cmp.Compare(a.Line, b.Line) })
	for _, fault := range u.faults {
		u.reject(j, u.firstLine+fault.Line-1, fault.Detail)
	}
	u.total.Accepted += answer.Accepted
	u.total.Rejected += answer.Rejected + long
	u.firstLine += lines
	return nil
}

// acceptedLines ends the detail of a server that stopped an import.
var acceptedLines = regexp.MustCompile(`; (\d+) lines were accepted`)

// acceptedOf returns how many lines of the request a server's error counts.
func acceptedOf(err error) int64 {
	found := acceptedLines.FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	n, _ := strconv.ParseInt(found[1], 10, 64) // digits only; more than fit are none of ours
	return n
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
