package wire

import "nearside/matcher"

// AppendMatches appends the answer of a match. results[i][j] answers refs[i]
// against req.Candidates[j], and plans[i][j] explains it. plans is nil if the
// request did not ask to explain.
func AppendMatches(dst []byte, f Format, req *MatchRequest, refs []matcher.Reference,
	results [][]matcher.Result, plans [][]*Plan,
) []byte {
	w := NewWriter(dst, f)
	sets := make([]answerSet, len(req.Candidates))
	for j, c := range req.Candidates {
		sets[j] = newAnswerSet(f, c)
	}
	w.Array(len(refs))
	for i := range refs {
		w.Object()
		w.reference("reference", &refs[i])
		w.Key("matches")
		w.Array(len(sets))
		for j := range sets {
			w.Object()
			sets[j].writeFields(w, &results[i][j])
			if plans != nil {
				w.plan(plans[i][j])
			}
			w.EndObject()
		}
		w.EndArray()
		w.EndObject()
	}
	w.EndArray()
	return w.Done()
}

// answerSet is the part of an answer that is the same for all references.
type answerSet struct {
	origin         matcher.Origin
	shown          shownFields
	count          bool   // whether the answer has the count
	filters, label []byte // encoded once, repeated for every reference
}

// shownFields are the fields that rows have.
type shownFields struct {
	targets   targetSet
	sim, dist bool // whether rows have a similarity, a distance
}

func newShownFields(o matcher.Origin, targets []string) shownFields {
	s := shownFields{targets: newTargetSet(o, targets)}
	s.sim, s.dist = s.targets.has(o, similarity), s.targets.has(o, distance)
	return s
}

// shownIn returns the fields that the rows of a result have.
func (s *answerSet) shownIn(result *matcher.Result) shownFields {
	if result.Targets == nil {
		return s.shown
	}
	return newShownFields(s.origin, result.Targets)
}

func newAnswerSet(f Format, c *CandidateSet) answerSet {
	s := answerSet{origin: c.Origin, shown: newShownFields(c.Origin, c.Targets), count: c.Count}
	encode := func(v Value) []byte {
		if v.IsZero() {
			return nil
		}
		w := NewWriter(nil, f)
		w.Value(v)
		return w.Done()
	}
	s.filters, s.label = encode(c.Filters), encode(c.Label)
	return s
}

func (s *answerSet) writeFields(w *Writer, result *matcher.Result) {
	rows := result.Matches
	if s.filters != nil {
		w.Key("filters")
		w.Raw(s.filters)
	}
	if s.label != nil {
		w.Key("label")
		w.Raw(s.label)
	}
	w.Key("result")
	w.Array(len(rows))
	bare, shown := &matcher.Object{Origin: s.origin}, s.shownIn(result)
	for i := range rows {
		s.writeRow(w, &rows[i], extraOf(result, i), shown, bare)
	}
	w.EndArray()
	if s.count {
		w.Key("count")
		w.Int(int64(result.Count))
	}
}

// extraOf returns the fields that plugins have added to row i.
func extraOf(result *matcher.Result, i int) []matcher.Extra {
	if result.Extra == nil {
		return nil
	}
	return result.Extra[i]
}

// writeRow writes a row. bare is memory for an object that has only an ID.
func (s *answerSet) writeRow(w *Writer, row *matcher.Match, extra []matcher.Extra, shown shownFields, bare *matcher.Object) {
	w.Object()
	w.Key(s.origin.Singular())
	obj, targets := row.Object, shown.targets
	if obj == nil { // the targets need only the ID
		bare.ID = row.ID
		obj, targets = bare, 0
	}
	w.storedObject(obj, targets, NoDescriptors)
	if row.Group != "" {
		w.Key("group")
		w.String(row.Group)
	}
	w.figures(row.Similarity, row.Distance, shown.sim, shown.dist)
	if len(extra) > 0 {
		w.Key("extra")
		w.Object()
		for _, e := range extra {
			w.Key(e.Name)
			w.jsonText(e.JSON)
		}
		w.EndObject()
	}
	w.EndObject()
}

// figures writes the similarity and the distance of a row.
func (w *Writer) figures(sim, dist float64, withSim, withDist bool) {
	if withSim {
		w.Key(similarity)
		w.Float(sim)
	}
	if withDist {
		w.Key(distance)
		w.Float(dist)
	}
}

// reference writes the type and id that the client gave, and the ID of the object
// that the reference stands for.
func (w *Writer) reference(key string, ref *matcher.Reference) {
	w.Key(key)
	w.Object()
	w.Key("type")
	w.String(string(ref.Type))
	w.Key("id")
	w.String(ref.ID)
	if !ref.ObjectID.IsZero() {
		w.Key("object_id")
		w.ID(ref.ObjectID)
	}
	w.EndObject()
}

// RawResult is one candidate of a raw match against one reference.
type RawResult struct{ Similarity, Distance float64 }

// AppendRaw appends the answer of a raw match. results[i][j] compares
// req.References[i] with req.Candidates[j], and plans[i] explains reference i.
// plans is nil if the request did not ask to explain.
func AppendRaw(dst []byte, f Format, req *RawRequest, results [][]RawResult, plans []*Plan) []byte {
	w := NewWriter(dst, f)
	w.Array(len(req.References))
	for i := range req.References {
		w.Object()
		w.reference("reference", &req.References[i])
		w.Key("matches")
		w.Array(len(req.Candidates))
		for j := range req.Candidates {
			w.Object()
			w.Key("result")
			w.Object()
			w.reference("candidate", &req.Candidates[j])
			w.figures(results[i][j].Similarity, results[i][j].Distance, true, true)
			w.EndObject()
			w.EndObject()
		}
		w.EndArray()
		if plans != nil {
			w.plan(plans[i])
		}
		w.EndObject()
	}
	w.EndArray()
	return w.Done()
}

// AppendError appends the body of an error.
func AppendError(dst []byte, f Format, code matcher.Code, desc, detail, link string) []byte {
	w := NewWriter(dst, f)
	w.failure(code, desc, detail, link)
	return w.Done()
}

// failure writes the object of an error.
func (w *Writer) failure(code matcher.Code, desc, detail, link string) {
	w.Object()
	w.Key("error_code")
	w.Int(int64(code))
	w.Key("desc")
	w.String(desc)
	w.Key("detail")
	w.String(detail)
	w.Key("link")
	w.String(link)
	w.EndObject()
}
