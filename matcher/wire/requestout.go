package wire

import (
	"slices"
	"strconv"

	"nearside/matcher"
)

// AppendMatchRequest appends the body of a match, as [Decoder.Match] reads it.
// Each reference is given by its descriptor, with its index in references as
// its id. The rows of the answer have at least what merging them takes:
// similarity, distance, by time the create_time, and the targets also.
func AppendMatchRequest(dst []byte, f Format, references []matcher.Reference, sets []*matcher.Candidates, also ...string) []byte {
	w := NewWriter(dst, f)
	w.Object()
	w.Key("references")
	w.Array(len(references))
	for i := range references {
		w.Object()
		w.Key("type")
		w.String(string(matcher.RefRaw))
		w.Key("id")
		w.String(strconv.Itoa(i))
		w.Key("data")
		w.descriptor(references[i].Descriptor)
		w.EndObject()
	}
	w.EndArray()
	w.Key("candidates")
	w.Array(len(sets))
	for _, set := range sets {
		w.Object()
		w.filters(set)
		w.wanted(set, also)
		w.Key("order")
		w.String(set.Order.String())
		w.EndObject()
	}
	w.EndArray()
	w.EndObject()
	return w.Done()
}

// AppendCrossRequest appends the body of a cross match, as [Decoder.Cross]
// reads it. Of references the origin and the filter count. The rows have what
// those of AppendMatchRequest have.
func AppendCrossRequest(dst []byte, f Format, references, candidates *matcher.Candidates, also ...string) []byte {
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
	w.wanted(candidates, also)
	w.EndObject()
	return w.Done()
}

func (w *Writer) filters(set *matcher.Candidates) {
	filters := FilterValues(&set.Filter)
	filters["origin"] = set.Origin.String()
	w.Key("filters")
	w.any(filters)
}

// wanted writes how much of the answer is wanted.
func (w *Writer) wanted(set *matcher.Candidates, also []string) {
	w.Key("limit")
	w.Int(int64(set.Limit))
	w.Key("threshold")
	w.Float(set.Threshold)
	if set.Targets == nil {
		return
	}
	needed := append([]string{similarity, distance}, also...)
	if set.Order != matcher.BySimilarity {
		needed = append(needed, "create_time")
	}
	targets := slices.Clone(set.Targets)
	for _, name := range needed {
		if !slices.Contains(targets, name) {
			targets = append(targets, name)
		}
	}
	w.Key("targets")
	list(w, targets)
}
