package synth

import "math"

// random is the generator splitmix64 (Steele, Lea, Flood: Fast splittable pseudorandom
// number generators, 2014). Its state is one number, so a generator per row is cheap.
type random uint64

func newRandom(parts ...uint64) random {
	r := random(0)
	for _, p := range parts {
		r = random(r.next() ^ p)
	}
	return r
}

func (r *random) next() uint64 {
	*r += 0x9e3779b97f4a7c15
	z := uint64(*r)
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// below returns a number from 0 to n-1. Its bias is below n/2^32.
func (r *random) below(n int) int { return int(r.next() >> 32 * uint64(n) >> 32) }

// unit returns a number in [0, 1).
func (r *random) unit() float64 { return float64(r.next()>>11) * 0x1p-53 }

// normal returns an approximately normal number with mean 0 and variance 1: the sum of four
// uniform numbers of 16 bits. Its tails end at 3.5, which does not matter in sums over many
// dimensions.
func (r *random) normal() float32 {
	x := r.next()
	sum := int(x&0xffff) + int(x>>16&0xffff) + int(x>>32&0xffff) + int(x>>48)
	return (float32(sum) - 2*65535) / 37837.2
}

// exactNormal returns a normal number by the method of Box and Muller, for uses without a
// sum.
func (r *random) exactNormal() float64 {
	return math.Sqrt(-2*math.Log(1-r.unit())) * math.Cos(2*math.Pi*r.unit())
}
