package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"nearside/matcher"
)

// ImportLine is one object of an import.
type ImportLine struct {
	Object   *matcher.Object
	HasLists bool       // Object.Lists replace the lists of a stored object with this ID; otherwise its lists stay
	AddList  matcher.ID // one additional list; zero for none
	// ListAccounts are the accounts of lists that do not belong to the account of
	// the object, by the ID of the list; zero for no account. They matter only to
	// lists that an import creates.
	ListAccounts map[matcher.ID]matcher.ID
}

// pathOfList returns where the line names a list. A list that it does not name is
// the list of the whole import.
func (l *ImportLine) pathOfList(id matcher.ID) string {
	if i := slices.Index(l.Object.Lists, id); i >= 0 && l.HasLists {
		return fmt.Sprintf("lists[%d]", i)
	}
	return "list_id"
}

// listAccount returns the account that a list of o has according to the line.
func (l *ImportLine) listAccount(id matcher.ID, o *matcher.Object) matcher.ID {
	if account, given := l.ListAccounts[id]; given {
		return account
	}
	return o.Account
}

// Import creates objects or replaces the objects with the same IDs. It creates
// missing lists in the account that all of their lines name, or in no account if
// the lines differ, whatever their order.
//
// Import returns one error per line, nil if the object is durable. A rejected line
// does not stop the other lines. Its error is CodeForbidden if the stored object
// belongs to another account, if a remote owns the object or its list, or if the
// object and a list belong to different accounts. It is CodeListNotFound if account
// cannot see a list. All lines are one commit: if the commit fails, every line gets
// the error of the commit.
func (s *Store) Import(ctx context.Context, account *matcher.ID, lines []ImportLine) []error {
	im := s.NewImport(account)
	return im.Start(ctx, lines)()
}

// Import imports several groups of lines, in order. One goroutine uses it.
type Import struct {
	store   *Store
	account *matcher.ID
	last    *request // of the last group; nil: no group was started
}

// NewImport returns an import by an account.
func (s *Store) NewImport(account *matcher.ID) *Import { return &Import{store: s, account: account} }

// Start starts to import a group of lines as Store.Import does, after the groups that were
// started before. wait returns the errors of its lines. If the commit of a group fails, the
// commits of all later groups fail, too.
func (im *Import) Start(ctx context.Context, lines []ImportLine) (wait func() []error) {
	errs := make([]error, len(lines))
	records := recordsOf(lines)
	before, by := im.last, viewerOf(ctx, im.account)
	r := &request{ctx: ctx, done: make(chan struct{}), fn: func(tx *Tx) error {
		if before != nil && (!before.ran || before.err != nil) {
			return cmp.Or(before.err, errors.New("store: the lines before were not imported"))
		}
		before = nil // it keeps other lines in memory
		now := matcher.TimeOf(im.store.opts.now())
		tx.expect(len(lines))
		for i := range lines {
			errs[i] = tx.importLine(by, &lines[i], &records[i], now)
		}
		return nil
	}}
	im.last = r
	err := im.store.enqueue(r)
	return func() []error {
		if err == nil {
			err = im.store.await(r)
		}
		if err != nil {
			// A new slice, because the writer may still write to the old one.
			errs = make([]error, len(lines))
			for i := range errs {
				errs[i] = err
			}
		}
		return errs
	}
}

// importLine stores one line. If it returns an error, it has written nothing.
func (tx *Tx) importLine(by viewer, line *ImportLine, rec *lineRecord, now matcher.Time) error {
	o := line.Object
	old, err := tx.replacedObject(by, o)
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
		return tx.putLine(o, rec)
	}
	c := rec.face // a copy, because the lists of the caller's object must not change
	lists := listsOf(old)
	switch {
	case line.HasLists:
		lists = by.lists.Keep(o.Lists, listsOf(old))
	case old == nil && line.AddList.IsZero():
		lists = by.lists
	}
	c.Lists = append(make([]matcher.ID, 0, len(lists)+1), lists...)
	if !line.AddList.IsZero() {
		c.Lists = append(c.Lists, line.AddList)
	}
	c.Lists = sortUnique(c.Lists)
	if err := tx.checkOwners(c, listsOf(old)); err != nil {
		return err
	}
	if err := tx.importLists(by, line, c, listsOf(old), now); err != nil {
		return err
	}
	return tx.putLine(c, rec)
}

// importLists creates the lists of o that are missing, and checks that o can be in
// the others. A list that an import of all accounts created loses its account if a
// later line implies a different account. The account that a line implies is not
// certain: a line gives the account of a list only if it differs from the account of
// the face, and lines of earlier releases never give it. All other lists keep their
// account. After an error nothing is written.
func (tx *Tx) importLists(by viewer, line *ImportLine, o *matcher.Object, old []matcher.ID, now matcher.Time) error {
	var put []listEntry
	for _, id := range o.Lists {
		wanted := line.listAccount(id, o)
		if !MayJoin(o.Account, wanted) {
			return matcher.Errorf(matcher.CodeForbidden, "list_accounts.%s: %s is another account than the face's %s", id, wanted, o.Account)
		}
		e := tx.store.lists.get(id)
		switch {
		case e.list == nil:
			put = append(put, listEntry{list: &matcher.List{ID: id, Account: wanted, CreateTime: now}, imported: by.account == nil})
		case by.account != nil || !e.imported:
			if err := by.checkInList(e.list, o, old); err != nil {
				return matcher.Errorf(matcher.CodeOf(err), "%s: %w", line.pathOfList(id), err)
			}
		case e.list.Account != wanted && !e.list.Account.IsZero():
			l := *e.list
			l.Account = matcher.ID{}
			put = append(put, listEntry{list: &l, imported: true})
		}
	}
	for _, e := range put {
		tx.putList(e)
	}
	return nil
}
