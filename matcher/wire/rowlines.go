package wire

import "nearside/matcher"

// RowLines writes the answer of a match of one reference and one candidate set as lines of
// JSON: a line for each row, and a last line.
type RowLines struct {
	set  answerSet
	bare matcher.Object
}

// NewRowLines returns a RowLines for the rows of c.
func NewRowLines(c *CandidateSet) *RowLines {
	return &RowLines{set: newAnswerSet(JSON, c), bare: matcher.Object{Origin: c.Origin}}
}

// AppendRow appends the line of a row.
func (r *RowLines) AppendRow(dst []byte, row *matcher.Match) []byte {
	w := NewWriter(dst, JSON)
	r.set.writeRow(w, row, &r.bare)
	return append(w.Done(), '\n')
}

// AppendEnd appends the last line of a complete answer. plan is nil unless the request asked
// for it.
func (r *RowLines) AppendEnd(dst []byte, result *matcher.Result, plan *Plan) []byte {
	w := NewWriter(dst, JSON)
	w.Object()
	w.Key("end")
	w.Object()
	w.Key("count")
	w.Int(int64(len(result.Matches)))
	if r.set.count {
		w.Key("total")
		w.Int(int64(result.Count))
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
