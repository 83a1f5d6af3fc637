package matcher

import "context"

// Moment is a snapshot of the local objects. A request takes one, so that its
// references, its candidate sets and both sides of a cross match show the same
// state, even if objects change meanwhile. A moment keeps its state in memory
// and must not outlive its request. It is safe for concurrent use.
//
// If a filter names lists or IDs, a moment evaluates it only for the candidate
// sets that the moment was taken for. It identifies them by their address.
type Moment interface {
	Selector
	// Get returns a visible object with its descriptors.
	Get(o Origin, id ID, account *ID, descriptors bool) (Object, bool)
	// Page returns a page of the visible objects that pass a filter, and the
	// number of all objects that pass.
	Page(ctx context.Context, o Origin, f *Filter, account *ID, p Page) ([]Object, int, error)
	// Each calls f with every visible object of a candidate set that has a
	// descriptor of type t, until f returns an error. The objects have their
	// descriptors and come in any order.
	Each(ctx context.Context, c *Candidates, t DescriptorType, account *ID, f func(*Object) error) error
}
