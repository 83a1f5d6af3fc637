package memory

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// coarse describes a copy of float32 rows in bytes, which is scanned in their
// place at a quarter of the traffic.
//
// A row x (of length 1 under cosine, where the distance of such rows is the
// squared Euclidean one, too) has the copy x' = step*(u-128) with bytes u, and
// a query q the copy q' = step*v with signed bytes v. With e >= |x-x'| and
// f >= |q-q'|,
//
//	<q,x> = <q',x'> + <q,x-x'> + <q-q',x'> <= <q',x'> + |q|e + f|x'|
//
// so a row within a distance d of q, |q|^2 + |x|^2 - 2<q,x> <= d, has
//
//	|x|^2/step^2 - 2<v,u-128> <= (d - |q|^2 + 2|q|e + 2f|x'|) / step^2.
//
// The left side, rounded down, is what a kernel computes: a constant of the
// row less twice a product of bytes. e and |x'| are taken as the largest of a
// zone of rows. Whatever the kernel lets pass is computed again, so the answer
// is that of a plain scan.
type coarse struct {
	step  float64 // set by the first row
	zones []coarseZone
	cut   []atomic.Uint64 // rows with a value beyond what bytes hold: always computed
	bytes []byte          // of the writer
}

// coarseZone bounds the rows of a zone that are not cut. The writer may be at
// the last one.
type coarseZone struct {
	error float64 // largest |x-x'|
	norm  float64 // largest |x|
	cuts  int     // rows that are cut
}

// headroom is how much larger than those of the first row of a chunk values
// may be before they are cut. More would make all copies coarser.
const headroom = 1.5

// slack covers what is rounded in float64 in all of this, by far: sums of up
// to 16384 terms, each to 2^-53.
const slack = 1e-9

func newCoarse(rows int) *coarse {
	return &coarse{zones: make([]coarseZone, (rows+zoneRows-1)/zoneRows), cut: make([]atomic.Uint64, (rows+63)/64)}
}

// put makes the copy of row i, which is scale*x. The bytes are valid until the
// next call.
func (c *coarse) put(i int, x []float32, scale float64) (row []byte, constant int32) {
	if c.step == 0 {
		c.step = firstStep(x, scale)
	}
	z := &c.zones[i/zoneRows]
	if i%zoneRows == 0 {
		*z = coarseZone{}
	}
	c.bytes = c.bytes[:0]
	inverse := 1 / c.step
	var norm, loss float64
	cut := false
	for _, value := range x {
		v := float64(value) * scale
		n := math.RoundToEven(v * inverse)
		if n < -127 || n > 127 {
			cut = true
			n = max(-127, min(127, n))
		}
		c.bytes = append(c.bytes, byte(int(n)+128))
		d := v - n*c.step
		norm += v * v
		loss += d * d
	}
	if cut {
		c.cut[i/64].Or(1 << (i % 64))
		z.cuts++
		return c.bytes, 0
	}
	z.error = max(z.error, math.Sqrt(loss)*(1+slack))
	z.norm = max(z.norm, math.Sqrt(norm)*(1+slack))
	return c.bytes, int32(norm * inverse * inverse * (1 - slack)) // at most 16384*127.5^2
}

// firstStep returns the step for rows like x.
func firstStep(x []float32, scale float64) float64 {
	largest := 0.0
	for _, v := range x {
		largest = max(largest, math.Abs(float64(v)*scale))
	}
	if largest == 0 {
		return 1
	}
	return largest * headroom / 127
}

// bounds returns what holds for the rows of a zone that a snapshot of n rows
// shows: for the zone that may be at work, what holds for all bytes.
func (c *coarse) bounds(zone, n, dims int) (e, norm float64) {
	if (zone+1)*zoneRows <= n {
		return c.zones[zone].error, c.zones[zone].norm
	}
	most := c.step * math.Sqrt(float64(dims)) * (1 + slack)
	return most / 2, most * 127.5
}

// poor reports whether so many rows of lo..hi-1 are cut that scanning the rows
// themselves is faster.
func (c *coarse) poor(lo, hi int) bool {
	cuts := 0
	for w := lo / 64; w < (hi+63)/64; w++ {
		cuts += bits.OnesCount64(c.cut[w].Load())
	}
	return cuts*16 > hi-lo
}

// coarseQuery is a query in the steps of a chunk.
type coarseQuery struct {
	bytes []byte // v + 128
	sum   int    // of v
	norm  float64
	error float64 // |q-q'|
}

// set makes the copy of scale*x.
func (q *coarseQuery) set(step float64, x []float32, scale float64) {
	q.bytes, q.sum = q.bytes[:0], 0
	var norm, loss float64
	for _, value := range x {
		v := float64(value) * scale
		n := max(-128, min(127, math.RoundToEven(v/step)))
		q.bytes = append(q.bytes, byte(int(n)+128))
		q.sum += int(n)
		d := v - n*step
		norm += v * v
		loss += d * d
	}
	q.norm, q.error = math.Sqrt(norm)*(1+slack), math.Sqrt(loss)*(1+slack)
}

// limit returns the kernel's value above which a row of a zone with error e
// and norms up to norm is farther than distance. The kernel multiplies u
// where the sum above has u-128, hence the last term.
func (q *coarseQuery) limit(step, distance, e, norm float64) int32 {
	most := distance - q.norm*q.norm + 2*q.norm*e + 2*q.error*(norm+e)
	most += 8 * slack * (distance + q.norm*q.norm + norm*norm)
	return clampInt32(math.Ceil(most/(step*step)) - 256*float64(q.sum))
}

func clampInt32(x float64) int32 { return int32(max(math.MinInt32, min(math.MaxInt32, x))) }
