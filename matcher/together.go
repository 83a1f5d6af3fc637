package matcher

import (
	"cmp"
	"fmt"
)

// PartsMax is the maximum number of parts of a reference of type together.
const PartsMax = 32

// Fuse says how the distances of a row from the parts of a RefTogether become one
// distance and one similarity (docs/api.md, Several references as one).
type Fuse uint8

// FuseBest takes the smallest distance. FuseMean takes the means of the similarities and of
// the distances.
const (
	FuseBest Fuse = iota
	FuseMean
)

// String returns the wire name.
func (f Fuse) String() string { return [...]string{"best", "mean"}[f] }

// ParseFuse parses a text that String returns.
func ParseFuse(s string) (Fuse, error) {
	for _, f := range []Fuse{FuseBest, FuseMean} {
		if f.String() == s {
			return f, nil
		}
	}
	return 0, fmt.Errorf("must be one of best, mean, got %q", Shorten(s))
}

// Count returns the number of references as which a resolved reference counts in limits.
func (r *Reference) Count() int { return max(1, len(r.Parts)) }

// ByMean reports whether rows of r have the mean of several similarities. Such rows are
// not ordered by distance alone.
func (r *Reference) ByMean() bool { return r.Fuse == FuseMean && len(r.Parts) > 1 }

// CompareRows compares two rows of the answer to r. It is the same as o.Compare, except for
// rows with the mean of several similarities.
func (r *Reference) CompareRows(o Order, a, b *Match) int {
	if o == BySimilarity && r.ByMean() {
		return cmp.Or(cmp.Compare(b.Similarity, a.Similarity), o.Compare(a, b))
	}
	return o.Compare(a, b)
}

// Fused returns the distance and the similarity of a row whose distances from the parts
// of a RefTogether are given. Sums are in the order of the parts.
func (f Fuse) Fused(distances []float64, similarity func(distance float64) float64) (fused, sim float64) {
	if f == FuseBest {
		fused = distances[0]
		for _, d := range distances[1:] {
			fused = min(fused, d)
		}
		return fused, similarity(fused)
	}
	for _, d := range distances {
		fused += d
		sim += similarity(d)
	}
	n := float64(len(distances))
	return fused / n, sim / n
}
