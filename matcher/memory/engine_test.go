package memory

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/scan"
	"nearside/matcher/store"
	"nearside/simd"
)

// eachEngine runs f with m for every kernel and with 1, 2 and 7 workers.
func eachEngine(t *testing.T, m *Memory, f func(t *testing.T)) {
	t.Helper()
	for _, k := range memorytest.Kernels() {
		for _, workers := range []int{1, 2, 7} {
			t.Run(fmt.Sprintf("%s/%d", k.Name(), workers), func(t *testing.T) {
				if !k.Usable() {
					t.Skip("this CPU cannot run the kernel")
				}
				own, kernel := m.scheduler, m.options.Kernel
				other, err := scan.NewScheduler(workers, k)
				if err != nil {
					t.Fatal(err)
				}
				defer func() {
					other.Close()
					m.scheduler, m.options.Kernel = own, kernel
				}()
				m.scheduler, m.options.Kernel = other, k
				f(t)
			})
		}
	}
}

// pair is a Memory and an oracle that receives the same changes.
type pair struct {
	*Memory
	memorytest.Oracle
}

// newPair returns an empty pair for the given versions.
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
	return &pair{m, *memorytest.NewOracle(registry)}
}

// markCreated sets Created in changes, like the store does.
func markCreated(m *Memory, changes []store.Change) {
	type object struct {
		origin matcher.Origin
		id     matcher.ID
	}
	exists := map[object]bool{} // objects that earlier changes put or delete
	for i := range changes {
		switch c := &changes[i]; c.Kind {
		case store.PutObject:
			at := object{c.Object.Origin, c.Object.ID}
			before, changed := exists[at]
			c.Created = !before && (changed || !m.Has(at.origin, at.id))
			exists[at] = true
		case store.DeleteObject:
			exists[object{c.Origin, c.ID}] = false
		case store.PutList, store.DeleteList:
		}
	}
}

// commit applies changes to both, like the store does.
func (p *pair) commit(t testing.TB, changes ...store.Change) {
	t.Helper()
	for part := range slices.Chunk(changes, 5000) {
		markCreated(p.Memory, part)
		if err := p.Admit(part); err != nil {
			t.Fatal(err)
		}
		p.ApplyChanges(part)
		p.Apply(part)
	}
}

// check compares the answers of Memory with those of the oracle.
func (p *pair) check(t *testing.T, subs []matcher.SubRequest, want []memorytest.Expected) {
	t.Helper()
	memorytest.CheckResults(t, subs, p.Match(t.Context(), subs), want)
}

// Find returns all objects that a filter selects, ordered by ID, with descriptors.
func (m *Memory) Find(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) ([]matcher.Object, error) {
	const all = int(^uint(0) >> 1)
	objects, _, err := m.Page(ctx, o, f, account, matcher.Page{Size: all, Descriptors: true})
	return objects, err
}
