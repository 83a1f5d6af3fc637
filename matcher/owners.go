package matcher

import (
	"slices"
	"strings"
)

// Owners says whose data is not ours: which remotes own an origin, and which
// own a list of faces. Who owns data answers for it and takes its writes. A
// list that nobody owns goes with its origin. nil owns nothing. An Owners is
// read-only once it is shared.
type Owners struct {
	Origins [Origins][]string // names of remotes; none: ours
	Lists   map[ID][]string
}

// OfOrigin returns who owns an origin.
func (o *Owners) OfOrigin(origin Origin) []string {
	if o == nil {
		return nil
	}
	return o.Origins[origin]
}

// OfList returns who owns a list.
func (o *Owners) OfList(id ID) []string {
	if o == nil {
		return nil
	}
	if owners := o.Lists[id]; owners != nil {
		return owners
	}
	return o.Origins[Faces]
}

// Of returns who owns the data that a filter is about, nil when it is ours.
// The lists that it names must have an owner in common (CodeNoMatcher): nobody
// else has all of their faces.
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
			return nil, Errorf(CodeNoMatcher, "filters: list %s is of %s and the lists before it of %s; no matcher has all", id, OwnerText(owners), OwnerText(common))
		}
		common = both
	}
	return common, nil
}

// Has reports whether a remote owns objects of an origin: all of them, or those
// of some lists.
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

// OwnerText says in words whose the data of owners is.
func OwnerText(owners []string) string {
	if len(owners) == 0 {
		return "this server"
	}
	return "remote " + strings.Join(owners, ", ")
}

// CheckOrigin refuses (CodeForbidden) to write objects that are not ours.
func (o *Owners) CheckOrigin(origin Origin) error {
	if owners := o.OfOrigin(origin); len(owners) > 0 {
		return Errorf(CodeForbidden, "%s are owned by %s: write there", origin, OwnerText(owners))
	}
	return nil
}

// CheckList refuses (CodeForbidden) to write into a list that is not ours.
func (o *Owners) CheckList(id ID) error {
	if owners := o.OfList(id); len(owners) > 0 {
		return Errorf(CodeForbidden, "list_id: %s is owned by %s: write there", id, OwnerText(owners))
	}
	return nil
}
