package memory

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
	"nearside/simd"
)

// eachEngine runs f with m under every kernel and 1, 2 and 7 workers.
func eachEngine(t *testing.T, m *Memory, f func(t *testing.T)) {
	t.Helper()
	for _, k := range simd.Kernels() {
		for _, workers := range []int{1, 2, 7} {
			t.Run(fmt.Sprintf("%s/%d", k.Name(), workers), func(t *testing.T) {
				if !k.Usable() {
					t.Skip("this CPU cannot run the kernel")
				}
				own, kernel := m.scheduler, m.options.Kernel
				other, err := newScheduler(workers, func() *scanner { return newScanner(k) })
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					other.close()
					m.scheduler, m.options.Kernel = own, kernel
				}()
				m.scheduler, m.options.Kernel = other, k
				f(t)
			})
		}
	}
}

// pair is a Memory and the oracle that gets the same changes.
type pair struct {
	*Memory
	oracle
}

// newPair makes an empty pair for versions.
func newPair(t testing.TB, o Options, versions ...matcher.Version) *pair {
	t.Helper()
	registry, err := matcher.NewRegistry(versions)
	if err != nil {
		t.Fatal(err)
	}
	o.Registry = registry
	if o.Kernel == nil {
		if o.Kernel, err = simd.Select("auto"); err != nil {
			t.Fatal(err)
		}
	}
	m, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	return &pair{m, oracle{registry: registry, faces: map[matcher.ID]*matcher.Object{}, lists: map[matcher.ID]bool{}}}
}

// commit brings changes to both, as the store would.
func (p *pair) commit(t testing.TB, changes ...store.Change) {
	t.Helper()
	for part := range slices.Chunk(changes, 5000) {
		if err := p.Admit(part); err != nil {
			t.Fatal(err)
		}
		p.apply(part)
		p.Apply(part)
	}
}

// put makes a change of a face with one descriptor.
func put(id matcher.ID, version uint32, data []byte) store.Change {
	o := &matcher.Object{ID: id}
	o.Descriptors[matcher.FaceDescriptor] = matcher.Descriptor{Version: version, Data: data}
	return store.Change{Kind: store.PutObject, Object: o}
}

func del(id matcher.ID) store.Change { return store.Change{Kind: store.DeleteObject, ID: id} }

// reference makes a sub-request that looks for data.
func reference(v *matcher.Version, data []byte, c *matcher.Candidates) matcher.SubRequest {
	return matcher.SubRequest{
		Reference:  &matcher.Reference{Type: matcher.RefRaw, Descriptor: matcher.Descriptor{Version: v.Number, Data: data}},
		Candidates: c, Version: v,
	}
}

// expected is what the oracle says of a sub-request.
type expected struct {
	rows              []answer
	selected, scanned int
}

// expect asks the oracle once, for all engines.
func (p *pair) expect(subs []matcher.SubRequest) []expected {
	all := make([]expected, len(subs))
	for i := range subs {
		all[i].rows, all[i].selected, all[i].scanned = p.match(&subs[i])
	}
	return all
}

// check compares the answers of Memory with those of the oracle.
func (p *pair) check(t *testing.T, subs []matcher.SubRequest, want []expected) {
	t.Helper()
	for i, r := range p.Match(t.Context(), subs) {
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		if r.Scan.RowsSelected != want[i].selected || r.Scan.RowsScanned != want[i].scanned {
			t.Fatalf("sub-request %d: scan %+v, want %d selected, %d scanned", i, r.Scan, want[i].selected, want[i].scanned)
		}
		if got := answers(r.Matches); !slices.Equal(got, want[i].rows) {
			t.Fatalf("sub-request %d, %+v:\n got %v\nwant %v", i, *subs[i].Candidates, got, want[i].rows)
		}
	}
}

func answers(matches []matcher.Match) []answer {
	var rows []answer
	for _, m := range matches {
		rows = append(rows, answer{m.ID, m.Distance, m.Similarity, m.CreateTime})
	}
	return rows
}

// Find returns all objects of a filter in the order of IDs, with descriptors.
func (m *Memory) Find(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) ([]matcher.Object, error) {
	const all = int(^uint(0) >> 1)
	objects, _, err := m.Page(ctx, o, f, account, 0, all, true)
	return objects, err
}
