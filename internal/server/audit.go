package server

import (
	"net/http"

	"nearside/internal/access"
	"nearside/internal/audit"
	"nearside/matcher"
	"nearside/matcher/wire"
)

// audited is what the audit needs of one request.
type audited struct {
	entry  *audit.Entry // nil: the operation never has a line
	wanted bool         // the request has a line, whatever its outcome
	done   bool         // the line was written
	body   []byte       // with filters
	// references are those of a match, as they are known so far.
	references []matcher.Reference
}

// beginAudit describes the request. refusal is the error of admit. A request that has no
// valid key, or is beyond the rate of its key, is only counted.
func (x *exchange) beginAudit(refusal error) {
	log := x.options.Audit
	settings := log.Settings()
	if settings.File == "" {
		return
	}
	if refusal != nil && matcher.CodeOf(refusal) != matcher.CodeForbidden {
		status := StatusOf(refusal)
		log.Denied(x.client.String(), x.refusedKey, status)
		return
	}
	if x.operation.id == "" {
		return
	}
	x.audit.entry = &audit.Entry{
		RequestID: x.requestID, Key: x.keyName(), Address: x.client.String(), Operation: x.operation.id, Target: string(x.Path()), Start: x.start,
		Status: successStatus(x.operation.id), Created: string(x.Method()) == http.MethodPut,
	}
	switch {
	case x.operation.matches:
		x.audit.wanted = settings.Match
	case x.operation.role == access.Read:
		x.audit.wanted = settings.Reads
	default:
		x.audit.wanted = x.operation.role > access.Read
	}
}

// successStatus returns the status of a write that succeeds.
func successStatus(operation string) int {
	switch operation {
	case "createFace", "createEvents", "createList":
		return http.StatusCreated
	case "deleteFace", "deleteEvent", "deleteAttribute", "deleteList", "linkFaces":
		return http.StatusNoContent
	}
	return http.StatusOK
}

// checkAudit refuses the request if it needs a line and no line can be written. It is
// called when the account of the request is known.
func (x *exchange) checkAudit() error {
	if !x.audit.wanted {
		return nil
	}
	if x.account != nil {
		x.audit.entry.Account = x.account.String()
	}
	x.noteQuery()
	return x.options.Audit.Err()
}

// endAudit writes the line of a request that has been handled, before its answer is sent. If
// it cannot be written, the answer is replaced by an error.
func (x *exchange) endAudit() {
	status := x.Response.StatusCode()
	if x.aborted {
		status = statusAborted
	}
	if x.audit.entry == nil || x.audit.done || !x.audit.wanted && status != http.StatusForbidden {
		return
	}
	if err := x.addLine(status); err != nil && status < http.StatusBadRequest {
		x.Response.Header.Del("Content-Encoding")
		x.sendError(err)
	}
}

// addLine writes the line of the request, unless the store has a record of it.
func (x *exchange) addLine(status int) error {
	x.audit.done = true
	if status < http.StatusBadRequest && x.audit.entry.Recorded() {
		return nil
	}
	x.audit.entry.AddReferences(x.audit.references)
	return x.options.Audit.Add(x.audit.entry, status)
}

// auditStream writes the line of an answer that is sent in pieces, before the first one.
func (x *exchange) auditStream(status int) error {
	if !x.audit.wanted || x.audit.done {
		return nil
	}
	return x.addLine(status)
}

// noteQuery adds the filters of the query, and the parameters of an import.
func (x *exchange) noteQuery() {
	given := x.filters
	if x.operation.id == "importObjects" {
		given = x.query
	}
	if len(given) == 0 {
		return
	}
	shown := map[string]any{}
	for name, values := range given {
		all := make([]any, len(values))
		for i := range values {
			all[i] = values[i]
		}
		shown[name] = all
	}
	x.noteFilters(wire.AppendValue(nil, wire.JSON, shown))
}

func (x *exchange) noteFilters(text []byte) {
	x.audit.entry.Filters = append(x.audit.entry.Filters, text)
}

// noteBody adds the filters of the body.
func (x *exchange) noteBody() {
	if !x.audit.wanted || x.audit.body == nil {
		return
	}
	if v, err := x.decoder().Filters(x.in, x.audit.body); err == nil && !v.IsZero() {
		x.noteFilters(v.JSON())
	}
}

// noteMatch adds what a match asks for.
func (x *exchange) noteMatch(req *wire.MatchRequest) {
	if !x.audit.wanted {
		return
	}
	x.audit.references = req.References
	for _, c := range req.Candidates {
		x.noteFilters(c.Filters.JSON())
	}
}

// noteResults adds the rows of a match.
func (x *exchange) noteResults(all [][]matcher.Result) {
	if !x.audit.wanted {
		return
	}
	x.audit.entry.AddRows(all)
}

// noteObjects adds the objects that a read returns.
func (x *exchange) noteObjects(objects []matcher.Object) {
	if !x.audit.wanted {
		return
	}
	for i := range objects {
		x.audit.entry.AddResult(objects[i].ID)
	}
}
