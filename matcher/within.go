package matcher

import (
	"context"
	"slices"
)

type withinKey struct{}

// WithinLists returns a context for a request that is bound to lists: it sees and changes
// only faces in these lists. lists are sorted. Nil lists do not bind the request.
func WithinLists(ctx context.Context, lists []ID) context.Context {
	if lists == nil {
		return ctx
	}
	return context.WithValue(ctx, withinKey{}, Lists(lists))
}

// BoundLists returns the lists that the request of ctx is bound to.
func BoundLists(ctx context.Context) Lists {
	lists, _ := ctx.Value(withinKey{}).(Lists)
	return lists
}

// Lists are the lists that a request is bound to, sorted. Nil means that it is not bound.
type Lists []ID

// Have reports whether a request that is bound to l may use a list.
func (l Lists) Have(list ID) bool {
	if l == nil {
		return true
	}
	_, found := slices.BinarySearchFunc(l, list, ID.Compare)
	return found
}

// See reports whether an object exists for a request that is bound to l.
func (l Lists) See(o *Object) bool {
	return l == nil || o.Origin == Faces && slices.ContainsFunc(o.Lists, l.Have)
}

// Shown returns those of lists that a request bound to l may see.
func (l Lists) Shown(lists []ID) []ID {
	if l == nil {
		return lists
	}
	var shown []ID
	for _, id := range lists {
		if l.Have(id) {
			shown = append(shown, id)
		}
	}
	return shown
}

// Keep returns lists with those of old that a request bound to l does not see, so that it
// cannot remove an object from them.
func (l Lists) Keep(lists, old []ID) []ID {
	if l == nil {
		return lists
	}
	kept := slices.Clone(lists)
	for _, id := range old {
		if !l.Have(id) && !slices.Contains(lists, id) {
			kept = append(kept, id)
		}
	}
	return kept
}
