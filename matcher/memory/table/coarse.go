package table

import (
	"math"
	"math/bits"
	"sync/atomic"
)

// Coarse describes a copy of float32 rows in bytes. Scanning the copy instead of the rows
// needs a quarter of the memory traffic.
//
// Let x be a row. Under cosine, x is scaled to length 1; the distance is then the squared
// Euclidean distance, as under L2. The copy of x is x' = step*(u-128) with bytes u. The
// copy of a query q is q' = step*v with signed bytes v. With e >= |x-x'| and f >= |q-q'|,
//
//	<q,x> = <q',x'> + <q,x-x'> + <q-q',x'> <= <q',x'> + |q|e + f|x'|
//
// A row is within distance d of q if |q|^2 + |x|^2 - 2<q,x> <= d. For such a row,
//
//	|x|^2/step^2 - 2<v,u-128> <= (d - |q|^2 + 2|q|e + 2f|x'|) / step^2.
//
// The kernel computes the left side, rounded down: a constant of the row minus twice a
// product of bytes. e is the largest |x-x'| in a zone of rows, and |x'| is at most the
// zone's largest |x| plus e. Each row that passes the kernel is computed again from its
// floats, so the result is the same as that of a plain scan.
type Coarse struct {
	Step  float64 // set by the first row
	zones []coarseZone
	Cut   []atomic.Uint64 // cut rows, which have a value that the bytes cannot represent; their distance is always computed
	bytes []byte          // scratch memory of the writer
}

// coarseZone has bounds for those rows of a zone that are not cut. The writer may still
// be changing the last zone.
type coarseZone struct {
	error float64 // largest |x-x'|
	norm  float64 // largest |x|
	cuts  int     // number of rows that are cut
}

// headroom is the factor by which a value may exceed the largest value of the chunk's
// first row before its row is cut. A larger factor would make all copies coarser.
const headroom = 1.5

// slack is a generous bound of the relative float64 rounding error in these computations:
// sums of up to 16384 terms, each rounded to 2^-53.
const slack = 1e-9

func newCoarse(rows int) *Coarse {
	return &Coarse{zones: make([]coarseZone, (rows+ZoneRows-1)/ZoneRows), Cut: make([]atomic.Uint64, (rows+63)/64)}
}

// quantize returns the copy of row i, whose value is scale*x, and updates the bounds of
// its zone. The bytes are valid until the next call.
func (c *Coarse) quantize(i int, x []float32, scale float64) (row []byte, constant int32) {
	if c.Step == 0 {
		c.Step = firstStep(x, scale)
	}
	z := &c.zones[i/ZoneRows]
	if i%ZoneRows == 0 {
		*z = coarseZone{}
	}
	c.bytes = c.bytes[:0]
	inverse := 1 / c.Step
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
		d := v - n*c.Step
		norm += v * v
		loss += d * d
	}
	if cut {
		c.Cut[i/64].Or(1 << (i % 64))
		z.cuts++
		return c.bytes, 0
	}
	z.error = max(z.error, math.Sqrt(loss)*(1+slack))
	z.norm = max(z.norm, math.Sqrt(norm)*(1+slack))
	return c.bytes, int32(norm * inverse * inverse * (1 - slack)) // at most 16384*127.5^2
}

// firstStep returns the step of a chunk whose first row is scale*x.
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

// Bounds returns the bounds of a zone's rows for a snapshot of n rows. The writer may be
// changing a zone that is not full, so for that zone Bounds returns limits that hold for
// all byte values.
func (c *Coarse) Bounds(zone, n, dims int) (e, norm float64) {
	if (zone+1)*ZoneRows <= n {
		return c.zones[zone].error, c.zones[zone].norm
	}
	length := c.Step * math.Sqrt(float64(dims)) * (1 + slack) // of a vector with one step in each dimension
	return length / 2, length * 127.5
}

// Poor reports whether so many of the rows lo..hi-1 are cut that scanning the float32
// rows is faster.
func (c *Coarse) Poor(lo, hi int) bool {
	cuts := 0
	for w := lo / 64; w < (hi+63)/64; w++ {
		cuts += bits.OnesCount64(c.Cut[w].Load())
	}
	return cuts*16 > hi-lo
}

// CoarseQuery is a query, quantized with the step of a chunk.
type CoarseQuery struct {
	Bytes []byte // each v + 128
	sum   int    // sum of all v
	norm  float64
	error float64 // |q-q'|
}

// Set quantizes scale*x.
func (q *CoarseQuery) Set(step float64, x []float32, scale float64) {
	q.Bytes, q.sum = q.Bytes[:0], 0
	var norm, loss float64
	for _, value := range x {
		v := float64(value) * scale
		n := max(-128, min(127, math.RoundToEven(v/step)))
		q.Bytes = append(q.Bytes, byte(int(n)+128))
		q.sum += int(n)
		d := v - n*step
		norm += v * v
		loss += d * d
	}
	q.norm, q.error = math.Sqrt(norm)*(1+slack), math.Sqrt(loss)*(1+slack)
}

// Limit returns a bound of the kernel's value: a row with a larger value is farther away
// than distance. It holds for rows of a zone with error e and norms up to norm. The
// formula of Coarse has u-128, but the kernel multiplies u; the last term corrects this.
func (q *CoarseQuery) Limit(step, distance, e, norm float64) int32 {
	bound := distance - q.norm*q.norm + 2*q.norm*e + 2*q.error*(norm+e)
	bound += 8 * slack * (distance + q.norm*q.norm + norm*norm)
	return clampInt32(math.Ceil(bound/(step*step)) - 256*float64(q.sum))
}

// AtLeast returns a lower bound of the distance of a row whose kernel value is value. It is
// the inverse of Limit, and holds for the same rows.
func (q *CoarseQuery) AtLeast(step float64, value int32, e, norm float64) float64 {
	factor, offset := q.Line(step, e, norm)
	if distance := float64(value)*factor + offset; distance > 0 { // false for NaN
		return distance
	}
	return 0
}

// Line returns AtLeast as a straight line: value*factor + offset. It can be negative.
func (q *CoarseQuery) Line(step, e, norm float64) (factor, offset float64) {
	offset = (256*float64(q.sum) - 1) * (step * step)
	offset += q.norm*q.norm - 2*q.norm*e - 2*q.error*(norm+e) - 8*slack*(q.norm*q.norm+norm*norm)
	const stretch = 1 + 8*slack
	return step * step / stretch, offset / stretch
}

func clampInt32(x float64) int32 { return int32(max(math.MinInt32, min(math.MaxInt32, x))) }
