package main

import (
	"fmt"
	"time"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher"
)

// eventFigure compares a filter of events with a scan of all events. Times are fractions
// of the time of that scan.
type eventFigure struct {
	Rows     int          `json:"rows"`
	Order    string       `json:"order"` // order of the rows
	Workers  int          `json:"workers"`
	Filter   string       `json:"filter"`
	Selected int          `json:"selected"`
	Full     float64      `json:"full_scan_seconds"`
	Match    stat.Summary `json:"match"`  // filter, scan and answer
	Select   stat.Summary `json:"select"` // the filter alone
	Scan     stat.Summary `json:"scan"`   // a match with a selection that is known already
}

// ideal returns the fraction of the rows that the filter selects.
func (f *eventFigure) ideal() float64 { return float64(f.Selected) / float64(f.Rows) }

// eventSection compares filtered matches of events with scans of all events.
func (s *suite) eventSection() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	for _, shuffled := range []bool{false, true} {
		for _, workers := range machineWorkers() {
			if s.gates && (shuffled || workers != 1) {
				continue
			}
			if err := s.eventRuns(d, newEventSet(d.n, shuffled), workers); err != nil {
				return err
			}
		}
	}
	return nil
}

func (s *suite) eventRuns(d *dataset, set *eventSet, workers int) error {
	e, err := s.loadEngine(d, set.contents(), barKernel(), workers)
	if err != nil {
		return err
	}
	defer e.close()
	var figures []eventFigure
	for _, f := range set.filters() {
		figure, err := s.eventRun(e, f)
		if err != nil {
			return fmt.Errorf("events %s, %s: %w", set.order(), f.name, err)
		}
		figure.Order = set.order()
		figures = append(figures, figure)
		s.logf("   %-12s %-20s %7d rows (%.4f): %.4f of the full scan's %.2f ms, filter alone %.4f, scan alone %.4f", figure.Order, figure.Filter,
			figure.Selected, figure.ideal(), figure.Match.Median, figure.Full*1e3, figure.Select.Median, figure.Scan.Median)
	}
	s.events = append(s.events, figures...)
	if workers == 1 && !set.shuffled {
		s.eventBars(figures)
	}
	return nil
}

// eventRun compares the times of a filter of events with a full scan.
func (s *suite) eventRun(e *engine, f *filter) (eventFigure, error) {
	all, err := e.timedRun(unfiltered(1))
	if err != nil {
		return eventFigure{}, err
	}
	w := workload{1, depth, f}
	if _, err := e.timedRun(w); err != nil { // only for its comparison with the oracle
		return eventFigure{}, err
	}
	c := e.candidates(w)
	selection, err := e.Select(s.ctx, c, nil)
	if err != nil {
		return eventFigure{}, err
	}
	figure := eventFigure{Rows: e.data.n, Workers: e.limits.threads, Filter: f.name, Selected: f.count(e.data.n)}
	if selection.Len() != figure.Selected {
		return figure, fmt.Errorf("the filter must select %d rows, got %d", figure.Selected, selection.Len())
	}
	subs, known := e.subRequests(w), e.subRequests(w)
	known[0].Selection = selection
	match := func(subs []matcher.SubRequest) func() error {
		return func() error { return e.Match(s.ctx, subs)[0].Err }
	}
	filter := func() error { _, err := e.Select(s.ctx, c, nil); return err }
	r, err := stat.RunAlternately(s.size.rounds, all, e.coldRun(match(subs)), e.coldRun(filter), e.coldRun(match(known)))
	if err != nil {
		return figure, err
	}
	figure.Full, figure.Match, figure.Select, figure.Scan = r.Seconds(0), r.Ratio(1, 0), r.Ratio(2, 0), r.Ratio(3, 0)
	return figure, nil
}

// coldBytes is more than a cache holds. coldCalls is the number of calls of a run.
const (
	coldBytes = 96 << 20
	coldCalls = 3
)

// coldRun returns a run of calls with cold caches: before each call it reads other
// memory. In practice a request rarely needs the rows of the request before.
func (e *engine) coldRun(call func() error) stat.Run {
	region := e.limits.region[:min(coldBytes, len(e.limits.region))]
	return func() (float64, error) {
		sum := time.Duration(0)
		for range coldCalls {
			e.limits.kernel.ProbeStream(region)
			start := time.Now()
			if err := call(); err != nil {
				return 0, err
			}
			sum += time.Since(start)
		}
		return sum.Seconds() / coldCalls, e.suite.ctx.Err()
	}
}

// eventBars records the bars. Two of them are the worst figures of all filters.
func (s *suite) eventBars(figures []eventFigure) {
	var slowest, longest *eventFigure
	for i := range figures {
		f := &figures[i]
		note := fmt.Sprintf("%d of %d rows: ideal %.4f", f.Selected, f.Rows, f.ideal())
		switch f.Filter {
		case oneDay:
			s.recordBar("events-day", f.Match, note)
		case oneDayCityAge:
			s.recordBar("events-day-city-age", f.Match, note)
		case cityAge:
			s.recordBar("events-city-age", f.Match, note)
		}
		if slowest == nil || f.Match.Median > slowest.Match.Median {
			slowest = f
		}
		if longest == nil || f.Select.Median > longest.Select.Median {
			longest = f
		}
	}
	s.recordBar("events-worst", slowest.Match, slowest.Filter)
	s.recordBar("events-filter", longest.Select, longest.Filter)
}
