package server

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// A key may be bound to an account, to lists, or to both. A bound account is that of the
// request, as if the query named it. Of a key that is bound to lists, the functions of this
// file check what the request names, and restrict what it reads; the store restricts what
// it writes (matcher.WithinLists).

// bound reports whether the key is bound to an account.
func (x *exchange) bound() bool { return x.caller != nil && x.caller.Account != nil }

// lists returns the lists that the key is bound to; nil: all lists.
func (x *exchange) lists() matcher.Lists {
	if x.caller == nil {
		return nil
	}
	return x.caller.Lists
}

// viewer returns the account for which errors are masked. A key that is bound to lists must
// not learn about others, either.
func (x *exchange) viewer() *matcher.ID {
	if x.account == nil && x.lists() != nil {
		return &matcher.ID{}
	}
	return x.account
}

// bindAccount sets the account of the request to that of the key.
func (x *exchange) bindAccount() error {
	if !x.bound() {
		return nil
	}
	if x.account != nil && *x.account != *x.caller.Account {
		return x.otherAccount("account_id", *x.account)
	}
	x.account = x.caller.Account
	return nil
}

// checkNamedAccounts refuses another account than that of the key in the query and the header
// of an operation that takes any parameters, such as a route of a plugin. A text that is not an
// id is left to the operation, where it may have another meaning.
func (x *exchange) checkNamedAccounts() error {
	if !x.bound() {
		return nil
	}
	parameters, err := x.parameters()
	if err != nil {
		return err
	}
	for _, p := range parameters {
		if id, err := matcher.ParseID(p.value); p.key == "account_id" && err == nil && id != *x.caller.Account {
			return x.otherAccount(p.key, id)
		}
	}
	for _, value := range x.Request.Header.PeekAll(accountHeader) {
		if id, err := matcher.ParseID(string(value)); err == nil && id != *x.caller.Account {
			return x.otherAccount(accountHeader, id)
		}
	}
	return nil
}

// otherAccount returns the error of a request that names another account than that of the
// key.
func (x *exchange) otherAccount(path string, given matcher.ID) error {
	return matcher.Errorf(matcher.CodeForbidden, "%s: the key %s is bound to another account than %s", path, x.caller.Name, given)
}

// checkList refuses a list that the key is not bound to. path names it in the request.
func (x *exchange) checkList(path string, list matcher.ID) error {
	if x.lists().Have(list) {
		return nil
	}
	return matcher.Errorf(matcher.CodeForbidden, "%s: the key %s is not bound to the list %s", path, x.caller.Name, list)
}

func (x *exchange) checkLists(path string, lists []matcher.ID) error {
	for i, id := range lists {
		if err := x.checkList(fmt.Sprintf("%s[%d]", path, i), id); err != nil {
			return err
		}
	}
	return nil
}

// listID returns the ID of the list in the path.
func (x *exchange) listID() (matcher.ID, error) {
	id, err := x.id(matcher.ListNotFound)
	if err != nil {
		return id, err
	}
	return id, x.checkList("list_id", id)
}

// checkWritable refuses to write objects that are not in lists.
func (x *exchange) checkWritable(o matcher.Origin) error {
	if x.lists() == nil || o == matcher.Faces {
		return nil
	}
	return matcher.Errorf(matcher.CodeForbidden, "the key %s is bound to lists, so it can write only faces, not %s", x.caller.Name, o)
}

// restrict changes a filter so that it selects only what the key may see. It refuses other
// lists. path is the place of the filters in the request, with a dot at its end.
func (x *exchange) restrict(o matcher.Origin, f *matcher.Filter, path string) error {
	bound := x.lists()
	switch {
	case bound == nil:
		return nil
	case o != matcher.Faces:
		f.IDs = []matcher.ID{} // selects nothing, because the key sees only faces
		return nil
	case f.ListID == nil && f.Lists == nil:
		f.Lists = bound
		return nil
	}
	if f.ListID != nil {
		if err := x.checkList(path+"list_id", *f.ListID); err != nil {
			return err
		}
	}
	return x.checkLists(path+"lists", f.Lists)
}

// checkSet restricts a candidate set. A set of faces must name lists of the key. path is
// the place of the set in the request, with a dot at its end.
func (x *exchange) checkSet(c *matcher.Candidates, path string) error {
	if f := &c.Filter; x.lists() != nil && c.Origin == matcher.Faces && f.ListID == nil && len(f.Lists) == 0 {
		return matcher.Errorf(matcher.CodeForbidden, "%sfilters: must have list_id or lists, because the key %s is bound to lists", path, x.caller.Name)
	}
	return x.restrict(c.Origin, &c.Filter, path+"filters.")
}

