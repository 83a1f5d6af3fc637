package store

import (
	"slices"

	"nearside/matcher"
)

// SetOwners sets the origins and lists that remotes own. From now on writes to them
// fail with CodeForbidden. Objects that were stored before stay.
func (s *Store) SetOwners(o *matcher.Owners) { s.owners.Store(o) }

// Owners returns the last argument of SetOwners, or nil.
func (s *Store) Owners() *matcher.Owners { return s.owners.Load() }

// checkOwners returns CodeForbidden if a remote owns the origin of o or one of its
// lists. Lists in old, which o is in already, are allowed.
func (tx *Tx) checkOwners(o *matcher.Object, old []matcher.ID) error {
	owners := tx.store.Owners()
	if owners == nil {
		return nil
	}
	if err := owners.CheckOrigin(o.Origin); err != nil {
		return err
	}
	for i, id := range o.Lists {
		names := owners.OfList(id)
		if len(names) > 0 && !slices.Contains(old, id) {
			return matcher.Errorf(matcher.CodeForbidden, "lists[%d]: %s is owned by %s: write there", i, id, matcher.OwnerText(names))
		}
	}
	return nil
}
