package route

import (
	"time"

	"nearside/matcher/wire"
)

// plans explains the answers, by reference and by candidate set.
func plans(references int, req *Request, places []place, w *work, left []*narrowed) [][]*wire.Plan {
	all := make([][]*wire.Plan, references)
	for i := range all {
		all[i] = make([]*wire.Plan, len(req.Candidates))
		for j := range all[i] {
			all[i][j] = &wire.Plan{} // a key that found nothing was not matched
		}
	}
	for i, p := range places {
		s := w.results[i].Scan
		plan := &wire.Plan{
			Matchers: w.choices[i].offered, RowsSelected: s.RowsSelected, RowsOtherVersion: s.RowsOtherVersion,
			RowsScanned: s.RowsScanned, Kernel: s.Kernel, SharedWith: s.SharedWith, Milliseconds: milliseconds(s.Duration),
		}
		if left != nil && left[i] != nil {
			plan.Prefilters = left[i].plan
		}
		all[p.reference][p.set] = plan
	}
	return all
}

func milliseconds(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
