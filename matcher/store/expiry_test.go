package store

import (
	"testing"
	"time"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestExpired checks that an attribute does not exist any more once it has expired,
// also after a restart, and that another account can then use its ID.
func TestExpired(t *testing.T) {
	noLeaks(t)
	now := time.UnixMilli(1_000_000)
	a, b := id(900), id(901)
	o := Options{Dir: t.TempDir(), now: func() time.Time { return now }}
	s, _ := open(t, o)
	put := func(account matcher.ID, seconds int) (bool, error) {
		return s.PutObject(ctx, &account, &matcher.Object{Origin: matcher.Attributes, ID: id(1), Account: account, Expires: matcher.TimeOf(now.Add(time.Duration(seconds) * time.Second))})
	}
	check := func(account matcher.ID, want bool) {
		t.Helper()
		created, err := put(account, 10)
		if err != nil || created != want {
			t.Errorf("created %v, %v; want %v", created, err, want)
		}
	}
	check(a, true)
	now = now.Add(9999 * time.Millisecond)
	check(a, false) // the new expiry is 10 s from now
	_, err := put(b, 10)
	wantCode(t, err, matcher.CodeForbidden)
	now = now.Add(10 * time.Second)
	testkit.Check(t, s.Close())
	s, m := open(t, o)
	if m.object(matcher.Attributes, id(1)) == nil {
		t.Fatal("the expired attribute was deleted without a delete")
	}
	wantCode(t, s.DeleteObject(ctx, nil, matcher.Attributes, id(1)), matcher.CodeAttrNotFound)
	check(b, true)
	_, err = put(a, 10)
	wantCode(t, err, matcher.CodeForbidden)
	now = now.Add(10 * time.Second)
	n, err := s.DeleteObjects(ctx, matcher.Attributes, func() ([]matcher.ID, error) { return []matcher.ID{id(1)}, nil })
	if n != 1 || err != nil {
		t.Errorf("deleted %d, %v; want 1", n, err)
	}
	if len(m.objects) != 0 {
		t.Errorf("%d objects are left, want 0", len(m.objects))
	}
}
