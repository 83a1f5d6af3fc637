package main

import (
	"cmp"
	"fmt"
	"slices"
	"time"

	"nearside/bench/stat"
	"nearside/matcher"
)

// togetherParts is the number of pictures in the references of type together.
const togetherParts = 5

// togetherBars compares references of type together with the same pictures as separate
// references.
func (s *suite) togetherBars(e *engine) error {
	apart, err := e.timedRun(unfiltered(togetherParts))
	if err != nil {
		return err
	}
	var runs []stat.Run
	for _, fuse := range []matcher.Fuse{matcher.FuseBest, matcher.FuseMean} {
		run, err := e.togetherRun(fuse)
		if err != nil {
			return err
		}
		runs = append(runs, run)
	}
	r, err := stat.RunAlternately(s.size.rounds, apart, runs...)
	if err != nil {
		return err
	}
	for i, id := range []string{"together-best", "together-mean"} {
		ratio := func(seconds []float64) float64 { return seconds[i+1] / seconds[0] }
		s.recordBar(id, r.Summary(ratio), fmt.Sprintf("%s; %.2f ms, apart %.2f ms", e.Kernel(), r.Seconds(i+1)*1e3, r.Seconds(0)*1e3))
	}
	return nil
}

// together returns a sub-request with the first queries as one reference.
func (e *engine) together(fuse matcher.Fuse) []matcher.SubRequest {
	subs := e.subRequests(unfiltered(togetherParts))
	ref := &matcher.Reference{Type: matcher.RefTogether, Fuse: fuse, Descriptor: matcher.Descriptor{Version: e.data.version.Number}}
	for i := range subs {
		ref.Parts = append(ref.Parts, *subs[i].Reference)
	}
	subs[0].Reference = ref
	return subs[:1]
}

// togetherRun checks the answer to a reference of type together and returns a run of it.
func (e *engine) togetherRun(fuse matcher.Fuse) (stat.Run, error) {
	subs := e.together(fuse)
	results := e.Match(e.suite.ctx, subs)
	if err := e.checkTogether(fuse, results[0]); err != nil {
		return nil, fmt.Errorf("%s: together, %s: %w", e.Kernel(), fuse, err)
	}
	return func() (float64, error) {
		start := time.Now()
		r := e.Match(e.suite.ctx, subs)[0]
		return time.Since(start).Seconds(), cmp.Or(r.Err, e.suite.ctx.Err())
	}, nil
}

// checkTogether compares the distances of an answer with those of the oracle.
func (e *engine) checkTogether(fuse matcher.Fuse, result matcher.Result) error {
	if result.Err != nil {
		return result.Err
	}
	rows := make([]matcher.Match, e.data.n)
	for q := range togetherParts {
		distances, err := e.data.distancesOf(q)
		if err != nil {
			return err
		}
		for i, d := range distances {
			similarity := e.data.version.SimilarityOf(d) / togetherParts
			switch {
			case fuse == matcher.FuseMean:
				rows[i].Similarity += similarity
				rows[i].Distance += d / togetherParts
			case q == 0 || d < rows[i].Distance:
				rows[i].Distance = d
			}
		}
	}
	slices.SortFunc(rows, func(a, b matcher.Match) int {
		return cmp.Or(cmp.Compare(b.Similarity, a.Similarity), cmp.Compare(a.Distance, b.Distance))
	})
	for i, got := range result.Matches {
		const rounding = 1e-9
		if want := rows[i]; got.Distance < want.Distance*(1-rounding) || got.Distance > want.Distance*(1+rounding) {
			return fmt.Errorf("row %d has the distance %v, want %v", i, got.Distance, want.Distance)
		}
	}
	if len(result.Matches) != depth {
		return fmt.Errorf("%d rows, want %d", len(result.Matches), depth)
	}
	return nil
}
