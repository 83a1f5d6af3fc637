package matcher

import (
	"slices"
	"strings"
)

// Owners lists the data that remotes own: whole origins and lists of faces. The
// owner of data answers matches on it and accepts its writes. A list without
// owners of its own belongs to the owners of faces. This server owns everything
// else. A nil Owners means that no remote owns data. An Owners is read-only once
// it is shared.
type Owners struct {
	Origins [Origins][]string // names of remotes; empty: this server
	Lists   map[ID][]string
}

// OfOrigin returns the remotes that own an origin; empty: this server owns it.
func (o *Owners) OfOrigin(origin Origin) []string {
	if o == nil {
		return nil
	}
	return o.Origins[origin]
}

// OfList returns the remotes that own a list; empty: this server owns it.
func (o *Owners) OfList(id ID) []string {
	if o == nil {
		return nil
	}
	if owners := o.Lists[id]; owners != nil {
		return owners
	}
	return o.Origins[Faces]
}

// Of returns the remotes that own the data that a filter selects from; empty:
// this server owns it. If the filter names lists that have no owner in common,
// the error is CodeNoMatcher, because no matcher has all of their faces.
func (o *Owners) Of(origin Origin, f *Filter) ([]string, error) {
	if o == nil {
		return nil, nil
	}
	if origin != Faces {
		return o.Origins[origin], nil
	}
	named := f.Lists
	if f.ListID != nil {
		named = append([]ID{*f.ListID}, named...)
	}
	if len(named) == 0 {
		return o.Origins[origin], nil
	}
	common := o.OfList(named[0])
	for _, id := range named[1:] {
		owners := o.OfList(id)
		if slices.Equal(owners, common) {
			continue
		}
		both := slices.DeleteFunc(slices.Clone(common), func(name string) bool { return !slices.Contains(owners, name) })
		if len(both) == 0 {
			return nil, Errorf(CodeNoMatcher, "filters: list %s belongs to %s, the lists before it to %s; no matcher has all of them", id, OwnerText(owners), OwnerText(common))
		}
		common = both
	}
	return common, nil
}

// Has reports whether a remote owns an origin or lists of it.
func (o *Owners) Has(name string, origin Origin) bool {
	if o == nil {
		return false
	}
	if slices.Contains(o.Origins[origin], name) {
		return true
	}
	if origin != Faces { // only faces are in lists
		return false
	}
	for _, owners := range o.Lists {
		if slices.Contains(owners, name) {
			return true
		}
	}
	return false
}

// OwnerText names the owners of data in an error.
func OwnerText(owners []string) string {
	if len(owners) == 0 {
		return "this server"
	}
	return "remote " + strings.Join(owners, ", ")
}

// CheckOrigin returns CodeForbidden if a remote owns the origin, so that objects
// of it cannot be written here.
func (o *Owners) CheckOrigin(origin Origin) error {
	if owners := o.OfOrigin(origin); len(owners) > 0 {
		return Errorf(CodeForbidden, "%s are owned by %s: write there", origin, OwnerText(owners))
	}
	return nil
}

// CheckList returns CodeForbidden if a remote owns the list, so that it cannot be
// written here.
func (o *Owners) CheckList(id ID) error {
	if owners := o.OfList(id); len(owners) > 0 {
		return Errorf(CodeForbidden, "list_id: %s is owned by %s: write there", id, OwnerText(owners))
	}
	return nil
}
