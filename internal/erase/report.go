package erase

import (
	"cmp"
	"slices"

	"nearside/matcher/store"
)

// Report is the result of an erasure.
type Report struct {
	Objects        int      `json:"objects"`         // objects and lists that were deleted
	NotFound       int      `json:"not_found"`       // IDs of objects that did not exist; files were searched for them, too
	BytesRewritten int64    `json:"bytes_rewritten"` // bytes of files that were written
	FilesVerified  int      `json:"files_verified"`
	Unsearched     int      `json:"unsearched"` // descriptors that are too short or too uniform to be searched
	Shared         int      `json:"shared"`     // places that belong to existing objects with an equal descriptor or ID
	Snapshots      []string `json:"snapshots"`  // names of the snapshots that were deleted
	Remains        []Remain `json:"remains"`
}

// Remain says where something of the erased objects was found.
type Remain struct {
	File  string `json:"file"`  // relative to the data directory
	In    string `json:"in"`    // what has it, such as "audit", "snapshot", "log" or "record of faces"
	Found string `json:"found"` // "id" or "descriptor"
	Count int    `json:"count"` // places
}

// The kinds of places that keep erased data on purpose.
const (
	inAudit    = "audit"
	inSnapshot = "snapshot"
)

// Proven reports whether nothing remains except IDs in the audit.
func (r *Report) Proven() bool {
	return !slices.ContainsFunc(r.Remains, func(m Remain) bool { return m.In != inAudit })
}

// settled reports whether rewriting files again cannot help.
func (r *Report) settled() bool {
	return !slices.ContainsFunc(r.Remains, func(m Remain) bool {
		return !slices.Contains([]string{inAudit, inSnapshot, inFile, store.PluginKind}, m.In)
	})
}

// addRemain adds to the count of a place.
func (r *Report) addRemain(m Remain) {
	same := func(other Remain) bool { return other.File == m.File && other.In == m.In && other.Found == m.Found }
	if i := slices.IndexFunc(r.Remains, same); i >= 0 {
		r.Remains[i].Count += m.Count
		return
	}
	r.Remains = append(r.Remains, m)
}

func (r *Report) sort() {
	slices.SortFunc(r.Remains, func(a, b Remain) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.In, b.In), cmp.Compare(a.Found, b.Found))
	})
}
