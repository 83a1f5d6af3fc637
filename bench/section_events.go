package main

import (
	"fmt"
	"time"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher"
)

// eventFigure is how a filter of events compares with a scan of all of them.
// Times are parts of that scan's.
type eventFigure struct {
	Rows     int        `json:"rows"`
	Order    string     `json:"order"` // of rows
	Workers  int        `json:"workers"`
	Filter   string     `json:"filter"`
	Selected int        `json:"selected"`
	Full     float64    `json:"full_scan_seconds"`
	Match    stat.Ratio `json:"match"`  // filter, scan and answer
	Select   stat.Ratio `json:"select"` // the filter alone
	Scan     stat.Ratio `json:"scan"`   // a match whose rows are known
}

// ideal is the part of the rows that are selected.
func (f *eventFigure) ideal() float64 { return float64(f.Selected) / float64(f.Rows) }

// eventSection measures filtered matches of events beside scans of all of them.
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
	e, err := s.loaded(d, set.contents(), best(), workers)
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
		s.progress("   %-12s %-20s %7d rows (%.4f): %.4f of the full scan's %.2f ms, filter alone %.4f, scan alone %.4f", figure.Order, figure.Filter,
			figure.Selected, figure.ideal(), figure.Match.Median, figure.Full*1e3, figure.Select.Median, figure.Scan.Median)
	}
	s.events = append(s.events, figures...)
	if workers == 1 && !set.shuffled {
		s.eventBars(figures)
	}
	return nil
}

// eventRun compares what a filter of events takes with a full scan.
func (s *suite) eventRun(e *engine, f *filter) (eventFigure, error) {
	all, err := e.timed(full(1))
	if err != nil {
		return eventFigure{}, err
	}
	w := workload{1, depth, f}
	if _, err := e.timed(w); err != nil { // it checks
		return eventFigure{}, err
	}
	c := e.candidates(w)
	selection, err := e.Select(s.ctx, c, nil)
	if err != nil {
		return eventFigure{}, err
	}
	figure := eventFigure{Rows: e.data.n, Workers: e.limits.threads, Filter: f.name, Selected: f.count(e.data.n)}
	if selection.Len() != figure.Selected {
		return figure, fmt.Errorf("%d rows are selected; the oracle says %d", selection.Len(), figure.Selected)
	}
	subs, known := e.subs(w), e.subs(w)
	known[0].Selection = selection
	match := func(subs []matcher.SubRequest) func() error {
		return func() error { return e.Match(s.ctx, subs)[0].Err }
	}
	filter := func() error { _, err := e.Select(s.ctx, c, nil); return err }
	r, err := stat.InTurn(s.size.rounds, all, e.cold(match(subs)), e.cold(filter), e.cold(match(known)))
	if err != nil {
		return figure, err
	}
	figure.Full, figure.Match, figure.Select, figure.Scan = r.Seconds(0), r.Ratio(1, 0), r.Ratio(2, 0), r.Ratio(3, 0)
	return figure, nil
}

// coldBytes are more than a cache holds, coldCalls are the calls of a run.
const (
	coldBytes = 96 << 20
	coldCalls = 3
)

// cold returns a run of calls that find neither rows nor columns in the caches:
// a request is rarely about what the one before it was about.
func (e *engine) cold(call func() error) stat.Run {
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

// eventBars keeps the figures of the bars, of which two are those of the worst
// filter.
func (s *suite) eventBars(figures []eventFigure) {
	var slowest, longest *eventFigure
	for i := range figures {
		f := &figures[i]
		note := fmt.Sprintf("%d of %d rows: ideal %.4f", f.Selected, f.Rows, f.ideal())
		switch f.Filter {
		case oneDay:
			s.measure("events-day", f.Match, note)
		case oneDayCityAge:
			s.measure("events-day-city-age", f.Match, note)
		case cityAge:
			s.measure("events-city-age", f.Match, note)
		}
		if slowest == nil || f.Match.Median > slowest.Match.Median {
			slowest = f
		}
		if longest == nil || f.Select.Median > longest.Select.Median {
			longest = f
		}
	}
	s.measure("events-worst", slowest.Match, slowest.Filter)
	s.measure("events-filter", longest.Select, longest.Filter)
}
