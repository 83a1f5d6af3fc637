package store

import (
	"context"

	"nearside/matcher"
)

// ImportLine is one object of an import.
type ImportLine struct {
	Object   *matcher.Object
	HasLists bool       // Object.Lists replace the lists of the object that is there; else they stay
	AddList  matcher.ID // one more list; zero: none
}

// Import stores objects, new or in place of those with their IDs, and creates
// the lists that are missing, in the account of the object. It returns one
// error per line: nil when the object is durable. Lines that are rejected
// (CodeForbidden: another account's object, or a remote's; CodeListNotFound: another
// account's list) do not stop the others. All is one commit: when that fails,
// every line gets its error.
func (s *Store) Import(ctx context.Context, account *matcher.ID, lines []ImportLine) []error {
	errs := make([]error, len(lines))
	err := s.Commit(ctx, func(tx *Tx) error {
		now := matcher.TimeOf(s.opts.now())
		for i := range lines {
			errs[i] = tx.importLine(account, &lines[i], now)
		}
		return nil
	})
	if err != nil {
		// A fresh slice: the writer may be at work on the other one still.
		errs = make([]error, len(lines))
		for i := range errs {
			errs[i] = err
		}
	}
	return errs
}

// importLine stores one line; when it returns an error it has written nothing.
func (tx *Tx) importLine(account *matcher.ID, line *ImportLine, now matcher.Time) error {
	o := line.Object
	old, err := tx.owned(account, o)
	if err != nil {
		return err
	}
	if o.Origin != matcher.Faces {
		if err := tx.checkOwners(o, nil); err != nil {
			return err
		}
		if len(o.Lists) > 0 || !line.AddList.IsZero() {
			return matcher.Errorf(matcher.CodeBadInput, "lists: only faces are in lists")
		}
		return tx.Put(o)
	}
	c := *o // the caller's object keeps its lists
	c.Lists = nil
	if line.HasLists {
		c.Lists = append(c.Lists, o.Lists...)
	} else {
		c.Lists = append(c.Lists, listsOf(old)...)
	}
	if !line.AddList.IsZero() {
		c.Lists = append(c.Lists, line.AddList)
	}
	c.Lists = sortOnce(c.Lists)
	if err := tx.checkOwners(&c, listsOf(old)); err != nil {
		return err
	}
	for _, id := range c.Lists {
		if l := tx.List(id); l != nil && !mayBeIn(l, account, &c, listsOf(old)) {
			return matcher.ListNotFound(id)
		}
	}
	for _, id := range c.Lists {
		if tx.List(id) == nil {
			tx.PutList(&matcher.List{ID: id, Account: c.Account, CreateTime: now})
		}
	}
	return tx.Put(&c)
}
