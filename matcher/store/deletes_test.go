package store

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
)

// TestDeleteFound: a large delete is several commits. Each of them looks up its objects
// again before it deletes them. An error has the number of objects deleted before it.
func TestDeleteFound(t *testing.T) {
	noLeaks(t)
	rng := seeded()
	s, m := open(t, Options{Dir: t.TempDir(), deleteBatch: 3})
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100)}))
	fill := func(n int) {
		t.Helper()
		for i := range n {
			_, err := s.PutObject(ctx, nil, face(rng, id(i), id(100)))
			testkit.Check(t, err)
		}
	}
	in := func(among []matcher.ID) ([]matcher.ID, error) {
		found := m.faces(id(100))
		if among == nil {
			return found, nil
		}
		return slices.DeleteFunc(found, func(id matcher.ID) bool { return !slices.Contains(among, id) }), nil
	}

	fill(10)
	before := m.applies
	n, err := s.DeleteFound(ctx, matcher.Faces, in)
	if err != nil || n != 10 || len(m.objects) != 0 || m.applies != before+4 {
		t.Errorf("deleted %d, %v; %d are left after %d commits", n, err, len(m.objects), m.applies-before)
	}

	// A face that leaves the list before its batch is deleted stays, and so does a face
	// that joins the list after the delete began.
	fill(7)
	calls := 0
	n, err = s.DeleteFound(ctx, matcher.Faces, func(among []matcher.ID) ([]matcher.ID, error) {
		found, err := in(among)
		if calls++; calls == 1 {
			testkit.Check(t, s.Link(ctx, nil, id(100), []matcher.ID{found[5]}, false))
			testkit.Check(t, s.CreateObject(ctx, nil, face(rng, id(50), id(100))))
		}
		return found, err
	})
	if err != nil || n != 6 || calls != 4 || len(m.objects) != 2 || m.object(matcher.Faces, id(50)) == nil {
		t.Errorf("deleted %d in %d calls, %v; left are %v", n, calls, err, m.objects)
	}

	// The third batch fails.
	broken := matcher.Errorf(matcher.CodeUnavailable, "broken").Mask("masked")
	for _, c := range []struct {
		err    error
		code   matcher.Code
		detail string
	}{
		{broken, matcher.CodeUnavailable, "broken; 6 objects had already been deleted"},
		{errors.New("mine"), matcher.CodeInternal, "mine; 6 objects had already been deleted"},
		{context.DeadlineExceeded, matcher.CodeDeadline, "the request's deadline passed; 6 objects had already been deleted"},
	} {
		fill(10)
		left, calls := len(m.objects), 0
		n, err = s.DeleteFound(ctx, matcher.Faces, func(among []matcher.ID) ([]matcher.ID, error) {
			if calls++; calls == 4 {
				return nil, c.err
			}
			return in(among)
		})
		wantCode(t, err, c.code)
		if n != 6 || err.Error() != c.detail || len(m.objects) != left-6 || errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("deleted %d, %v; want %s", n, err, c.detail)
		}
		if e, ok := errors.AsType[*matcher.Error](err); ok && errors.Is(c.err, broken) && e.Masked != "masked; 6 objects had already been deleted" {
			t.Errorf("masked: %q", e.Masked)
		}
	}

	// A list with its faces.
	fill(10)
	before = m.applies
	testkit.Check(t, s.DeleteList(ctx, nil, id(100), in))
	if m.list(id(100)) != nil || m.applies != before+5 || len(m.objects) != 0 {
		t.Errorf("%d objects are left after %d commits", len(m.objects), m.applies-before)
	}
	testkit.Check(t, s.CreateList(ctx, &matcher.List{ID: id(100), Account: accountA}))
	fill(10)
	wantCode(t, s.DeleteList(ctx, &accountB, id(100), in), matcher.CodeListNotFound)
	calls = 0
	err = s.DeleteList(ctx, nil, id(100), func(among []matcher.ID) ([]matcher.ID, error) {
		if calls++; calls == 3 {
			return nil, broken
		}
		return in(among)
	})
	if wantCode(t, err, matcher.CodeUnavailable); !strings.HasSuffix(err.Error(), "; 3 objects had already been deleted") || m.list(id(100)) == nil || len(m.objects) != 7 {
		t.Errorf("%v; %d are left", err, len(m.objects))
	}
	reopen(t, s, m)
}
