package memory

import (
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// TestMoment checks that a moment shows the state in which it was taken, whatever is
// written later: new descriptors and lists of its objects, deleted objects, deleted
// lists, new lists with the same IDs, and rewritten chunks.
func TestMoment(t *testing.T) {
	p := newPair(t, Options{Workers: 1, chunkRows: 64}, matcher.Version{Number: 1000, Length: 4, Scale: 1, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 1}})
	list, other := matcher.ID{0xa}, matcher.ID{0xb}
	write := func(n, value byte, lists ...matcher.ID) store.Change {
		c := memorytest.Put(matcher.ID{n}, 1000, []byte{value, value, value, value})
		c.Object.Lists, c.Object.ExternalID = lists, "all"
		return c
	}
	changes := []store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}, {Kind: store.PutList, List: &matcher.List{ID: other}}}
	for n := range byte(100) {
		changes = append(changes, write(n+1, n, list))
	}
	p.Apply(changes)

	inList, inOther := &matcher.Candidates{Limit: 200, Filter: matcher.Filter{ListID: &list}}, &matcher.Candidates{Limit: 200, Filter: matcher.Filter{Lists: []matcher.ID{other}}}
	byID := &matcher.Candidates{Limit: 200, Filter: matcher.Filter{IDs: []matcher.ID{{7}, {8}, {200}}}}
	sets := []*matcher.Candidates{inList, inOther, byID}
	take := func() matcher.Moment {
		return p.Moment(nil, []matcher.Reference{{Type: matcher.RefFace, ID: matcher.ID{5}.String()}, {Type: matcher.RefFace, ID: matcher.ID{200}.String()}}, sets)
	}
	before := take()

	// Every face moves to the other list and gets another descriptor. Face 8 is deleted,
	// face 200 is new, and the first list is replaced by another one with the same ID.
	for range 30 { // enough dead rows that chunks are rewritten
		changes = nil
		for n := range byte(100) {
			changes = append(changes, write(n+1, 200, other))
		}
		p.Apply(changes)
	}
	p.Apply([]store.Change{memorytest.Delete(matcher.ID{8}), {Kind: store.DeleteList, ID: list}})
	p.Apply([]store.Change{{Kind: store.PutList, List: &matcher.List{ID: list}}, write(200, 200, list)})
	p.tables.Compact(func(v *table.View) bool { return v.Deaths > 0 })

	check := func(name string, mo matcher.Moment, value byte, rows [3]int, exists map[byte]bool, faces int) {
		t.Helper()
		version := p.options.Registry.Version(1000)
		var subs []matcher.SubRequest
		for i, c := range sets {
			s, err := mo.Select(t.Context(), c, nil)
			if err != nil || s.Len() != rows[i] {
				t.Errorf("%s: set %d selects %v, %v; want %d", name, i, s, err, rows[i])
			}
			subs = append(subs, matcher.SubRequest{
				Reference: &matcher.Reference{Descriptor: matcher.Descriptor{Version: 1000, Data: slices.Repeat([]byte{value}, 4)}}, Candidates: c, Version: version, Moment: mo,
			})
		}
		for i, r := range p.Match(t.Context(), subs) {
			if r.Err != nil || len(r.Matches) != rows[i] {
				t.Errorf("%s: set %d matches %d rows, %v; want %d", name, i, len(r.Matches), r.Err, rows[i])
			}
		}
		for n, want := range exists {
			obj, ok := mo.Get(matcher.Faces, matcher.ID{n}, nil, true)
			if ok != want || ok && n != 200 && obj.Descriptors[matcher.FaceDescriptor].Data[0] != map[bool]byte{true: n - 1, false: 200}[value == 4] {
				t.Errorf("%s: face %d: %v, %+v", name, n, ok, obj)
			}
		}
		if objects, n, err := mo.Page(t.Context(), matcher.Faces, new(matcher.Where(matcher.AnyOf("external_id", "all"))), nil, matcher.Page{Size: 10, Descriptors: true}); err != nil || n != faces || len(objects) != 10 {
			t.Errorf("%s: the page counts %d faces, %v; want %d", name, n, err, faces)
		}
		n := 0
		if err := mo.Each(t.Context(), inList, matcher.FaceDescriptor, nil, func(*matcher.Object) error { n++; return nil }); err != nil || n != rows[0] {
			t.Errorf("%s: Each passes %d faces, %v; want %d", name, n, err, rows[0])
		}
	}
	// The moment was taken with references to 5 and 200, but not to 6, 8 and 201.
	check("before", before, 4, [3]int{100, 0, 2}, map[byte]bool{5: true, 6: true, 8: true, 200: false, 201: false}, 100)
	check("after", take(), 200, [3]int{1, 99, 2}, map[byte]bool{5: true, 6: true, 8: false, 200: true, 201: false}, 100)

	if _, err := before.Select(t.Context(), &matcher.Candidates{Filter: matcher.Filter{ListID: &list}}, nil); err == nil {
		t.Error("a moment selects a list that it was not taken with")
	}
}
