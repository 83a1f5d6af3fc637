package matcher_test

import (
	"encoding/binary"
	"hash/fnv"
	"math"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
)

// TestBitsOfEveryCPU pins the bits of distances and similarities. `make
// kernels` also runs it with GOAMD64=v3, where the compiler may fuse
// multiplications with additions, and without the CPU's fused multiply-add.
func TestBitsOfEveryCPU(t *testing.T) {
	const want = 0x8892e47576a9beda
	rng := rand.New(rand.NewPCG(21, 22))
	sum := fnv.New64a()
	addBits := func(f float64) { sum.Write(binary.LittleEndian.AppendUint64(nil, math.Float64bits(f))) }
	for _, v := range []matcher.Version{
		{Length: 32, Scale: 128},
		{Length: 7, Scale: 3, Similarity: matcher.Calibration{Midpoint: 12.6, Steepness: 0.37}},
		{Length: 33, Encoding: matcher.Float32, Metric: matcher.L2, Similarity: matcher.Calibration{Midpoint: 60.3, Steepness: 0.13}},
		{Length: 256, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: matcher.Calibration{Midpoint: 1.9, Steepness: 7.7}},
	} {
		v := version(t, v)
		for range 2000 {
			a, b := anyDescriptor(rng, v), anyDescriptor(rng, v)
			d := v.Distance(a, b)
			addBits(d)
			addBits(v.SimilarityOf(d))
			addBits(v.DistanceLimit(float64(rng.IntN(1000)) / 1000))
		}
	}
	if got := sum.Sum64(); got != want {
		t.Errorf("the hash of all bits is %#x, want %#x", got, uint64(want))
	}
}

// anyDescriptor makes a descriptor from random integers, so that it is the same
// on every machine.
func anyDescriptor(rng *rand.Rand, v *matcher.Version) []byte {
	var data []byte
	for range v.Length {
		if v.Encoding == matcher.Uint8 {
			data = append(data, byte(rng.Uint32()))
			continue
		}
		f := math.Ldexp(float64(rng.IntN(1<<24)-1<<23), -22-rng.IntN(8)) // differences have up to 32 bits: their squares are rounded
		data = binary.LittleEndian.AppendUint32(data, math.Float32bits(float32(f)))
	}
	return data
}
