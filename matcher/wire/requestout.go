package wire

import (
	"slices"
	"strconv"

	"nearside/matcher"
)

// AppendMatchRequest appends the body of a match, as [Decoder.Match] reads it.
// Each reference is given by its descriptor, or by those of its parts; its id is its index
// in references.
// Besides the targets of the set, it asks for the fields that merging the rows
// needs: similarity, distance, the create_time if rows are ordered by time, the field
// by which rows are grouped, and the extra fields. Fields of a set that an older server
// does not know are written only if they are used. So is the object of a reference.
func AppendMatchRequest(dst []byte, f Format, references []matcher.Reference, sets []*matcher.Candidates, extra ...string) []byte {
	w := NewWriter(dst, f)
	w.Object()
	exclude := slices.ContainsFunc(sets, func(set *matcher.Candidates) bool { return set.ExcludeSelf })
	w.Key("references")
	w.Array(len(references))
	for i := range references {
		w.givenReference(&references[i], strconv.Itoa(i), exclude)
	}
	w.EndArray()
	w.Key("candidates")
	w.Array(len(sets))
	for _, set := range sets {
		w.Object()
		w.filters(set)
		w.answerFields(set, extra)
		w.Key("order")
		w.String(set.Order.String())
		w.rankingFields(set)
		w.EndObject()
	}
	w.EndArray()
	w.EndObject()
	return w.Done()
}

// givenReference writes a reference with the descriptors that it has. If withObject is set, it
// also writes the objects that they belong to.
func (w *Writer) givenReference(ref *matcher.Reference, id string, withObject bool) {
	w.Object()
	w.Key("type")
	if ref.Type == matcher.RefTogether {
		w.String(string(matcher.RefTogether))
	} else {
		w.String(string(matcher.RefRaw))
	}
	w.Key("id")
	w.String(id)
	if ref.Type == matcher.RefTogether {
		w.Key("fuse")
		w.String(ref.Fuse.String())
		w.Key("references")
		w.Array(len(ref.Parts))
		for i := range ref.Parts {
			w.givenReference(&ref.Parts[i], strconv.Itoa(i), withObject)
		}
		w.EndArray()
	} else {
		w.Key("data")
		w.descriptor(ref.Descriptor, BinaryDescriptors)
		if self, ok := ref.Self(); ok && withObject {
			w.Key("object")
			w.objectKey(self)
		}
	}
	w.EndObject()
}

// AppendCrossRequest appends the body of a cross match, as [Decoder.Cross] reads
// it. Only the origin and the filter of references are used. It asks for the same
// targets as AppendMatchRequest.
func AppendCrossRequest(dst []byte, f Format, references, candidates *matcher.Candidates, extra ...string) []byte {
	w := NewWriter(dst, f)
	w.Object()
	w.Key("references")
	w.Object()
	w.filters(references)
	w.EndObject()
	w.Key("candidates")
	w.Object()
	w.filters(candidates)
	w.EndObject()
	w.answerFields(candidates, extra)
	w.EndObject()
	return w.Done()
}

func (w *Writer) filters(set *matcher.Candidates) {
	filters := FilterValues(set.Origin, &set.Filter)
	filters["origin"] = set.Origin.String()
	w.Key("filters")
	w.anyValue(filters)
}

// answerFields writes the fields that bound the answer: limit, threshold, targets.
func (w *Writer) answerFields(set *matcher.Candidates, extra []string) {
	w.Key("limit")
	w.Int(int64(set.Limit))
	w.Key("threshold")
	w.Float(set.Threshold)
	if set.Targets == nil {
		return
	}
	needed := append([]string{similarity, distance}, extra...)
	if set.Order != matcher.BySimilarity {
		needed = append(needed, "create_time")
	}
	if set.Group != nil { // to check the groups of the rows
		needed = append(needed, set.Group.By.Name)
	}
	targets := slices.Clone(set.Targets)
	for _, name := range needed {
		if !slices.Contains(targets, name) {
			targets = append(targets, name)
		}
	}
	w.Key("targets")
	writeList(w, targets)
}

// rankingFields writes the fields of a candidate set that group, skip, count and leave
// out rows.
func (w *Writer) rankingFields(set *matcher.Candidates) {
	if set.Group != nil {
		w.Key("group")
		w.grouping(set.Group)
	}
	if set.Offset > 0 {
		w.Key("offset")
		w.Int(int64(set.Offset))
	}
	if set.Count {
		w.Key("count")
		w.Bool(true)
	}
	if set.ExcludeSelf {
		w.Key("exclude_self")
		w.Bool(true)
	}
}
