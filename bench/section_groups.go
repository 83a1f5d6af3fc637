package main

import (
	"fmt"
	"strconv"
	"time"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher"
)

// grouping assigns the rows of a dataset to persons, as external IDs.
type grouping struct {
	name   string
	person func(i int) int
}

// groupings returns the groupings that are measured. In the set of faces, a person has 1 to
// 10 pictures, which are like each other, so many rows are nearer than the tenth person. In
// the other grouping, the ten rows of a person have nothing in common.
func (d *dataset) groupings() []grouping {
	return []grouping{
		{"pictures of persons", d.set.Person},
		{"ten random rows a person", func(i int) int { return int(mix(uint64(i)) % uint64(max(1, d.n/10))) }},
	}
}

// groupSection measures a match whose answer has one row of each person, beside a plain one.
func (s *suite) groupSection() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	worst, note := stat.Summary{}, ""
	for _, g := range d.groupings() {
		summary, text, err := s.groupRatio(d, g)
		if err != nil {
			return err
		}
		if note += text + "; "; summary.Median > worst.Median {
			worst = summary
		}
	}
	s.recordBar("group-10", worst, note[:len(note)-2])
	return nil
}

// groupRatio returns the time of a grouped match as a multiple of that of a plain match, for
// several references, one after the other.
func (s *suite) groupRatio(d *dataset, g grouping) (stat.Summary, string, error) {
	t := contents{origin: matcher.Faces, object: func(i int, o *matcher.Object) { o.ExternalID = strconv.Itoa(g.person(i)) }}
	e, err := s.loadEngine(d, t, bestKernel(), 1)
	if err != nil {
		return stat.Summary{}, "", err
	}
	defer e.close()
	plain, err := e.groupRun(g, nil)
	if err != nil {
		return stat.Summary{}, "", err
	}
	grouped, err := e.groupRun(g, &matcher.Grouping{By: matcher.GroupFields(matcher.Faces)[0], Size: 1})
	if err != nil {
		return stat.Summary{}, "", err
	}
	r, err := stat.RunAlternately(s.size.rounds, plain, grouped)
	if err != nil {
		return stat.Summary{}, "", err
	}
	return r.Ratio(1, 0), fmt.Sprintf("%s: plain %.2f ms, grouped %.2f ms", g.name, r.Seconds(0)*1e3, r.Seconds(1)*1e3), nil
}

// groupQueries is the number of references of a run.
const groupQueries = 4

// groupRun compares the answers of single references with the oracle and returns a run of
// them.
func (e *engine) groupRun(g grouping, by *matcher.Grouping) (stat.Run, error) {
	subs := e.subRequests(workload{groupQueries, depth, everything})
	subs[0].Candidates.Group = by // all have the same candidates
	match := func(i int) ([]matcher.Match, error) {
		r := e.Match(e.suite.ctx, subs[i:i+1])[0]
		return r.Matches, r.Err
	}
	for i := range subs {
		rows, err := match(i)
		if err == nil {
			err = e.data.checkGroups(i, g, by != nil, rows)
		}
		if err != nil {
			return nil, fmt.Errorf("%s, grouped: %t: %w", g.name, by != nil, err)
		}
	}
	return func() (float64, error) {
		start := time.Now()
		for i := range subs {
			if _, err := match(i); err != nil {
				return 0, err
			}
		}
		return time.Since(start).Seconds(), e.suite.ctx.Err()
	}, nil
}

// checkGroups compares the answer to a query with the nearest rows, or with the nearest row
// of each of the nearest persons.
func (d *dataset) checkGroups(query int, g grouping, grouped bool, rows []matcher.Match) error {
	distances, err := d.distancesOf(query)
	if err != nil {
		return err
	}
	nearest := map[int]neighbour{}
	for i, x := range distances {
		person, row := i, neighbour{idOf(i), x}
		if grouped {
			person = g.person(i)
		}
		if best, ok := nearest[person]; !ok || row.compare(best) < 0 {
			nearest[person] = row
		}
	}
	for at, row := range rows {
		before := 0
		for _, best := range nearest {
			if best.compare(neighbour{row.ID, row.Distance}) < 0 {
				before++
			}
		}
		if before != at {
			return fmt.Errorf("row %d of the answer to query %d has %d persons before it", at, query, before)
		}
	}
	if want := min(depth, len(nearest)); len(rows) != want {
		return fmt.Errorf("the answer to query %d must have %d rows, got %d", query, want, len(rows))
	}
	return nil
}
