package route

import (
	"time"

	"nearside/matcher"
	"nearside/matcher/wire"
)

// plansOf returns the plans of an answer by reference and by candidate set.
func plansOf(references int, req *Request, places []place, w *work, left []*narrowed) [][]*wire.Plan {
	all := make([][]*wire.Plan, references)
	for i := range all {
		all[i] = make([]*wire.Plan, len(req.Candidates))
		for j := range all[i] {
			all[i][j] = &wire.Plan{Hooks: req.hooked.requestPlans(j)} // stays empty for a key without objects, which is not matched
		}
	}
	for i, p := range places {
		plan := planOf(&w.results[i].Scan, w.choices[i].offered)
		if left != nil && left[i] != nil {
			plan.Prefilters = left[i].plan
		}
		all[p.reference][p.set] = plan
	}
	return all
}

func planOf(s *matcher.Scan, offered []wire.PlanMatcher) *wire.Plan {
	return &wire.Plan{
		Matchers: offered, RowsSelected: s.RowsSelected, RowsOtherVersion: s.RowsOtherVersion,
		RowsScanned: s.RowsScanned, Kernel: s.Kernel, SharedWith: s.SharedWith, Steps: s.Steps, Milliseconds: milliseconds(s.Duration),
	}
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
