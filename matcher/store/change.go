package store

import "nearside/matcher"

// ChangeKind says what a [Change] did.
type ChangeKind uint8

// The kinds of change.
const (
	PutObject    ChangeKind = iota // Object is new, or replaces the one with its ID
	DeleteObject                   // the object Origin, ID is gone
	PutList                        // List is new, or replaces the one with its ID
	DeleteList                     // the list ID is gone, and no face is in it any more
)

// Change is one durable step from a state to the next.
type Change struct {
	Kind   ChangeKind
	Object *matcher.Object // PutObject: whole, with descriptors; Lists exist, are sorted and unique
	Origin matcher.Origin  // DeleteObject
	ID     matcher.ID      // DeleteObject, DeleteList
	List   *matcher.List   // PutList
}

// Applier keeps a copy of what is stored in memory. Its methods are called by
// one goroutine at a time, in commit order.
type Applier interface {
	// Has reports whether there is an object, as of the last Apply. It saves
	// the store from looking on disk for what is not there.
	Has(origin matcher.Origin, id matcher.ID) bool
	// Admit is asked before a transaction is committed whether there is room
	// for changes: all that the next Apply would bring, those of this
	// transaction last. An error, CodeFull, refuses this transaction alone.
	// The slice is only lent.
	Admit(changes []Change) error
	// Apply brings changes that are durable. It cannot refuse. The slice and
	// all that it points to belong to the applier, and are never changed.
	Apply(changes []Change)
}
