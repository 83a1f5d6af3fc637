package memorytest

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"math"
	"slices"
	"sort"

	"nearside/internal/precise"
	"nearside/matcher"
	"nearside/matcher/store"
)

// Oracle answers by brute force over plain objects, with its own formulas.
type Oracle struct {
	Registry *matcher.Registry
	Faces    map[matcher.ID]*matcher.Object
	ListIDs  map[matcher.ID]bool
}

// NewOracle returns an Oracle without objects.
func NewOracle(registry *matcher.Registry) *Oracle {
	return &Oracle{Registry: registry, Faces: map[matcher.ID]*matcher.Object{}, ListIDs: map[matcher.ID]bool{}}
}

// ApplyChanges applies the changes of a commit.
func (o *Oracle) ApplyChanges(changes []store.Change) {
	for _, c := range changes {
		switch c.Kind {
		case store.PutObject:
			o.Faces[c.Object.ID] = c.Object
		case store.DeleteObject:
			delete(o.Faces, c.ID)
		case store.PutList:
			o.ListIDs[c.List.ID] = true
		case store.DeleteList:
			delete(o.ListIDs, c.ID)
			for id, f := range o.Faces {
				if slices.Contains(f.Lists, c.ID) {
					f := *f
					f.Lists = slices.DeleteFunc(slices.Clone(f.Lists), func(l matcher.ID) bool { return l == c.ID })
					o.Faces[id] = &f
				}
			}
		}
	}
}

// Passes reports whether f selects x for a request of account.
func (o *Oracle) Passes(f *matcher.Filter, account *matcher.ID, x *matcher.Object) bool {
	in := func(want []matcher.ID, have ...matcher.ID) bool {
		return slices.ContainsFunc(have, func(id matcher.ID) bool { return slices.Contains(want, id) })
	}
	return (account == nil || *account == x.Account) &&
		(f.Account == nil || *f.Account == x.Account) &&
		InRange(f.CreateTime, x.CreateTime) &&
		!slices.ContainsFunc(f.Fields, func(f matcher.FieldFilter) bool { return !passesField(&f, x) }) &&
		(f.IDs == nil || in(f.IDs, x.ID)) &&
		(f.IDRange.GTE == nil || x.ID.String() >= f.IDRange.GTE.String()) &&
		(f.IDRange.LT == nil || x.ID.String() < f.IDRange.LT.String()) &&
		(f.ListID == nil || in([]matcher.ID{*f.ListID}, x.Lists...)) &&
		(f.Lists == nil || in(f.Lists, x.Lists...))
}

// Distance is implemented from the text of docs/api.md, Distance.
func (o *Oracle) Distance(v *matcher.Version, a, b []byte) float64 {
	if v.Encoding == matcher.Uint8 {
		sum := int64(0)
		for i := range a {
			d := int64(a[i]) - int64(b[i])
			sum += d * d
		}
		return float64(sum) / (float64(v.Scale) * float64(v.Scale))
	}
	at := func(b []byte, i int) float64 {
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b[i*4:])))
	}
	var l2, dot, aa, bb float64
	for i := range v.Length {
		x, y := at(a, i), at(b, i)
		l2 += float64((x - y) * (x - y))
		dot += float64(x * y)
		aa += float64(x * x)
		bb += float64(y * y)
	}
	if v.Metric == matcher.L2 {
		return l2
	}
	return math.Max(0, 2-2*dot/math.Sqrt(aa*bb))
}

// Answer is a row of an answer.
type Answer struct {
	ID         matcher.ID
	Distance   float64
	similarity float64
	time       matcher.Time
	group      string
}

// Similarity returns the similarity of a row.
func (a Answer) Similarity() float64 { return a.similarity }

// Answer returns the answer to sub, the number of rows that pass its filter, and how many
// of those have its version.
func (o *Oracle) Answer(sub *matcher.SubRequest) (rows []Answer, selected, scanned int) {
	rows, selected, scanned = o.sorted(sub)
	rows, _ = pageOf(sub.Candidates, rows)
	k, m := sub.Version.Similarity.Steepness, sub.Version.Similarity.Midpoint
	for i := range rows {
		if len(sub.Reference.Parts) == 0 { // otherwise sorted has set it
			rows[i].similarity = precise.Similarity(m, k, rows[i].Distance)
		}
	}
	return rows, selected, scanned
}

// Count returns the number of all rows, or groups, that an answer to sub is cut from.
func (o *Oracle) Count(sub *matcher.SubRequest) int {
	rows, _, _ := o.sorted(sub)
	_, n := pageOf(sub.Candidates, rows)
	return n
}

// sorted returns all rows that pass the filter and the threshold of sub, in the order of
// the answer.
func (o *Oracle) sorted(sub *matcher.SubRequest) (rows []Answer, selected, scanned int) {
	c, v := sub.Candidates, sub.Version
	k, m := v.Similarity.Steepness, v.Similarity.Midpoint
	for _, x := range o.Faces {
		if !o.Passes(&c.Filter, sub.Account, x) {
			continue
		}
		selected++
		d := x.Descriptors[v.Type]
		if d.Version != v.Number {
			continue
		}
		scanned++
		if c.ExcludeSelf && isSelf(sub.Reference, x) {
			continue
		}
		a := Answer{ID: x.ID, time: x.CreateTime, group: groupIn(c, x)}
		passes := false
		if len(sub.Reference.Parts) > 0 {
			a.Distance, a.similarity = o.together(v, sub.Reference, d.Data)
			passes = a.similarity >= c.Threshold
		} else {
			a.Distance = o.Distance(v, sub.Reference.Descriptor.Data, d.Data)
			passes = precise.Passes(m, k, a.Distance, c.Threshold)
		}
		if passes {
			rows = append(rows, a)
		}
	}
	sort.Slice(rows, func(i, j int) bool {
		a, b := rows[i], rows[j]
		switch {
		case c.Order == matcher.BySimilarity && len(sub.Reference.Parts) > 0 && a.similarity != b.similarity:
			return a.similarity > b.similarity
		case c.Order == matcher.BySimilarity && a.Distance != b.Distance:
			return a.Distance < b.Distance
		case c.Order == matcher.ByTimeAsc && a.time != b.time:
			return a.time < b.time
		case c.Order == matcher.ByTimeDesc && a.time != b.time:
			return a.time > b.time
		}
		return bytes.Compare(a.ID[:], b.ID[:]) < 0
	})
	return rows, selected, scanned
}

// together returns the distance and the similarity of a row for a reference with parts,
// from the text of docs/api.md, References.
func (o *Oracle) together(v *matcher.Version, ref *matcher.Reference, row []byte) (distance, similarity float64) {
	k, m := v.Similarity.Steepness, v.Similarity.Midpoint
	nearest := math.Inf(1)
	for _, part := range ref.Parts {
		d := o.Distance(v, part.Descriptor.Data, row)
		nearest = math.Min(nearest, d)
		distance += d
		if ref.Fuse == matcher.FuseMean {
			similarity += precise.Similarity(m, k, d)
		}
	}
	if ref.Fuse == matcher.FuseBest {
		return nearest, precise.Similarity(m, k, nearest)
	}
	n := float64(len(ref.Parts))
	return distance / n, similarity / n
}

// InRange reports whether v lies in r.
func InRange[T cmp.Ordered](r matcher.Range[T], v T) bool {
	return (r.GTE == nil || v >= *r.GTE) && (r.LT == nil || v < *r.LT)
}
