package wire

import "nearside/matcher"

// RowLines writes the answer of a match of one reference and one candidate set as lines of
// JSON: a line for each row, and a last line.
type RowLines struct {
	set    answerSet
	shown  shownFields
	result *matcher.Result
	bare   matcher.Object
}

// NewRowLines returns a RowLines for the rows of result, which answers c.
func NewRowLines(c *CandidateSet, result *matcher.Result) *RowLines {
	r := &RowLines{set: newAnswerSet(JSON, c), result: result, bare: matcher.Object{Origin: c.Origin}}
	r.shown = r.set.shownIn(result)
	return r
}

// AppendRow appends the line of row, a copy of match i of the result.
func (r *RowLines) AppendRow(dst []byte, i int, row *matcher.Match) []byte {
	w := NewWriter(dst, JSON)
	r.set.writeRow(w, row, extraOf(r.result, i), r.shown, &r.bare)
	return append(w.Done(), '\n')
}

// AppendEnd appends the last line of a complete answer. plan is nil unless the request asked
// for it.
func (r *RowLines) AppendEnd(dst []byte, plan *Plan) []byte {
	w := NewWriter(dst, JSON)
	w.Object()
	w.Key("end")
	w.Object()
	w.Key("count")
	w.Int(int64(len(r.result.Matches)))
	if r.set.count {
		w.Key("total")
		w.Int(int64(r.result.Count))
	}
	if plan != nil {
		w.plan(plan)
	}
	w.EndObject()
	w.EndObject()
	return append(w.Done(), '\n')
}

// AppendFailure appends the last line of an answer that ends with an error.
func (r *RowLines) AppendFailure(dst []byte, code matcher.Code, desc, detail, link string) []byte {
	w := NewWriter(dst, JSON)
	w.Object()
	w.Key("error")
	w.failure(code, desc, detail, link)
	w.EndObject()
	return append(w.Done(), '\n')
}
