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
	targets        targetSet
	sim, dist      bool   // whether rows have a similarity, a distance
	count          bool   // whether the answer has the count
	filters, label []byte // encoded once, repeated for every reference
}

func newAnswerSet(f Format, c *CandidateSet) answerSet {
	s := answerSet{origin: c.Origin, targets: newTargetSet(c.Origin, c.Targets), count: c.Count}
	s.sim, s.dist = s.targets.has(c.Origin, similarity), s.targets.has(c.Origin, distance)
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
	bare := &matcher.Object{Origin: s.origin}
	for i := range rows {
		s.writeRow(w, &rows[i], bare)
	}
	w.EndArray()
	if s.count {
		w.Key("count")
		w.Int(int64(result.Count))
	}
}

// writeRow writes a row. bare is memory for an object that has only an ID.
func (s *answerSet) writeRow(w *Writer, row *matcher.Match, bare *matcher.Object) {
	w.Object()
	w.Key(s.origin.Singular())
	obj, targets := row.Object, s.targets
	if obj == nil { // the targets need only the ID
		bare.ID = row.ID
		obj, targets = bare, 0
	}
	w.storedObject(obj, targets, NoDescriptors)
	if row.Group != "" {
		w.Key("group")
		w.String(row.Group)
	}
	w.figures(row.Similarity, row.Distance, s.sim, s.dist)
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
