package matcher

import (
	"cmp"
	"fmt"
)

// Order is the order of the rows of an answer. Every order is total: ties are
// ordered by ID, so that answers can be compared byte by byte.
type Order uint8

// The orders. BySimilarity returns the nearest rows. ByTimeAsc and ByTimeDesc
// return the oldest or the newest of the rows that pass the threshold.
const (
	BySimilarity Order = iota
	ByTimeAsc
	ByTimeDesc
)

// String returns the wire name.
func (o Order) String() string {
	return [...]string{"similarity", "create_time_asc", "create_time_desc"}[o]
}

// ParseOrder parses a text that String returns.
func ParseOrder(s string) (Order, error) {
	for _, o := range []Order{BySimilarity, ByTimeAsc, ByTimeDesc} {
		if o.String() == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("must be one of similarity, create_time_asc, create_time_desc, got %q", Shorten(s))
}

// Compare returns a negative number if a comes before b, a positive number if b
// comes before a, and 0 if they are the same row.
func (o Order) Compare(a, b *Match) int {
	switch o {
	case ByTimeAsc:
		return cmp.Or(cmp.Compare(a.CreateTime, b.CreateTime), a.ID.Compare(b.ID))
	case ByTimeDesc: // ties are ordered by ascending ID here too
		return cmp.Or(cmp.Compare(b.CreateTime, a.CreateTime), a.ID.Compare(b.ID))
	default:
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), a.ID.Compare(b.ID))
	}
}
