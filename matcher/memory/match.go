package memory

import (
	"context"
	"runtime"
	"slices"
	"time"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/scan"
	"nearside/matcher/memory/table"
)

// Name implements [matcher.Matcher].
func (m *Memory) Name() string { return "memory" }

// groupKey identifies the sub-requests that share a selection and passes over the rows.
type groupKey struct {
	candidates *matcher.Candidates
	version    *matcher.Version
	account    matcher.ID
	selection  matcher.Selection
}

// Match implements [matcher.Matcher]. All filters are evaluated on one snapshot: that of
// the sub-requests' moment, if they have one. Sub-requests with the same candidates and
// version share passes over the rows.
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
		s, err := selectionFor(ctx, queries[g], &subs[members[0]])
		if err == nil {
			err = m.matchGroup(ctx, s, subs, members, results)
		}
		for _, i := range members {
			if err != nil {
				results[i] = matcher.Result{Err: err}
			}
			results[i].Scan.Duration = time.Since(start)
		}
	}
	return results
}

// bindAll binds the filters of all groups to one snapshot. A group that already has a
// selection or a moment gets a nil query.
func (m *Memory) bindAll(subs []matcher.SubRequest, order []groupKey, groups map[groupKey][]int) []*filter.Query {
	queries := make([]*filter.Query, len(order))
	now := m.now() // the same time for the whole request
	m.tables.RLock()
	for g, k := range order {
		if k.selection == nil && momentOf(&subs[groups[k][0]]) == nil {
			queries[g] = m.bind(k.candidates.Origin, &k.candidates.Filter, subs[groups[k][0]].Account, now)
		}
	}
	m.tables.RUnlock()
	for g, q := range queries {
		if q != nil {
			q.AddColumns(&order[g].candidates.Filter)
		}
	}
	return queries
}

// momentOf returns the moment of a sub-request, or nil if it has none.
func momentOf(sub *matcher.SubRequest) *requestMoment {
	mo, _ := sub.Moment.(*requestMoment)
	return mo
}

// selectionFor returns the candidate rows of sub: those that the prefilters left, those
// that its moment shows, or those that q selects.
func selectionFor(ctx context.Context, q *filter.Query, sub *matcher.SubRequest) (*filter.Selection, error) {
	switch {
	case sub.Selection != nil:
		return sub.Selection.(*Selection).rows, nil // only Select makes selections, so the type is known
	case q == nil:
		s, err := momentOf(sub).selectSet(ctx, sub.Candidates, sub.Account)
		if err != nil {
			return nil, err
		}
		return s.rows, nil
	}
	return q.Select(ctx)
}

// matchGroup answers the sub-requests of one group. s has the rows of their candidate
// set.
func (m *Memory) matchGroup(ctx context.Context, s *filter.Selection, subs []matcher.SubRequest, members []int, results []matcher.Result) error {
	first := &subs[members[0]]
	farthest := scan.Farthest(first)
	left := len(members)
	for wave := range slices.Chunk(members, m.scheduler.WaveMax()) {
		left -= len(wave)
		j := scan.NewJob(s, first.Version)
		if first.Account != nil {
			j.Account = *first.Account
		}
		j.Later, j.Begun = left, left+len(wave) < len(members)
		for _, sub := range wave {
			j.Searches = append(j.Searches, scan.NewSearch(s.Snapshot(), &subs[sub], farthest))
		}
		if err := m.scheduler.Run(ctx, j); err != nil {
			return err
		}
		figures := matcher.Scan{
			RowsSelected: s.Len(), RowsOtherVersion: s.Len() - j.Rows, RowsScanned: j.Rows,
			Kernel: m.options.Kernel.Name(), SharedWith: max(len(members)-1, j.SharedMax),
		}
		for i, sub := range wave {
			rows, fill, err := matchesOf(ctx, s.Snapshot(), &subs[sub], j.Searches[i])
			if err != nil {
				return err
			}
			results[sub] = matcher.Result{Matches: rows, Fill: fill, Scan: figures}
		}
	}
	runtime.KeepAlive(s) // the scan read its chunks by address
	return nil
}

// matchesOf returns the answer to sub: the rows that found has found in snap, and the
// function Fill of the result.
func matchesOf(ctx context.Context, snap *table.Snapshot, sub *matcher.SubRequest, found *scan.Search) ([]matcher.Match, fillFunc, error) {
	defer found.Release()
	rows := found.Ranked(sub.Version.SimilarityFunc())
	if onlyID(sub.Candidates) {
		return rows, nil, nil
	}
	hits, origin := found.Hits(), sub.Candidates.Origin
	if sub.LateObjects {
		return rows, fillLater(snap, origin, hits), nil
	}
	if err := reserveTexts(ctx, snap, origin, hits); err != nil {
		return nil, nil, err
	}
	objects := make([]matcher.Object, len(hits))
	for i, h := range hits {
		objects[i] = snap.Object(origin, h.Row)
		rows[i].Object, rows[i].CreateTime = &objects[i], objects[i].CreateTime
	}
	return rows, nil, nil
}

// fillFunc is the type of matcher.Result.Fill.
type fillFunc = func(i int, m *matcher.Match) error

// fillLater returns a function that reads the objects of hits from snap. Hits are used again
// for other matches, so it keeps the numbers of their rows.
func fillLater(snap *table.Snapshot, o matcher.Origin, hits []scan.Hit) fillFunc {
	rows := make([]uint32, len(hits))
	for i, h := range hits {
		rows[i] = h.Row
	}
	return func(i int, m *matcher.Match) error {
		obj := snap.Object(o, rows[i])
		runtime.KeepAlive(snap)
		m.Object, m.CreateTime = &obj, obj.CreateTime
		return nil
	}
}

// reserveTexts reserves memory for the texts of the hits.
func reserveTexts(ctx context.Context, snap *table.Snapshot, o matcher.Origin, hits []scan.Hit) error {
	bytes := 0
	for _, h := range hits {
		bytes += snap.CopyBytes(o, h.Row, false)
	}
	return matcher.ReserveText(ctx, bytes)
}

// onlyID reports whether the targets need no field of the object except the ID. The other
// fields are then not read.
func onlyID(c *matcher.Candidates) bool {
	for _, t := range c.Targets {
		if t != "similarity" && t != "distance" && t != c.Origin.Singular()+"_id" {
			return false
		}
	}
	return c.Targets != nil
}

// Raw returns the distance of every reference to every candidate. All of them are
// descriptors of v. distances[i][j] belongs to references[i] and candidates[j].
func (m *Memory) Raw(ctx context.Context, v *matcher.Version, references, candidates [][]byte) ([][]float64, error) {
	return m.raw.Distances(ctx, v, references, candidates)
}

// Kernel returns the name of the instruction set that scans use.
func (m *Memory) Kernel() string { return m.options.Kernel.Name() }
