package server

import (
	"net/http"
	"time"

	"nearside/matcher"
	"nearside/matcher/route"
	"nearside/matcher/wire"
)

// checkLines refuses a match in lines unless it has one reference and one candidate set.
func (x *exchange) checkLines(req *wire.MatchRequest) error {
	if !x.outLines || len(req.References) == 1 && len(req.Candidates) == 1 {
		return nil
	}
	return matcher.Errorf(matcher.CodeNotAcceptable, "header: Accept: application/x-ndjson needs one reference and one candidate set, got %d and %d",
		len(req.References), len(req.Candidates))
}

// sendLines sends the rows of a match as lines of JSON. It writes them in pieces, and reads
// the object of a row only when it writes the row. There is a deadline for each piece, but
// not for the whole answer.
func (x *exchange) sendLines(set *wire.CandidateSet, answer *route.Answer) error {
	result := &answer.Results[0][0]
	x.hideLists(result)
	x.noteResults(answer.Results)
	if err := x.auditStream(http.StatusCreated); err != nil {
		return err
	}
	rows, perRow := len(result.Matches), int64(rowBytes)
	if result.Fill != nil {
		perRow = lineRowBytes
	}
	x.conn.answer.shrink(int64(rows) * perRow)
	x.conn.answer.resume()
	out := lineSender{x: x, stream: x.startStream(http.StatusCreated, "application/x-ndjson")}
	if rows*rowBytes > freeBytes { // otherwise many large answers would delay small requests
		out.workers = x.conn.listener.server.workers
		out.workers.enter()
		defer out.workers.leave()
	}
	format := wire.NewRowLines(set, result)
	for i := range result.Matches {
		row := result.Matches[i] // a copy, so that the object is kept only until it was sent
		if result.Fill != nil {
			if err := result.Fill(i, &row); err != nil {
				return out.fail(format, err)
			}
			x.hideListsOf(row.Object)
		}
		out.lines = format.AppendRow(out.lines, i, &row)
		if len(out.lines) >= exportFlush {
			if err := out.send(); err != nil {
				return err
			}
		}
	}
	var plan *wire.Plan
	if x.explain {
		plan = answer.Plans[0][0]
	}
	out.lines = format.AppendEnd(out.lines, plan)
	return out.send()
}

// lineSender sends lines in pieces.
type lineSender struct {
	x       *exchange
	stream  *stream
	workers workers // the caller is one of these workers, except while it sends; may be nil
	lines   []byte  // not sent yet
}

// send sends the lines.
func (s *lineSender) send() error {
	piece := s.stream.compress(s.lines)
	if s.workers != nil {
		s.workers.leave() // while it waits for the client
		defer s.workers.enter()
	}
	s.x.conn.writeUntil(time.Now().Add(s.x.limits.RequestTimeout))
	err := s.stream.sendPiece(piece)
	s.lines = reuse(s.lines)
	return err
}

// reuse returns an empty buffer for the next piece: b, unless a long line made it large.
func reuse(b []byte) []byte {
	if cap(b) > 4*exportFlush {
		return nil
	}
	return b[:0]
}

// fail ends the lines with an error.
func (s *lineSender) fail(format *wire.RowLines, err error) error {
	e := asError(err).For(s.x.viewer())
	s.x.code = e.Code
	status, desc, detail, link := errorFields(e, s.x.requestID)
	s.x.logInternal(status, err)
	s.lines = format.AppendFailure(s.lines, e.Code, desc, detail, link)
	return s.send()
}
