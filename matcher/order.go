package matcher

import (
	"cmp"
	"fmt"
)

// Order says which rows come first. Every order is total: ties are settled by
// ID, so that answers can be compared byte by byte.
type Order uint8

// The orders. BySimilarity returns the nearest rows; the other two return, of
// the rows that pass the threshold, the oldest or the newest.
const (
	BySimilarity Order = iota
	ByTimeAsc
	ByTimeDesc
)

// String returns the wire name.
func (o Order) String() string {
	return [...]string{"similarity", "create_time_asc", "create_time_desc"}[o]
}

// ParseOrder reads what String returns.
func ParseOrder(s string) (Order, error) {
	for _, o := range []Order{BySimilarity, ByTimeAsc, ByTimeDesc} {
		if o.String() == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("%q is not one of similarity, create_time_asc, create_time_desc", shorten(s))
}

// Compare returns below 0 when a comes before b.
func (o Order) Compare(a, b *Match) int {
	switch o {
	case ByTimeAsc:
		return cmp.Or(cmp.Compare(a.CreateTime, b.CreateTime), a.ID.Compare(b.ID))
	case ByTimeDesc: // ties still by ascending ID
		return cmp.Or(cmp.Compare(b.CreateTime, a.CreateTime), a.ID.Compare(b.ID))
	default:
		return cmp.Or(cmp.Compare(a.Distance, b.Distance), a.ID.Compare(b.ID))
	}
}
