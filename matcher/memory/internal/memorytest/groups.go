package memorytest

import (
	"bytes"

	"nearside/matcher"
)

// isSelf reports whether a match of a reference with exclude_self leaves out x.
func isSelf(r *matcher.Reference, x *matcher.Object) bool {
	for i := range r.Parts {
		if isSelf(&r.Parts[i], x) {
			return true
		}
	}
	origins := map[matcher.ReferenceType]matcher.Origin{
		matcher.RefFace: matcher.Faces, matcher.RefFaceExternalID: matcher.Faces, matcher.RefEvent: matcher.Events,
		matcher.RefEventExternalID: matcher.Events, matcher.RefEventTrackID: matcher.Events, matcher.RefAttribute: matcher.Attributes,
	}
	if r.Object != nil && r.Type == matcher.RefRaw {
		return r.Object.Origin == x.Origin && bytes.Equal(r.Object.ID[:], x.ID[:])
	}
	o, ok := origins[r.Type]
	return ok && o == x.Origin && (r.ID == x.ID.String() || r.ObjectID == x.ID)
}

// pageOf returns the rows of an answer to c, and their count. sorted has all rows that
// pass, in the order of the answer.
func pageOf(c *matcher.Candidates, sorted []Answer) (page []Answer, count int) {
	size := 1
	var groups [][]Answer
	if c.Group != nil {
		size = c.Group.Size
	}
	places := map[string]int{}
	for _, row := range sorted {
		if at, ok := places[row.group]; ok && row.group != "" {
			groups[at] = append(groups[at], row)
			continue
		}
		places[row.group] = len(groups)
		groups = append(groups, []Answer{row})
	}
	for at, g := range groups {
		if at >= c.Offset && at < c.Offset+c.Limit {
			page = append(page, g[:min(size, len(g))]...)
		}
	}
	return page, len(groups)
}

// groupIn returns the value of x by which c groups rows, "" if it has none.
func groupIn(c *matcher.Candidates, x *matcher.Object) string {
	if c.Group == nil {
		return ""
	}
	switch value := FieldOf(x, c.Group.By.Path()).(type) {
	case string:
		return value
	case matcher.ID:
		return value.String()
	}
	return ""
}
