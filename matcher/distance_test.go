package matcher_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"nearside/matcher"
)

// version returns a registered version.
func version(t testing.TB, v matcher.Version) *matcher.Version {
	t.Helper()
	v.Number = 1000
	if v.Similarity == (matcher.Calibration{}) {
		v.Similarity = matcher.Calibration{Midpoint: 1, Steepness: 8}
	}
	r, err := matcher.NewRegistry([]matcher.Version{v})
	if err != nil {
		t.Fatal(err)
	}
	return r.Version(1000)
}

// repeated returns n bytes that repeat pattern.
func repeated(n int, pattern ...byte) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = pattern[i%len(pattern)]
	}
	return b
}

func packed(values ...float32) []byte {
	var b []byte
	for _, v := range values {
		b = binary.LittleEndian.AppendUint32(b, math.Float32bits(v))
	}
	return b
}

// TestGoldenDistance pins the golden value of docs/api.md, Distance.
func TestGoldenDistance(t *testing.T) {
	v := version(t, matcher.Version{Length: 32, Scale: 128})
	a, b := repeated(32, 0x12, 0x34, 0x56, 0x78, 0x90), repeated(32, 0x01, 0x23, 0x45, 0x67, 0x89)
	if d := v.Distance(a, b); d != 0.4765625 {
		t.Errorf("distance %v, want 0.4765625", d)
	}
}

// TestUint8Distance compares with rational numbers: a distance is the float64
// nearest to the exact value.
func TestUint8Distance(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for _, length := range []int{1, 2, 31, 512, matcher.LengthMax} {
		for _, scale := range []int{1, 3, 128, 255, 1 << 20} {
			v := version(t, matcher.Version{Length: length, Scale: scale})
			a, b := make([]byte, length), make([]byte, length)
			for _, extreme := range []bool{false, true} {
				sum := int64(0)
				for i := range a {
					a[i], b[i] = byte(rng.Uint32()), byte(rng.Uint32())
					if extreme {
						a[i], b[i] = 0, 255
					}
					sum += (int64(a[i]) - int64(b[i])) * (int64(a[i]) - int64(b[i]))
				}
				want, _ := big.NewRat(sum, int64(scale)*int64(scale)).Float64()
				if got := v.Distance(a, b); got != want {
					t.Errorf("length %d, scale %d: distance %v, want %v", length, scale, got, want)
				}
				if got := v.FromSum(uint32(sum)); got != want {
					t.Errorf("length %d, scale %d: from sum %v, want %v", length, scale, got, want)
				}
				if limit := v.DistanceMax(); want > limit {
					t.Errorf("length %d, scale %d: distance %v is above DistanceMax, %v", length, scale, want, limit)
				}
			}
		}
	}
}

// floats32 returns n random values. kind selects their range: 0 is about 1, 1 is
// denormal, 2 is the largest float32 with either sign, and 3 is 1e-30 to 1e30.
func floats32(rng *rand.Rand, n, kind int) []float32 {
	values := make([]float32, n)
	for i := range values {
		switch kind {
		case 0:
			values[i] = float32(rng.NormFloat64())
		case 1:
			values[i] = math.Float32frombits(1 + rng.Uint32N(1000)) // denormal
		case 2:
			values[i] = math.MaxFloat32 * float32(1-2*rng.IntN(2))
		default:
			values[i] = float32(rng.NormFloat64()) * float32(math.Pow(10, float64(rng.IntN(60)-30)))
		}
	}
	return values
}

