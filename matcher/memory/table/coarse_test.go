package table

import (
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
)

// TestCoarseBound checks that the limit for a row's own distance lets the row pass,
// whatever the row and the query.
func TestCoarseBound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	lengths := []int{1, 2, 31, 128, 512}
	if testkit.RaceEnabled {
		lengths = lengths[:3]
	}
	for _, metric := range []matcher.Metric{matcher.L2, matcher.Cosine} {
		for _, dims := range lengths {
			v := &matcher.Version{Number: 1, Encoding: matcher.Float32, Length: dims, Metric: metric}
			checked := 0
			for round := range 40 {
				rows, query := make([][]byte, 0, 1100), memorytest.Adversary(r, dims, round%7)
				for i := range 1100 {
					rows = append(rows, memorytest.Adversary(r, dims, []int{round % 7, (round + i) % 7}[round/7%2]))
				}
				checked += checkBound(t, v, rows, query)
			}
			if checked < 1000 {
				t.Errorf("%s %d: only %d rows were not cut", metric, dims, checked)
			}
		}
	}
}

func checkBound(t *testing.T, v *matcher.Version, rows [][]byte, query []byte) (checked int) {
	t.Helper()
	scale := func(x []byte) float64 {
		if v.Metric == matcher.Cosine {
			return 1 / Norm(x)
		}
		return 1
	}
	c := newCoarse(2048)
	var q CoarseQuery
	type copied struct {
		bytes    []byte
		constant int32
	}
	copies := make([]copied, len(rows))
	for i, row := range rows {
		if v.CheckData(row) != nil || v.CheckData(query) != nil {
			return 0
		}
		b, constant := c.quantize(i, Floats(append([]byte(nil), row...)), scale(row))
		copies[i] = copied{append([]byte(nil), b...), constant}
	}
	q.Set(c.Step, Floats(append([]byte(nil), query...)), scale(query))
	for i, row := range rows {
		if c.Cut[i/64].Load()>>(i%64)&1 == 1 {
			continue
		}
		checked++
		dot := 0
		for j, u := range copies[i].bytes {
			dot += int(u) * (int(q.Bytes[j]) - 128)
		}
		e, n := c.Bounds(i/ZoneRows, len(rows), v.Length)
		d := v.Distance(query, row)
		value := int(copies[i].constant) - 2*dot
		if limit := int(q.Limit(c.Step, d, e, n)); value > limit {
			t.Fatalf("%s %d dimensions: row %d at %v has the value %d, which is above %d", v.Metric, v.Length, i, d, value, limit)
		}
		if least := q.AtLeast(c.Step, int32(value), e, n); least > d {
			t.Fatalf("%s %d dimensions: row %d at %v has the value %d, whose distance is at least %v", v.Metric, v.Length, i, d, value, least)
		} else if least > 0 && value <= int(q.Limit(c.Step, least*(1-1e-6), e, n))-1 {
			t.Fatalf("%s %d dimensions: the bound %v of value %d is not the inverse of the limit", v.Metric, v.Length, least, value)
		}
	}
	return checked
}

// TestCoarsePrunes checks, with realistic rows, that few rows are computed again, and
// that Poor detects rows that cannot be copied well.
func TestCoarsePrunes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	v := &matcher.Version{Number: 1, Encoding: matcher.Float32, Length: 256, Metric: matcher.Cosine}
	c := newCoarse(4096)
	far := 0
	query := memorytest.Adversary(r, 256, 0)
	var q CoarseQuery
	for i := range 4096 {
		row := memorytest.Adversary(r, 256, 0)
		b, constant := c.quantize(i, Floats(row), 1/Norm(row))
		if i == 0 {
			q.Set(c.Step, Floats(query), 1/Norm(query))
		}
		dot := 0
		for j, u := range b {
			dot += int(u) * (int(q.Bytes[j]) - 128)
		}
		e, n := c.Bounds(0, ZoneRows, v.Length)
		if int(constant)-2*dot > int(q.Limit(c.Step, 1.6, e, n)) { // the nearest of 4096 rows are at a distance of about 1.5
			far++
		}
	}
	if far < 3900 {
		t.Errorf("%d of 4096 rows are beyond the limit, want at least 3900", far)
	}
	if c.Poor(0, 4096) {
		t.Error("Poor is true for rows without outliers")
	}
	for i := range 1024 {
		c.quantize(i, Floats(memorytest.Adversary(r, 256, 2)), 1)
	}
	if !c.Poor(0, 1024) {
		t.Error("Poor is false for rows with outliers")
	}
}

// TestCoarseRestored checks that Restore reads what append wrote.
func TestCoarseRestored(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 8))
	const rows = 2*ZoneRows + 70
	want, got := newCoarse(4096), newCoarse(4096)
	for i := range rows {
		want.quantize(i, Floats(memorytest.Adversary(r, 16, 2*(i%2))), 1)
	}
	got.Restore(want.append(nil, rows), rows)
	if got.Step != want.Step || !slices.Equal(got.zones, want.zones) || want.zones[2].cuts == 0 || want.zones[2].error == 0 {
		t.Errorf("step %v, zones %v; want %v, %v", got.Step, got.zones, want.Step, want.zones)
	}
	for i := range want.Cut {
		if got.Cut[i].Load() != want.Cut[i].Load() {
			t.Fatalf("cut %d: %x, want %x", i, got.Cut[i].Load(), want.Cut[i].Load())
		}
	}
}
