package vm

import (
	"math"
	"testing"
)

// TestFormatNaN checks infinities and NaN of both signs. It does not compute 0/0,
// because the sign of 0/0 depends on the processor.
func TestFormatNaN(t *testing.T) {
	negative, positive := math.Copysign(math.NaN(), -1), math.Copysign(math.NaN(), 1)
	for _, c := range []struct {
		spec string
		verb byte
		f    float64
		want string
	}{
		{".0", 'f', negative, "-nan"},
		{"6.1", 'f', negative, "  -nan"},
		{"-6", 'g', negative, "-nan  "},
		{"+", 'g', negative, "-nan"},
		{"+", 'g', positive, "+nan"},
		{"06", 'e', positive, "   nan"},
		{"", 'G', negative, "-NAN"},
		{"", 'g', math.Inf(-1), "-inf"},
		{" ", 'g', math.Inf(1), " inf"},
	} {
		if got := formatFloat(c.spec, c.verb, c.f); got != c.want {
			t.Errorf("%%%s%c of %v is %q, want %q", c.spec, c.verb, c.f, got, c.want)
		}
	}
}

// TestSignedNaN checks that NaN has the sign that lua5.1 prints on amd64.
func TestSignedNaN(t *testing.T) {
	negative, positive := math.Copysign(math.NaN(), -1), math.Copysign(math.NaN(), 1)
	for _, c := range []struct {
		result, sign float64
		operands     []float64
		want         string
	}{
		{positive, -1, []float64{1, 0}, "-nan"}, // such as fmod(1, 0)
		{positive, 1, []float64{-2}, "nan"},     // such as log10(-2)
		{positive, -1, []float64{positive, negative}, "nan"},
		{positive, -1, []float64{3, negative}, "-nan"},
		{negative, -1, []float64{3, positive}, "nan"},
		{1.5, -1, []float64{negative}, "1.5"},
	} {
		if got := numberText(signedNaN(c.result, c.sign, c.operands...)); got != c.want {
			t.Errorf("the result of %v is %s, want %s", c.operands, got, c.want)
		}
	}
}