// TestFloat32Distance compares with sums that have a precision of 2,000 bits.
func TestFloat32Distance(t *testing.T) {
	rng := rand.New(rand.NewPCG(3, 4))
	for _, length := range []int{1, 2, 31, 256, 2048} {
		l2 := version(t, matcher.Version{Encoding: matcher.Float32, Length: length, Metric: matcher.L2})
		cos := version(t, matcher.Version{Encoding: matcher.Float32, Length: length, Metric: matcher.Cosine})
		for kind := range 4 * 4 {
			a, b := floats32(rng, length, kind/4), floats32(rng, length, kind%4)
			exact, dot, aa, bb := exactFloat(), exactFloat(), exactFloat(), exactFloat()
			for i := range a {
				x, y := exactFloat().SetFloat64(float64(a[i])), exactFloat().SetFloat64(float64(b[i]))
				d := exactFloat().Sub(x, y)
				exact.Add(exact, exactFloat().Mul(d, d))
				dot.Add(dot, exactFloat().Mul(x, y))
				aa.Add(aa, exactFloat().Mul(x, x))
				bb.Add(bb, exactFloat().Mul(y, y))
			}
			// The sum has one term for each dimension. Each term has three roundings of 2^-53.
			errorMax := float64(length+2) * 0x1p-53
			got, want := l2.Distance(packed(a...), packed(b...)), float(exact)
			if math.Abs(got-want) > want*errorMax*1.01 {
				t.Errorf("l2, length %d, kind %d: %v, want %v", length, kind, got, want)
			}
			cosine := exactFloat().Quo(dot, exactFloat().Sqrt(exactFloat().Mul(aa, bb)))
			want = float(exactFloat().Sub(big.NewFloat(2), exactFloat().Add(cosine, cosine)))
			got = cos.Distance(packed(a...), packed(b...))
			if math.Abs(got-want) > 4*errorMax+0x1p-50 {
				t.Errorf("cosine, length %d, kind %d: %v, want %v", length, kind, got, want)
			}
			opposite := make([]float32, length)
			for i, x := range a {
				opposite[i] = -x
			}
			if got := cos.Distance(packed(a...), packed(opposite...)); got > cos.DistanceMax() {
				t.Errorf("cosine, length %d, kind %d: the distance to the opposite vector is %v, above DistanceMax, %v", length, kind, got, cos.DistanceMax())
			}
			if got < 0 || math.Signbit(got) {
				t.Errorf("cosine, length %d, kind %d: %v is below 0", length, kind, got)
			}
		}
	}
}

func exactFloat() *big.Float { return new(big.Float).SetPrec(2000) }

func float(x *big.Float) float64 {
	f, _ := x.Float64()
	return f
}

// TestFloat32DistanceOrder pins that terms are added in the order of dimensions
// and that products are rounded before they are added. With any other method,
// the last digit differs here.
func TestFloat32DistanceOrder(t *testing.T) {
	l2 := version(t, matcher.Version{Encoding: matcher.Float32, Length: 3, Metric: matcher.L2})
	zero := packed(0, 0, 0)
	if d := l2.Distance(packed(1<<27, 1, 1), zero); d != 1<<54 { // 1 is half the last digit of 2^54, so each 1 is lost
		t.Errorf("%v, want 2^54", d)
	}
	if d := l2.Distance(packed(1, 1, 1<<27), zero); d != 1<<54 {
		t.Errorf("%v, want 2^54", d)
	}
	if d := l2.Distance(packed(2, 2, 1<<27), zero); d != 1<<54+8 {
		t.Errorf("%v, want 2^54+8", d)
	}
	if d := l2.Distance(packed(1<<27, 2, 2), zero); d != 1<<54+8 {
		t.Errorf("%v, want 2^54+8", d)
	}
	if d := l2.Distance(packed(1<<27, 1.25, 1.25), zero); d != 1<<54 { // each 1.5625 is lost; their sum would not be
		t.Errorf("%v, want 2^54", d)
	}
	if d := l2.Distance(packed(1.25, 1.25, 1<<27), zero); d != 1<<54+4 {
		t.Errorf("%v, want 2^54+4", d)
	}
}

// TestDistanceToItselfAndSymmetry: the distance of a descriptor to itself is 0, under
// cosine apart from rounding, and distances are symmetric.
func TestDistanceToItselfAndSymmetry(t *testing.T) {
	rng := rand.New(rand.NewPCG(5, 6))
	for _, v := range []matcher.Version{
		{Length: 100, Scale: 128},
		{Length: 100, Encoding: matcher.Float32},
		{Length: 100, Encoding: matcher.Float32, Metric: matcher.Cosine},
	} {
		v := version(t, v)
		for kind := range 4 {
			a, b := packed(floats32(rng, 100, kind)...)[:v.Size()], packed(floats32(rng, 100, 0)...)[:v.Size()]
			if d := v.Distance(a, a); d > 1e-14 || v.Metric == matcher.L2 && d != 0 {
				t.Errorf("%v %v: the distance to itself is %v", v.Encoding, v.Metric, d)
			}
			if v.Distance(a, b) != v.Distance(b, a) {
				t.Errorf("%v %v: the distance is not symmetric", v.Encoding, v.Metric)
			}
		}
	}
}

func ExampleVersion_Distance() {
	registry, err := matcher.NewRegistry(nil)
	if err != nil {
		panic(err)
	}
	v := registry.Version(59) // 512 bytes, scale 128
	a, b := make([]byte, v.Size()), make([]byte, v.Size())
	b[0], b[1] = 128, 64
	d := v.Distance(a, b)
	fmt.Println(d)
	fmt.Printf("%.4f\n", v.SimilarityOf(d))
	// Output:
	// 1.25
	// 0.1192
}
