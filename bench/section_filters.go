package main

import "nearside/bench/stat"

// filterBars measures the bars of filters that select 1 % of the rows.
func (s *suite) filterBars(e *engine) error {
	for _, bar := range []struct{ id, filter string }{{"filter-list", "list"}, {"filter-time", "time range"}, {"filter-scattered", "age"}} {
		if err := s.filterBar(e, bar.id, e.data.findFilter(bar.filter, 1)); err != nil {
			return err
		}
	}
	return s.scatteredBars(e)
}

// scatteredBars measures a scattered filter with AVX2 and AVX-VNNI, as multiples of what it
// costs with AVX-512, the kernel of e. The cost is the fraction of the time of a full scan
// with the same kernel.
func (s *suite) scatteredBars(e *engine) error {
	if e.limits.kernel.Level() != "avx512" {
		return nil
	}
	for _, level := range []string{"avx2", "avxvnni"} {
		k := kernelOfLevel(level)
		if k == nil {
			continue
		}
		other, err := s.faceEngine(e.data, k, 1)
		if err != nil {
			return err
		}
		costs, err := other.scatteredCosts(e)
		other.close()
		if err != nil {
			return err
		}
		s.recordBar(level+"-filter-scattered", costs, "")
	}
	return nil
}

// scatteredCosts returns what a scattered filter costs with e as a multiple of what it costs
// with base.
func (e *engine) scatteredCosts(base *engine) (stat.Summary, error) {
	part := workload{1, depth, e.data.findFilter("age", 1)}
	var runs []stat.Run
	for _, of := range []*engine{base, e} {
		for _, w := range []workload{unfiltered(1), part} {
			run, err := of.timedRun(w)
			if err != nil {
				return stat.Summary{}, err
			}
			runs = append(runs, run)
		}
	}
	r, err := stat.RunAlternately(e.suite.size.rounds, runs[0], runs[1:]...)
	if err != nil {
		return stat.Summary{}, err
	}
	return r.Summary(func(seconds []float64) float64 { return seconds[3] / seconds[2] / (seconds[1] / seconds[0]) }), nil
}

// filterBar measures the time of a filtered scan as a fraction of the time of a full
// scan, alternating between them.
func (s *suite) filterBar(e *engine, id string, f *filter) error {
	all, err := e.timedRun(unfiltered(1))
	if err != nil {
		return err
	}
	part, err := e.timedRun(workload{1, depth, f})
	if err != nil {
		return err
	}
	r, err := stat.RunAlternately(s.size.rounds, all, part)
	if err != nil {
		return err
	}
	s.recordBar(id, r.Ratio(1, 0), "")
	return nil
}
