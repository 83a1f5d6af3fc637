package oracle

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"nearside/internal/precise"
	"nearside/internal/testkit"
	"nearside/matcher"
)

// model is a descriptor version (docs/api.md 2).
type model struct {
	number, length int
	body           bool
	metric         byte // 'b': bytes, 'l': floats under L2, 'c': floats under cosine
	scale          float64
	middle, slope  float64 // of the similarity
	weight         int     // how often objects have this version
}

// models are the versions of the oracle. 59 and 110 are built in.
var models = []*model{
	{number: 4, length: 4, metric: 'b', scale: 1, middle: 50, slope: 0.1, weight: 30},
	{number: 24, length: 37, metric: 'b', scale: 16, middle: 4, slope: 1.5, weight: 15},
	{number: 21, length: 19, metric: 'l', middle: 3, slope: 0.8, weight: 15},
	{number: 22, length: 33, metric: 'c', middle: 1, slope: 5, weight: 12},
	{number: 5, length: 4, metric: 'l', middle: 2, slope: 1, weight: 10},
	{number: 59, length: 512, metric: 'b', scale: 128, middle: 1, slope: 8, weight: 8},
	{number: 7, length: 4, body: true, metric: 'b', scale: 1, middle: 50, slope: 0.1, weight: 30},
	{number: 23, length: 8, body: true, metric: 'c', middle: 0.7, slope: 9, weight: 20},
	{number: 110, length: 512, body: true, metric: 'b', scale: 128, middle: 1, slope: 8, weight: 15},
}

// Versions returns the descriptor versions that servers must have beside the
// built-in ones.
func Versions() []matcher.Version {
	var all []matcher.Version
	for _, m := range models {
		v := matcher.Version{Number: uint32(m.number), Length: m.length, Scale: int(m.scale), Similarity: matcher.Calibration{Midpoint: m.middle, Steepness: m.slope}}
		if m.body {
			v.Type = matcher.BodyDescriptor
		}
		if m.metric != 'b' {
			v.Encoding = matcher.Float32
		}
		if m.metric == 'c' {
			v.Metric = matcher.Cosine
		}
		if m.number != 59 && m.number != 110 {
			all = append(all, v)
		}
	}
	return all
}

func modelNumbered(n int) *model {
	for _, m := range models {
		if m.number == n {
			return m
		}
	}
	return nil
}

// vector is a descriptor.
type vector struct {
	*model
	data []byte
}

// json returns the descriptor as in bodies and answers.
func (v *vector) json() map[string]any {
	return map[string]any{"version": float64(v.number), "data": v.base()}
}

// sdk returns the descriptor in the format of the SDK, in base64.
func (v *vector) sdk() string {
	b := binary.LittleEndian.AppendUint32([]byte("dp\x00\x00"), uint32(v.number))
	return base64.StdEncoding.EncodeToString(append(b, v.data...))
}

// float returns the value of dimension i.
func (v *vector) float(i int) float64 {
	return float64(math.Float32frombits(binary.LittleEndian.Uint32(v.data[4*i:])))
}

// distance follows docs/api.md 2. The conversions prevent fused multiply-add.
func (v *vector) distance(to *vector) float64 {
	var sum, aa, bb float64
	for i := range v.length {
		switch v.metric {
		case 'b':
			d := int(v.data[i]) - int(to.data[i])
			sum += float64(d * d) // exact
		case 'l':
			d := v.float(i) - to.float(i)
			sum += float64(d * d)
		case 'c':
			a, b := v.float(i), to.float(i)
			sum += float64(a * b)
			aa += float64(a * a)
			bb += float64(b * b)
		}
	}
	switch v.metric {
	case 'b':
		return sum / float64(v.scale*v.scale)
	case 'c':
		return math.Max(0, 2-float64(2*sum)/math.Sqrt(float64(aa*bb)))
	default:
		return sum
	}
}

// similarity follows docs/api.md 2.
func (m *model) similarity(distance float64) float64 {
	return precise.Similarity(m.middle, m.slope, distance)
}

// centers returns ten vectors of each version. All other vectors are near one of
// them, so that many are equal and many have the same distance.
func (w *World) centers() map[*model][][]byte {
	all := map[*model][][]byte{}
	for _, m := range models {
		for range 10 {
			all[m] = append(all[m], w.anyVector(m))
		}
	}
	return all
}

// anyVector returns random data.
func (w *World) anyVector(m *model) []byte {
	var data []byte
	for range m.length {
		if m.metric == 'b' {
			data = append(data, byte(w.rng.IntN(256)))
		} else {
			data = binary.LittleEndian.AppendUint32(data, math.Float32bits(w.anyFloat()))
		}
	}
	if m.metric == 'c' { // never all zero
		binary.LittleEndian.PutUint32(data, math.Float32bits(0.5))
	}
	return data
}

// anyFloat returns a number that is often a small multiple of a quarter, and rarely
// very large or very small.
func (w *World) anyFloat() float32 {
	switch w.rng.IntN(100) {
	case 0:
		return float32(math.Ldexp(w.rng.Float64()-0.5, 90))
	case 1:
		return float32(math.Ldexp(w.rng.Float64()-0.5, -100))
	}
	if w.Chance(0.3) {
		return float32(w.rng.NormFloat64())
	}
	return float32(w.rng.IntN(9)-4) / 4
}

// newVector returns a center, a center with some changed values, or under cosine a
// center with another length.
func (w *World) newVector(m *model) *vector {
	v := &vector{m, append([]byte(nil), testkit.Pick(w.rng, w.center[m]...)...)}
	if w.Chance(0.4) {
		return v
	}
	if m.metric == 'c' && w.Chance(0.2) {
		for i := range m.length {
			binary.LittleEndian.PutUint32(v.data[4*i:], math.Float32bits(float32(v.float(i))*2))
		}
		return v
	}
	for range 1 + w.rng.IntN(3) {
		i := 1 + w.rng.IntN(m.length-1)
		if m.metric == 'b' {
			v.data[i] += byte(w.rng.IntN(7)) - 3
		} else {
			binary.LittleEndian.PutUint32(v.data[4*i:], math.Float32bits(float32(v.float(i))+float32(w.rng.IntN(5)-2)/4))
		}
	}
	return v
}

// randomModel returns a random version of a type.
func (w *World) randomModel(body bool) *model {
	sum := 0
	for _, m := range models {
		if m.body == body {
			sum += m.weight
		}
	}
	n := w.rng.IntN(sum)
	for _, m := range models {
		if m.body == body {
			if n -= m.weight; n < 0 {
				return m
			}
		}
	}
	panic("no model")
}

// base returns the data in base64.
func (v *vector) base() string { return base64.StdEncoding.EncodeToString(v.data) }
