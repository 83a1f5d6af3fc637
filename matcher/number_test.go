package matcher_test

import (
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"strconv"
	"testing"

	"nearside/matcher"
)

// TestNumbersCompareExactly compares with math/big.
func TestNumbersCompareExactly(t *testing.T) {
	texts := []string{
		"0", "-0", "-0.0", "0.5", "-1.5e300", "9007199254740992", "9007199254740993", "9007199254740994.0", "9007199254740995",
		"-9007199254740993", "-9223372036854775808", "-9223372036854775807", "9223372036854775807", "9223372036854775808",
		"18446744073709551615", "18446744073709551614", "18446744073709549568", "18446744073709549567", "18446744073709550592",
		"1.8446744073709552e19", "1e19", "1867095692340801536", "1867095692340801537", "1.867095692340801536e18",
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		bits := r.Uint64() >> r.IntN(64)
		texts = append(texts, strconv.FormatUint(bits, 10), strconv.FormatInt(int64(bits), 10), strconv.FormatFloat(float64(bits), 'g', -1, 64))
	}
	exact := func(text string) *big.Float {
		if i, ok := new(big.Int).SetString(text, 10); ok {
			return new(big.Float).SetPrec(200).SetInt(i)
		}
		f, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		return new(big.Float).SetPrec(200).SetFloat64(f)
	}
	for _, a := range texts {
		x, err := matcher.ParseNumber(a)
		if err != nil {
			t.Fatalf("%s: %v", a, err)
		}
		if got := exact(fmt.Sprint(x.Any())); got.Cmp(exact(a)) != 0 {
			t.Errorf("%s: Any returns %v", a, x.Any())
		}
		for _, b := range texts {
			y, _ := matcher.ParseNumber(b)
			if got, want := x.Compare(y), exact(a).Cmp(exact(b)); got != want {
				t.Fatalf("%s compared with %s: %d, want %d", a, b, got, want)
			}
			if x.Float == y.Float && x != y && !x.IsShared() {
				t.Fatalf("%s and %s have the same Float, but %s is not shared", a, b, a)
			}
		}
	}
	if x, err := matcher.ParseNumber("1e999"); err == nil || !math.IsInf(x.Float, 1) {
		t.Errorf("1e999: %v, %v", x, err)
	}
}