// placeObject puts an object that will be written into lists of the key: those that it
// names, or all.
func (x *exchange) placeObject(in *wire.ObjectInput) error {
	bound := x.lists()
	if bound == nil {
		return nil
	}
	if err := x.checkWritable(in.Object.Origin); err != nil {
		return err
	}
	if !in.HasLists {
		in.Object.Lists = slices.Clone(bound)
		return nil
	}
	return x.checkNamed(in.Object.Lists)
}

// checkNamed refuses lists of a new face unless they are lists of the key, at least one.
func (x *exchange) checkNamed(lists []matcher.ID) error {
	if len(lists) == 0 {
		return matcher.Errorf(matcher.CodeForbidden, "lists: must have at least one list, because the key %s is bound to lists", x.caller.Name)
	}
	return x.checkLists("lists", lists)
}

// checkLineLists is placeObject for a line of an import. added is the list of the whole
// import, or zero. A line without lists keeps those of the stored face, so the store puts
// only new faces into all lists.
func (x *exchange) checkLineLists(in *wire.ObjectInput, added matcher.ID) error {
	if x.lists() == nil || !in.HasLists || len(in.Object.Lists) == 0 && !added.IsZero() {
		return nil
	}
	return x.checkNamed(in.Object.Lists)
}

// checkPatch refuses a change of a face that names another account than that of the key. It
// applies the change to an empty face, because that does not reveal anything about the
// stored one.
func (x *exchange) checkPatch(id matcher.ID, patch func(*matcher.Object) error) error {
	if !x.bound() {
		return nil
	}
	return x.asOtherAccount(patch(&matcher.Object{Origin: matcher.Faces, ID: id, Account: *x.account}))
}

// checkListPatch is checkPatch for a list.
func (x *exchange) checkListPatch(id matcher.ID, patch func(*matcher.List) error) error {
	if !x.bound() {
		return nil
	}
	return x.asOtherAccount(patch(&matcher.List{ID: id, Account: *x.account}))
}

// asOtherAccount returns err, or CodeForbidden if err refuses a change of the account.
func (x *exchange) asOtherAccount(err error) error {
	if !errors.Is(err, matcher.ErrAccountChange) {
		return err
	}
	return matcher.Errorf(matcher.CodeForbidden, "account_id: the key %s is bound to another account", x.caller.Name)
}

// hideLists removes the lists that the key does not see from the objects of a result.
func (x *exchange) hideLists(r *matcher.Result) {
	if x.lists() == nil {
		return
	}
	for i := range r.Matches {
		x.hideListsOf(r.Matches[i].Object)
	}
}

// hideListsOf does the same for one object, which may be nil.
func (x *exchange) hideListsOf(o *matcher.Object) {
	if bound := x.lists(); bound != nil && o != nil {
		o.Lists = bound.Shown(o.Lists)
	}
}

// pageOfLists returns a page of the lists that the request may see, and their number.
func (x *exchange) pageOfLists(ctx context.Context, p matcher.Page) ([]matcher.List, int) {
	bound := x.lists()
	if bound == nil {
		return x.options.Memory.Lists(x.account, p)
	}
	n, all := 0, []matcher.List{}
	for _, id := range bound { // sorted
		l, _, ok := x.options.Memory.List(ctx, id, x.account)
		if !ok {
			continue
		}
		n++
		if p.After == nil || id.Compare(*p.After) > 0 {
			all = append(all, l)
		}
	}
	all = all[min(p.Offset, len(all)):]
	return all[:min(p.Size, len(all))], n
}

// unlinkList takes all faces out of a list, or, withFaces, out of all lists of the key. The
// list stays, because a key that is bound to lists cannot delete anything.
func (x *exchange) unlinkList(ctx context.Context, id matcher.ID, withFaces bool) error {
	if _, _, ok := x.options.Memory.List(ctx, id, x.account); !ok {
		return matcher.ListNotFound(id)
	}
	if !withFaces {
		ctx = matcher.WithinLists(ctx, []matcher.ID{id})
	}
	_, err := x.options.Store.DeleteFound(ctx, matcher.Faces, x.options.Memory.Finder(ctx, matcher.Faces, &matcher.Filter{ListID: &id}, x.account))
	if err != nil {
		return err
	}
	return x.sendNoContent()
}
