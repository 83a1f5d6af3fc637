package memory

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"nearside/internal/testkit"
	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
	"nearside/matcher/memory/table"
	"nearside/matcher/store"
)

// hostile has generators of float32 rows for which kernels are inexact: sums that
// overflow, vanish or depend on their order, and rows that differ in the last digit. Each
// row is derived from the query.
var hostile = map[string]func(rng *rand.Rand, query, row []float32){
	"equal": func(_ *rand.Rand, query, row []float32) { copy(row, query) },
	"an ulp from the query": func(rng *rand.Rand, query, row []float32) {
		copy(row, query)
		for range 1 + rng.IntN(3) {
			i := rng.IntN(len(row))
			row[i] = math.Nextafter32(row[i], float32(rng.IntN(3)-1)*math.MaxFloat32)
		}
	},
	"ties but for the order of dimensions": func(rng *rand.Rand, query, row []float32) {
		for i, j := range rng.Perm(len(row)) {
			row[i] = query[i] + float32(math.Sqrt(float64(j+1)))
		}
	},
	"ties but for the last digit": func(rng *rand.Rand, query, row []float32) {
		for i := range row {
			row[i] = -query[i] + 100 + float32(rng.IntN(2))*0x1p-17
		}
	},
	"denormal": func(rng *rand.Rand, _, row []float32) {
		for i := range row {
			row[i] = signed(rng, math.Float32frombits(1+rng.Uint32N(1<<10)))
		}
	},
	"squares underflow": func(rng *rand.Rand, query, row []float32) {
		for i := range row {
			row[i] = query[i] + signed(rng, float32(math.Pow(10, -21-3*rng.Float64())))
		}
	},
	"sum overflows": func(rng *rand.Rand, _, row []float32) {
		for i := range row {
			row[i] = signed(rng, 1e19*(1+rng.Float32()))
		}
	},
	"sum next to overflow": func(rng *rand.Rand, query, row []float32) {
		largest := math.Sqrt(math.MaxFloat32 / float64(len(row)))
		for i := range row {
			row[i] = query[i] + float32(largest)*(1+float32(rng.IntN(9)-4)*0x1p-23)
		}
	},
	"differences overflow": func(rng *rand.Rand, _, row []float32) {
		for i := range row {
			row[i] = signed(rng, math.MaxFloat32*(0.5+0.5*rng.Float32()))
		}
	},
	"products cancel": func(rng *rand.Rand, query, row []float32) {
		for i := range row {
			row[i] = signed(rng, 1e4/query[i]) * (1 + rng.Float32()*1e-6)
		}
	},
	"one large value": func(rng *rand.Rand, query, row []float32) {
		copy(row, query)
		row[rng.IntN(len(row))] = signed(rng, 1e8)
	},
	"parallel": func(rng *rand.Rand, query, row []float32) {
		scale := signed(rng, float32(math.Exp2(float64(rng.IntN(120)-60))))
		for i := range row {
			row[i] = query[i] * scale * (1 + float32(rng.IntN(3)-1)*0x1p-23)
		}
	},
	"few rows are near": func(rng *rand.Rand, query, row []float32) {
		for i := range row {
			row[i] = rng.Float32()
		}
		if rng.IntN(24) == 0 {
			copy(row, query)
		}
	},
	"plain": func(rng *rand.Rand, _, row []float32) {
		for i := range row {
			row[i] = float32(rng.NormFloat64())
		}
	},
}

func signed(rng *rand.Rand, x float32) float32 {
	if rng.IntN(2) == 0 {
		return -x
	}
	return x
}

// hostileRow returns a row of a kind of hostile rows. It replaces values that are not
// finite, and a row of zeros, because they are not valid descriptors.
func hostileRow(rng *rand.Rand, kind string, query []float32) []float32 {
	row := make([]float32, len(query))
	hostile[kind](rng, query, row)
	zero := true
	for i, x := range row {
		if x-x != 0 { // Inf or NaN
			row[i] = math.MaxFloat32
		}
		zero = zero && x == 0
	}
	if zero {
		row[0] = math.SmallestNonzeroFloat32
	}
	return row
}

// TestFloatsEqualBruteForce checks that the answer is exact in float64, whatever kernels
// compute for hostile rows.
func TestFloatsEqualBruteForce(t *testing.T) {
	lengths := []int{1, 2, 15, 16, 33, 256, 2048}
	if testkit.RaceEnabled {
		lengths = []int{33}
	}
	for _, metric := range []matcher.Metric{matcher.L2, matcher.Cosine} {
		for _, length := range lengths {
			for _, exact := range []matcher.Exact{matcher.Bounded, matcher.Plain} {
				t.Run(fmt.Sprint(metric, length, exact), func(t *testing.T) {
					testHostile(t, matcher.Version{Length: length, Metric: metric, Exact: exact})
				})
			}
		}
	}
}

func testHostile(t *testing.T, v matcher.Version) {
	rng := rand.New(rand.NewPCG(uint64(v.Length), uint64(v.Metric)))
	v.Number, v.Encoding, v.Similarity = 1, matcher.Float32, matcher.Calibration{Midpoint: 1, Steepness: 1}
	p := newPair(t, Options{Workers: 2, chunkRows: 64}, v)
	var kinds []string
	for kind := range hostile {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	ids := make([]matcher.ID, 96)
	for i := range ids {
		ids[i] = matcher.ID{byte(rng.Uint32()), byte(i)}
	}
	for _, queryKind := range []string{"plain", "denormal", "sum overflows", "one large value"} {
		query := hostileRow(rng, queryKind, hostileRow(rng, "plain", make([]float32, v.Length)))
		for k := range len(kinds) + 1 {
			var changes []store.Change
			for i, id := range ids {
				kind := kinds[i%len(kinds)] // all kinds
				if k < len(kinds) {
					kind = kinds[k]
				}
				changes = append(changes, memorytest.Put(id, 1, memorytest.PackFloats(hostileRow(rng, kind, query))))
			}
			p.commit(t, changes...)
			p.tables.Compact(func(v *table.View) bool { return v.Live() == 0 })
			p.checkHostile(t, memorytest.PackFloats(query))
		}
	}
}

// checkHostile tests several limits, and thresholds that equal the similarity of a row.
func (p *pair) checkHostile(t *testing.T, query []byte) {
	t.Helper()
	v := p.options.Registry.Version(1)
	all := p.Expect([]matcher.SubRequest{memorytest.Reference(v, query, &matcher.Candidates{Limit: 1000})})[0].Rows
	middle := all[len(all)/2].Distance
	v.Similarity = matcher.Calibration{Midpoint: middle, Steepness: 3 / max(middle, 1e-300)}
	var subs []matcher.SubRequest
	for _, limit := range []int{1, 7, 40} {
		for _, at := range []int{-1, 0, 5, 50, len(all) - 1} {
			c := &matcher.Candidates{Limit: limit, Order: matcher.Order(limit % 3)}
			if at >= 0 {
				c.Threshold = v.SimilarityOf(all[at].Distance)
			}
			subs = append(subs, memorytest.Reference(v, query, c))
		}
	}
	want := p.Expect(subs)
	for _, k := range memorytest.Kernels() {
		if k.Usable() {
			p.options.Kernel = k
			p.check(t, subs, want)
		}
	}
}
