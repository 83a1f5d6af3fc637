package main

import (
	"fmt"
	"math"
	"runtime"
	"slices"
	"sync"

	"nearside/matcher"
	"nearside/simd"
)

// The oracle computes the distance of every row with the generic kernel (uint8) or with
// the function that defines distances (float32). It applies filters to the attributes of
// the rows, without an index.

// neighbour is a row of an answer.
type neighbour struct {
	id       matcher.ID
	distance float64
}

func (a neighbour) compare(b neighbour) int {
	x, y := matcher.Match{ID: a.id, Distance: a.distance}, matcher.Match{ID: b.id, Distance: b.distance}
	return matcher.BySimilarity.Compare(&x, &y)
}

// checkResults compares the answers to the first and the last query with the oracle.
func (d *dataset) checkResults(w workload, results []matcher.Result) error {
	for i, r := range results {
		if r.Err != nil {
			return r.Err
		}
		if i != 0 && i != len(results)-1 {
			continue
		}
		want, err := d.nearest(i, w.filter, w.limit)
		if err != nil {
			return err
		}
		if len(r.Matches) != len(want) {
			return fmt.Errorf("the answer to query %d must have %d rows, got %d", i, len(want), len(r.Matches))
		}
		for j, m := range r.Matches {
			if m.ID != want[j].id || m.Distance != want[j].distance {
				return fmt.Errorf("row %d of the answer to query %d is %s at %v, want %s at %v", j, i, m.ID, m.Distance, want[j].id, want[j].distance)
			}
		}
	}
	return nil
}

// nearest returns the rows nearest to a query that pass a filter.
func (d *dataset) nearest(query int, f *filter, limit int) ([]neighbour, error) {
	distances, err := d.distancesOf(query)
	if err != nil {
		return nil, err
	}
	var top []neighbour
	farthest := math.Inf(1)
	sortTop := func() {
		slices.SortFunc(top, neighbour.compare)
		if len(top) >= limit {
			top = top[:limit]
			farthest = top[limit-1].distance
		}
	}
	for i, x := range distances {
		if x > farthest || !f.matches(i) {
			continue
		}
		if top = append(top, neighbour{idOf(i), x}); len(top) >= 4*limit {
			sortTop()
		}
	}
	sortTop()
	return top, nil
}

// distancesOf returns the distances from a query to all rows. It computes them once.
func (d *dataset) distancesOf(query int) ([]float64, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if found := d.distances[query]; found != nil {
		return found, nil
	}
	generic, err := simd.Select("generic")
	if err != nil {
		return nil, err
	}
	distances := make([]float64, d.n)
	var all sync.WaitGroup
	for part, parts := 0, runtime.GOMAXPROCS(0); part < parts; part++ {
		all.Go(func() { d.computeDistances(generic, distances, query, d.n*part/parts, d.n*(part+1)/parts) })
	}
	all.Wait()
	d.distances[query] = distances
	return distances, nil
}

func (d *dataset) computeDistances(generic *simd.Kernel, distances []float64, query, lo, hi int) {
	if d.version.Encoding == matcher.Float32 {
		for i := lo; i < hi; i++ {
			distances[i] = d.version.Distance(d.query(query), d.row(i))
		}
		return
	}
	const block = 1024
	var sums [block]uint32
	for ; lo < hi; lo += block {
		n := min(block, hi-lo)
		generic.SquaredL2U8(sums[:n], d.query(query), d.rows[lo*d.version.Length:(lo+n)*d.version.Length])
		for i, sum := range sums[:n] {
			distances[lo+i] = d.version.FromSum(sum)
		}
	}
}
