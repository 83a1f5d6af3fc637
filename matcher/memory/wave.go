package memory

import (
	"context"
	"runtime"
	"slices"
	"strings"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/scan"
	"nearside/matcher/memory/table"
)

// wave is as many of the sub-requests that share a selection as are compared at once.
type wave struct {
	*Memory
	rows     *filter.Selection
	subs     []*matcher.SubRequest // with the same candidate set and version
	farthest float64               // largest distance that passes the threshold
	job      *scan.Job
	results  []matcher.Result // by sub-request
}

// matchShared answers the sub-requests that share the selection s: those of subs with the
// indexes in members.
func (m *Memory) matchShared(ctx context.Context, s *filter.Selection, subs []matcher.SubRequest, members []int, results []matcher.Result) error {
	first := &subs[members[0]]
	farthest := scan.Farthest(first)
	counts := &counts{}
	size, left := m.scheduler.WaveMax(), countOf(subs, members)
	if counts.scans(first) {
		size /= 2 // each reference has two searches
	}
	total := left
	for _, indexes := range waves(subs, members, size) {
		count := countOf(subs, indexes)
		left -= count
		w := &wave{Memory: m, rows: s, farthest: farthest, job: scan.NewJob(s, first.Version), results: make([]matcher.Result, len(indexes))}
		if first.Account != nil {
			w.job.Account = *first.Account
		}
		w.job.Later, w.job.Begun = left, left+count < total
		for _, sub := range indexes {
			w.subs = append(w.subs, &subs[sub])
		}
		if err := w.match(ctx, counts); err != nil {
			return err
		}
		for i, sub := range indexes {
			results[sub] = w.results[i]
			figures := &results[sub].Scan
			figures.RowsSelected, figures.RowsOtherVersion, figures.RowsScanned = s.Len(), s.Len()-w.job.Rows, w.job.Rows
			figures.Kernel, figures.SharedWith = m.options.Kernel.Name(), max(len(members)-1, w.job.SharedMax)
		}
	}
	runtime.KeepAlive(s) // the scan read its chunks by address
	return nil
}

// match sets the results of the sub-requests.
func (w *wave) match(ctx context.Context, counts *counts) error {
	searches := make([]*scan.Search, len(w.subs))
	for i, sub := range w.subs {
		searches[i] = scan.NewSearch(w.rows.Snapshot(), sub, w.farthest)
		w.job.Add(searches[i])
	}
	if err := counts.prepare(ctx, w); err != nil {
		return err
	}
	if err := w.scheduler.Run(ctx, w.job); err != nil {
		return err
	}
	if err := counts.finish(ctx, w); err != nil {
		return err
	}
	for i, found := range searches {
		again, compared, err := w.searchGroups(ctx, found)
		if err != nil {
			return err
		}
		if again != nil {
			found.Release()
			found = again
		}
		if w.results[i].Matches, w.results[i].Fill, err = matchesOf(ctx, w.rows.Snapshot(), w.subs[i], found); err != nil {
			return err
		}
		if w.subs[i].Explain {
			w.results[i].Scan.Steps = append(w.results[i].Scan.Steps, stepsOf(w.subs[i], again != nil, compared)...)
		}
	}
	return nil
}

// searchGroups searches again, for all rows of the groups that found has found. compared is
// the number of rows that were compared. It returns nil if found has all rows of the answer.
func (w *wave) searchGroups(ctx context.Context, found *scan.Search) (again *scan.Search, compared int, err error) {
	again, values := found.RowsOfGroups()
	if again == nil {
		return nil, 0, nil
	}
	by, o := w.subs[0].Candidates.Group.By, w.rows.Origin()
	text := slices.Index(table.Shapes[o].Texts, by)
	j := scan.NewJob(w.rows.Apply(w.options.Kernel, filter.TextIn(text, values, w.tables.Lexicons.ForText(o, text))), w.subs[0].Version)
	j.Add(again)
	j.Account, j.Begun = w.job.Account, true
	return again, j.Rows, w.scheduler.Run(ctx, j)
}

// matchesOf returns the answer to sub: the rows that found has found in snap, and the
// function Fill of the result.
func matchesOf(ctx context.Context, snap *table.Snapshot, sub *matcher.SubRequest, found *scan.Search) ([]matcher.Match, fillFunc, error) {
	defer found.Release()
	rows := found.Ranked(sub.Version.SimilarityFunc())
	hits, origin := found.Hits(), sub.Candidates.Origin
	whole := !onlyID(sub.Candidates) && !sub.LateObjects
	bytes := 0
	for _, value := range found.Values() {
		bytes += len(value)
	}
	for i := 0; whole && i < len(hits); i++ {
		bytes += snap.CopyBytes(origin, hits[i].Row, false)
	}
	if err := matcher.ReserveText(ctx, bytes); err != nil {
		return nil, nil, err
	}
	for i, value := range found.Values() {
		rows[i].Group = groupText(sub.Candidates.Group.By, value)
	}
	switch {
	case onlyID(sub.Candidates):
		return rows, nil, nil
	case !whole:
		return rows, fillLater(snap, origin, hits), nil
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

// groupText returns the value of a field as answers show it. value is from a record.
func groupText(by matcher.GroupField, value string) string {
	if by.Kind == matcher.UUIDField && value != "" {
		return table.IDOfText([]byte(value)).String()
	}
	return strings.Clone(value)
}
