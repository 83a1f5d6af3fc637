package matcher

import "fmt"

// PageOrder is the order of a list of objects. Each is total: objects of the
// same time are ordered by ascending ID.
type PageOrder uint8

// The orders of lists.
const (
	PageByID PageOrder = iota
	PageByTimeAsc
	PageByTimeDesc
)

// String returns the wire name.
func (o PageOrder) String() string {
	return [...]string{"id", "create_time_asc", "create_time_desc"}[o]
}

// ParsePageOrder parses a text that String returns.
func ParsePageOrder(s string) (PageOrder, error) {
	for _, o := range []PageOrder{PageByID, PageByTimeAsc, PageByTimeDesc} {
		if o.String() == s {
			return o, nil
		}
	}
	return 0, fmt.Errorf("must be one of id, create_time_asc, create_time_desc, got %q", Shorten(s))
}

// Page selects a part of a list of objects: Size objects in Order, from Offset
// or from the first ID after After.
type Page struct {
	Order  PageOrder
	Offset int
	Size   int
	// After is an ID that need not belong to an object; nil: Offset is used. With
	// After, Order is PageByID and Offset is 0.
	After       *ID
	Descriptors bool
}
