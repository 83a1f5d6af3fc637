package store

import "nearside/matcher"

// ChangeKind is the kind of a [Change].
type ChangeKind uint8

// The kinds of change.
const (
	PutObject    ChangeKind = iota // Object was created or replaces the object with its ID
	DeleteObject                   // the object with Origin and ID was deleted
	PutList                        // List was created or replaces the list with its ID
	DeleteList                     // the list with ID was deleted, and all faces left it
)

// Change is one durable change of the data.
type Change struct {
	Kind ChangeKind
	// Created is set for a PutObject if no object has this ID when the change is applied.
	// It saves the applier a search. If it is not set, there may be such an object.
	Created bool
	// Object is complete for a PutObject, with descriptors; its Lists exist, are sorted and
	// unique. For a DeleteObject, it is the deleted object without descriptors if its origin
	// is watched, else nil.
	Object *matcher.Object
	Origin matcher.Origin // DeleteObject
	ID     matcher.ID     // DeleteObject, DeleteList
	List   *matcher.List  // PutList, or the deleted list; nil for a list that did not exist
	Cause  matcher.Cause
}

// Applier keeps a copy of the stored data in memory. The store calls its methods from
// one goroutine at a time, in commit order.
type Applier interface {
	// Has reports whether an object exists, as of the last Apply. It saves the store
	// from searching the disk for objects that do not exist.
	Has(origin matcher.Origin, id matcher.ID) bool
	// Admit is called before a transaction is committed. It returns CodeFull if
	// there is too little memory for changes, and then only this transaction fails.
	// changes are all changes of the next Apply so far; those of this transaction
	// come last. The applier must not keep the slice.
	Admit(changes []Change) error
	// Hold is called when the changes of the last Admit are about to be written. Their
	// memory stays reserved until Apply or Withdraw. Later calls of Admit have the changes
	// of a later Apply, which need memory in addition.
	Hold()
	// Withdraw is called instead of Apply if changes were not written. It ends every Hold
	// that was not followed by its Apply.
	Withdraw()
	// Apply applies durable changes, in the order of the calls of Hold. It cannot fail. The
	// applier owns the slice and everything that it points to; the store never changes them
	// afterwards.
	Apply(changes []Change)
}
