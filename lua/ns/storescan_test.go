package ns

import (
	"testing"

	"nearside/matcher"
)

// TestPagesAreBounded: the iterators of a plugin hold at most openPages pages. The least
// recently used one is removed.
func TestPagesAreBounded(t *testing.T) {
	var p pageCache
	all := make([]*scan, 3*openPages)
	held := func() (n int) {
		for _, sc := range all {
			if sc != nil && sc.rows != nil {
				n++
			}
		}
		return n
	}
	rows := func() []scanRow { return []scanRow{{id: matcher.ID{1}}, {id: matcher.ID{2}}} }
	for i := range all {
		all[i] = &scan{}
		p.put(all[i], rows())
		if i >= 1 {
			if _, ok := p.take(all[0]); ok != (i == 1) { // its page has two rows; the last one stays unread
				p.put(all[0], rows())
			}
		}
		if n := held(); n > openPages || len(p.recent) > openPages {
			t.Fatalf("%d pages are held", n)
		}
	}
	if _, ok := p.take(all[len(all)-2]); !ok {
		t.Error("a recent page was removed")
	}
	if _, ok := p.take(all[2]); ok {
		t.Error("an old page was kept")
	}
	p.put(all[3], nil)
	if _, ok := p.take(all[3]); ok {
		t.Error("an empty page has a row")
	}
}
