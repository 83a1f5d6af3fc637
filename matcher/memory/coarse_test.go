package memory

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
	"nearside/matcher/store"
)

// adversary makes rows that try to break a bound: of any size, with values that
// stick out, next to each other, all alike.
func adversary(r *rand.Rand, dims, kind int) []byte {
	data := make([]byte, 0, 4*dims)
	size := math.Pow(10, float64(r.IntN(60)-30))
	for i := range dims {
		f := float32(r.NormFloat64())
		switch kind {
		case 0: // one size
		case 1: // any size, from row to row
			f *= float32(size)
		case 2: // a value that sticks out
			if i == r.IntN(dims) {
				f *= 1e6
			}
		case 3: // all alike
			f = float32(math.Sin(float64(i)))
		case 4: // alike but for the last digit
			f = float32(math.Sin(float64(i))) * (1 + float32(r.IntN(3))*0x1p-23)
		case 5: // smallest and largest numbers
			f = math.Float32frombits(r.Uint32() &^ 0x40000000)
			if f != f || r.IntN(2) == 0 {
				f = float32(r.NormFloat64()) * 1e37
			}
		case 6: // one value only
			if i > 0 {
				f = 0
			}
		}
		if math.IsInf(float64(f), 0) || f != f {
			f = 1
		}
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(f))
	}
	return data
}

// TestCoarseBound: the limit for the distance that a row has lets the row
// pass, whatever row and query are.
func TestCoarseBound(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	lengths := []int{1, 2, 31, 128, 512}
	if underRace {
		lengths = lengths[:3]
	}
	for _, metric := range []matcher.Metric{matcher.L2, matcher.Cosine} {
		for _, dims := range lengths {
			v := &matcher.Version{Number: 1, Encoding: matcher.Float32, Length: dims, Metric: metric}
			checked := 0
			for round := range 40 {
				rows, query := make([][]byte, 0, 1100), adversary(r, dims, round%7)
				for i := range 1100 {
					rows = append(rows, adversary(r, dims, []int{round % 7, (round + i) % 7}[round/7%2]))
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
			return 1 / norm(x)
		}
		return 1
	}
	c := newCoarse(2048)
	var q coarseQuery
	type copied struct {
		bytes    []byte
		constant int32
	}
	copies := make([]copied, len(rows))
	for i, row := range rows {
		if v.CheckData(row) != nil || v.CheckData(query) != nil {
			return 0
		}
		b, constant := c.put(i, floats(append([]byte(nil), row...)), scale(row))
		copies[i] = copied{append([]byte(nil), b...), constant}
	}
	q.set(c.step, floats(append([]byte(nil), query...)), scale(query))
	for i, row := range rows {
		if c.cut[i/64].Load()>>(i%64)&1 == 1 {
			continue
		}
		checked++
		dot := 0
		for j, u := range copies[i].bytes {
			dot += int(u) * (int(q.bytes[j]) - 128)
		}
		e, n := c.bounds(i/zoneRows, len(rows), v.Length)
		d := v.Distance(query, row)
		if value, limit := int(copies[i].constant)-2*dot, int(q.limit(c.step, d, e, n)); value > limit {
			t.Fatalf("%s %d dimensions: row %d at %v has the value %d, which is above %d", v.Metric, v.Length, i, d, value, limit)
		}
	}
	return checked
}

// TestCoarsePrunes: with rows as models make them, few are computed again; and
// rows that a copy is no good for are told.
func TestCoarsePrunes(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	v := &matcher.Version{Number: 1, Encoding: matcher.Float32, Length: 256, Metric: matcher.Cosine}
	c := newCoarse(4096)
	far := 0
	query := adversary(r, 256, 0)
	var q coarseQuery
	for i := range 4096 {
		row := adversary(r, 256, 0)
		b, constant := c.put(i, floats(row), 1/norm(row))
		if i == 0 {
			q.set(c.step, floats(query), 1/norm(query))
		}
		dot := 0
		for j, u := range b {
			dot += int(u) * (int(q.bytes[j]) - 128)
		}
		e, n := c.bounds(0, zoneRows, v.Length)
		if int(constant)-2*dot > int(q.limit(c.step, 1.6, e, n)) { // the nearest of 4096 are at about 1.5
			far++
		}
	}
	if far < 3900 {
		t.Errorf("%d of 4096 rows were told to be far", far)
	}
	if c.poor(0, 4096) {
		t.Error("rows of one kind are called cut")
	}
	for i := range 1024 {
		c.put(i, floats(adversary(r, 256, 2)), 1)
	}
	if !c.poor(0, 1024) {
		t.Error("rows with values that stick out are not called cut")
	}
}

// TestBoundedEqualsBruteForce fills zones, with rows of one kind and mixed.
func TestBoundedEqualsBruteForce(t *testing.T) {
	for _, metric := range []matcher.Metric{matcher.L2, matcher.Cosine} {
		for kind := range 8 {
			t.Run(fmt.Sprint(metric, kind), func(t *testing.T) {
				r := rand.New(rand.NewPCG(7, uint64(kind)))
				const dims = 24
				p := newPair(t, Options{Workers: 2}, matcher.Version{
					Number: 1, Encoding: matcher.Float32, Length: dims, Metric: metric, Similarity: matcher.Calibration{Midpoint: 1, Steepness: 3},
				})
				v := p.options.Registry.Version(1)
				row := func(i int) []byte {
					k := kind
					if k == 7 {
						k = i % 7
					}
					for {
						if data := adversary(r, dims, k); v.CheckData(data) == nil {
							return data
						}
					}
				}
				var changes []store.Change
				for i := range 2500 {
					changes = append(changes, put(matcher.NewID(), 1, row(i)))
				}
				p.commit(t, changes...)
				set := &matcher.Candidates{Limit: 7}
				byTime := &matcher.Candidates{Limit: 7, Order: matcher.ByTimeDesc, Threshold: 0.3}
				var subs []matcher.SubRequest
				for i := range 9 {
					subs = append(subs, reference(v, row(i), set), reference(v, row(i), byTime))
				}
				p.check(t, subs, p.expect(subs))
				p.check(t, subs[:1], p.expect(subs[:1]))
			})
		}
	}
}
