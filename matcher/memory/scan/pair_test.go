package scan

import (
	"context"
	"slices"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
	"nearside/simd"
)

// pair has tables of faces, a scheduler that scans them, and an oracle that receives the
// same changes.
type pair struct {
	memorytest.Oracle
	tables    *table.Tables
	kernel    *simd.Kernel
	scheduler *Scheduler
}

// pairOptions are the settings of a pair.
type pairOptions struct {
	chunkRows, workers int
	kernel             *simd.Kernel // nil: the best kernel of this machine
}

// newPair returns an empty pair for the given versions.
func newPair(t testing.TB, o pairOptions, versions ...matcher.Version) *pair {
	t.Helper()
	registry, err := matcher.NewRegistry(versions)
	if err != nil {
		t.Fatal(err)
	}
	if o.kernel == nil {
		o.kernel = bestKernel(t)
	}
	s, err := NewScheduler(max(1, o.workers), o.kernel)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	tables := table.NewTables(table.Options{Registry: registry, ChunkRows: o.chunkRows})
	return &pair{*memorytest.NewOracle(registry), tables, o.kernel, s}
}

// bestKernel returns the best kernel of this machine.
func bestKernel(t testing.TB) *simd.Kernel {
	t.Helper()
	k, err := simd.Select("auto")
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// version3 returns [memorytest.Version3] as registered in a registry.
func version3(t testing.TB) *matcher.Version {
	t.Helper()
	registry, err := matcher.NewRegistry([]matcher.Version{memorytest.Version3()})
	if err != nil {
		t.Fatal(err)
	}
	return registry.Version(1)
}

// commit applies changes of objects to the tables and to the oracle, like the matcher
// does.
func (p *pair) commit(t testing.TB, changes ...store.Change) {
	t.Helper()
	for part := range slices.Chunk(changes, 5000) {
		p.ApplyChanges(part)
		u := p.tables.Begin()
		rows := make([]uint32, len(part))
		for i, c := range part {
			if c.Kind == store.PutObject {
				rows[i] = u.Append(c.Object)
			}
		}
		u.Fill()
		p.tables.Lock()
		for i, c := range part {
			switch c.Kind {
			case store.PutObject:
				u.Publish(c.Object.Origin, c.Object.ID, rows[i], c.Created)
			case store.DeleteObject:
				u.Remove(c.Origin, c.ID)
			default:
				t.Fatalf("a change of kind %v", c.Kind)
			}
		}
		u.Finish()
		p.tables.Unlock()
		p.tables.Maintain(nil)
	}
}

// query binds a filter of faces to the newest snapshot.
func (p *pair) query(f *matcher.Filter) *filter.Query {
	p.tables.RLock()
	q := filter.Bind(p.tables, p.kernel, matcher.Faces, f, nil, 0)
	p.tables.RUnlock()
	q.AddColumns(f)
	return q
}

// selection returns the faces that a filter selects.
func (p *pair) selection(t testing.TB, f *matcher.Filter) *filter.Selection {
	t.Helper()
	s, err := p.query(f).Select(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// match answers sub-requests, each with its own job.
func (p *pair) match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := make([]matcher.Result, len(subs))
	for i := range subs {
		s, err := p.query(&subs[i].Candidates.Filter).Select(ctx)
		if err != nil {
			results[i].Err = err
			continue
		}
		j := NewJob(s, subs[i].Version)
		j.Searches = []*Search{NewSearch(s.Snapshot(), &subs[i], Farthest(&subs[i]))}
		if results[i].Err = p.scheduler.Run(ctx, j); results[i].Err == nil {
			results[i].Matches = j.Searches[0].matches()
			results[i].Scan = matcher.Scan{RowsSelected: s.Len(), RowsScanned: j.Rows}
		}
	}
	return results
}

// check compares the answers of match with those of the oracle.
func (p *pair) check(t *testing.T, subs []matcher.SubRequest, want []memorytest.Expected) {
	t.Helper()
	memorytest.CheckResults(t, subs, p.match(t.Context(), subs), want)
}

// matches returns the rows of the answer without their objects.
func (p *Search) matches() []matcher.Match {
	rows := p.Ranked(p.version.SimilarityFunc())
	for i, h := range p.Hits() {
		rows[i].CreateTime = p.time(h)
	}
	return rows
}
