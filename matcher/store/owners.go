package store

import (
	"slices"

	"nearside/matcher"
)

// SetOwners says whose data is not ours: from now on writes to it are refused
// with CodeForbidden. What was stored before stays.
func (s *Store) SetOwners(o *matcher.Owners) { s.owners.Store(o) }

// Owners returns what SetOwners was given, nil at first.
func (s *Store) Owners() *matcher.Owners { return s.owners.Load() }

// checkOwners refuses an object that is not ours, or that is in a list which
// is not; it may be in those of old already.
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
