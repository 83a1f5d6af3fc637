package memory

import (
	"context"
	"runtime"
	"slices"
	"time"

	"nearside/matcher"
)

// Name implements [matcher.Matcher].
func (m *Memory) Name() string { return "memory" }

// groupKey says which sub-requests share a selection and a pass.
type groupKey struct {
	candidates *matcher.Candidates
	version    *matcher.Version
	account    matcher.ID
	selection  matcher.Selection
}

// Match implements [matcher.Matcher]. All filters are evaluated on one
// snapshot; sub-requests with the same candidates and version share passes.
func (m *Memory) Match(ctx context.Context, subs []matcher.SubRequest) []matcher.Result {
	results := make([]matcher.Result, len(subs))
	var order []groupKey
	groups := map[groupKey][]int{}
	for i := range subs {
		k := groupKey{candidates: subs[i].Candidates, version: subs[i].Version, selection: subs[i].Selection}
		if subs[i].Account != nil {
			k.account = *subs[i].Account
		}
		if groups[k] == nil {
			order = append(order, k)
		}
		groups[k] = append(groups[k], i)
	}
	queries := m.bindAll(subs, order, groups)
	for g, k := range order {
		start := time.Now()
		members := groups[k]
		err := m.group(ctx, queries[g], subs, members, results)
		for _, i := range members {
			if err != nil {
				results[i] = matcher.Result{Err: err}
			}
			results[i].Scan.Duration = time.Since(start)
		}
	}
	return results
}

// bindAll binds the filters of all groups to one snapshot; a group that has a
// selection already gets nil.
func (m *Memory) bindAll(subs []matcher.SubRequest, order []groupKey, groups map[groupKey][]int) []*query {
	queries := make([]*query, len(order))
	now := m.now() // one for the whole request
	m.mu.RLock()
	for g, k := range order {
		if k.selection == nil {
			queries[g] = m.bind(k.candidates.Origin, &k.candidates.Filter, subs[groups[k][0]].Account, now)
		}
	}
	m.mu.RUnlock()
	for g, q := range queries {
		if q != nil {
			q.columns(&order[g].candidates.Filter)
		}
	}
	return queries
}

// waveProbes is the most references of one request that are compared at once.
// It is enough to make a pass bound by arithmetic, and leaves room for others.
const waveProbes = 66

// group answers the sub-requests of one group.
func (m *Memory) group(ctx context.Context, q *query, subs []matcher.SubRequest, members []int, results []matcher.Result) error {
	first := &subs[members[0]]
	var s *Selection
	if q == nil {
		s = first.Selection.(*Selection) // only Select makes selections
	} else {
		var err error
		if s, err = q.run(ctx); err != nil {
			return err
		}
	}
	left := len(members)
	for part := range slices.Chunk(members, waveProbes) {
		left -= len(part)
		j := newJob(s, first.Version)
		j.more, j.begun = left, left+len(part) < len(members)
		for _, sub := range part {
			j.probes = append(j.probes, newProbe(s.snap, &subs[sub]))
		}
		if err := m.scheduler.run(ctx, j); err != nil {
			return err
		}
		scan := matcher.Scan{
			RowsSelected: s.n, RowsOtherVersion: s.n - j.rows, RowsScanned: j.rows,
			Kernel: m.options.Kernel.Name(), SharedWith: max(len(members)-1, j.shared),
		}
		for i, sub := range part {
			results[sub] = matcher.Result{Matches: j.probes[i].matches(subs[sub].Candidates), Scan: scan}
		}
	}
	runtime.KeepAlive(s.snap) // its chunks were read by address
	return nil
}

// matches turns hits into rows of the answer.
func (p *probe) matches(c *matcher.Candidates) []matcher.Match {
	hits := p.hits
	slices.SortFunc(hits, p.compare)
	rows := make([]matcher.Match, len(hits))
	objects := make([]matcher.Object, len(hits))
	bare := onlyID(c)
	for i, h := range hits {
		if bare {
			objects[i] = matcher.Object{Origin: p.origin, ID: p.id(h)}
		} else {
			objects[i] = p.snap.object(p.origin, h.row)
		}
		d := p.distance(h)
		rows[i] = matcher.Match{
			ID: objects[i].ID, CreateTime: p.time(h), Distance: d, Similarity: p.version.SimilarityOf(d), Object: &objects[i],
		}
	}
	return rows
}

// onlyID reports whether the targets want no field but the ID, so that the
// others need not be read.
func onlyID(c *matcher.Candidates) bool {
	for _, t := range c.Targets {
		if t != "similarity" && t != "distance" && t != c.Origin.Singular()+"_id" {
			return false
		}
	}
	return c.Targets != nil
}
