package matcher_test

import (
	"slices"
	"strings"
	"testing"

	"nearside/matcher"
)

// TestOwnersOf: Of returns the owners of the data that a filter selects from.
func TestOwnersOf(t *testing.T) {
	list := func(n byte) matcher.ID { return matcher.ID{n} }
	some := &matcher.Owners{Lists: map[matcher.ID][]string{list(1): {"a"}, list(2): {"a", "b"}, list(3): {"b"}, list(4): {"b", "c"}, list(5): {"c", "a"}}}
	some.Origins[matcher.Events] = []string{"e"}
	all := &matcher.Owners{Lists: map[matcher.ID][]string{list(1): {"a"}, list(2): {"a", "o"}}}
	all.Origins[matcher.Faces] = []string{"o"}

	// Each digit of lists is a list. The first one is list_id; 0: list_id is not given.
	check := func(o *matcher.Owners, origin matcher.Origin, lists, want string) {
		t.Helper()
		f := &matcher.Filter{}
		for i, n := range []byte(lists) {
			switch {
			case i > 0:
				f.Lists = append(f.Lists, list(n-'0'))
			case n != '0':
				id := list(n - '0')
				f.ListID = &id
			}
		}
		got, err := o.Of(origin, f)
		switch {
		case strings.HasPrefix(want, "no "):
			if matcher.CodeOf(err) != matcher.CodeNoMatcher || !strings.HasPrefix(err.Error(), "filters: ") || !strings.Contains(err.Error(), want) {
				t.Errorf("%s: %v, %v; want %s", lists, got, err, want)
			}
		case err != nil || strings.Join(got, " ") != want:
			t.Errorf("%s: %q, %v; want %q", lists, got, err, want)
		}
	}
	check(nil, matcher.Faces, "123", "")
	check(some, matcher.Faces, "", "")
	check(some, matcher.Faces, "1", "a")
	check(some, matcher.Faces, "2", "a b")
	check(some, matcher.Faces, "9", "")
	check(some, matcher.Faces, "98", "")
	check(some, matcher.Faces, "01", "a")
	check(some, matcher.Faces, "02", "a b")
	check(some, matcher.Faces, "12", "a")
	check(some, matcher.Faces, "023", "b")
	check(some, matcher.Faces, "22", "a b")
	check(some, matcher.Faces, "13", "no matcher has all")
	check(some, matcher.Faces, "19", "no matcher has all")
	check(some, matcher.Faces, "91", "no matcher has all")
	check(some, matcher.Faces, "0991", "no matcher has all")
	check(some, matcher.Faces, "0245", "no matcher has all") // any two of them have a common owner
	check(some, matcher.Events, "", "e")
	check(some, matcher.Attributes, "", "")
	check(all, matcher.Faces, "", "o")
	check(all, matcher.Faces, "9", "o")
	check(all, matcher.Faces, "098", "o")
	check(all, matcher.Faces, "1", "a")
	check(all, matcher.Faces, "92", "o")
	check(all, matcher.Faces, "19", "no matcher has all")
	check(all, matcher.Events, "", "")

	if got, err := some.Of(matcher.Faces, &matcher.Filter{Lists: []matcher.ID{}}); got != nil || err != nil {
		t.Errorf("an empty list of lists: %v, %v", got, err)
	}
	if !slices.Equal(some.Lists[list(2)], []string{"a", "b"}) {
		t.Error("the owners were changed")
	}
}

// TestOwnersHas: Has reports whether a remote owns an origin or lists of it.
func TestOwnersHas(t *testing.T) {
	o := &matcher.Owners{Lists: map[matcher.ID][]string{{1}: {"a", "b"}}}
	o.Origins[matcher.Events] = []string{"e"}
	for _, x := range []struct {
		name   string
		origin matcher.Origin
		has    bool
	}{
		{"a", matcher.Faces, true},
		{"b", matcher.Faces, true},
		{"a", matcher.Events, false},
		{"e", matcher.Events, true},
		{"e", matcher.Faces, false},
		{"z", matcher.Faces, false},
	} {
		if o.Has(x.name, x.origin) != x.has {
			t.Errorf("%s, %s: %v", x.name, x.origin, !x.has)
		}
	}
	if (*matcher.Owners)(nil).Has("a", matcher.Faces) {
		t.Error("nil Owners have an owner")
	}
}

// TestOwnersCheck: refused writes name the owner.
func TestOwnersCheck(t *testing.T) {
	o := &matcher.Owners{Lists: map[matcher.ID][]string{{1}: {"a", "b"}}}
	o.Origins[matcher.Events] = []string{"e"}
	check := func(err error, want string) {
		t.Helper()
		if want == "" && err != nil || want != "" && (matcher.CodeOf(err) != matcher.CodeForbidden || err.Error() != want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	check(o.CheckList(matcher.ID{1}), "list_id: 01000000-0000-0000-0000-000000000000 is owned by remote a, b: write there")
	check(o.CheckList(matcher.ID{2}), "")
	check(o.CheckOrigin(matcher.Events), "events are owned by remote e: write there")
	check(o.CheckOrigin(matcher.Faces), "")
	o.Origins[matcher.Faces] = []string{"f"}
	check(o.CheckList(matcher.ID{2}), "list_id: 02000000-0000-0000-0000-000000000000 is owned by remote f: write there")
	check((*matcher.Owners)(nil).CheckList(matcher.ID{1}), "")
	check((*matcher.Owners)(nil).CheckOrigin(matcher.Events), "")
}
