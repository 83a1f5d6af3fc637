package vm

import (
	"context"
	"math"
	"math/big"
	"math/rand/v2"
	"runtime"
	"testing"
)

// TestIntegerCompare compares Compare, CompareFloat and ParseInteger with math/big.
func TestIntegerCompare(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	random := func() *big.Int {
		n := new(big.Int).Lsh(big.NewInt(r.Int64()-1<<62), uint(r.IntN(3)*r.IntN(40)))
		return n.Rsh(n, uint(r.IntN(70)))
	}
	for range 20000 {
		a, b := random(), random()
		if r.IntN(4) == 0 {
			b.Add(a, big.NewInt(int64(r.IntN(3)-1)))
		}
		x, okX := ParseInteger(a.String())
		y, okY := ParseInteger(b.String())
		if !okX || !okY || x.Compare(y) != a.Cmp(b) {
			t.Fatalf("Compare of %s and %s: %d, want %d", a, b, x.Compare(y), a.Cmp(b))
		}
		f := r.NormFloat64() * math.Pow(2, float64(r.IntN(130)-20))
		if r.IntN(2) == 0 {
			f, _ = new(big.Float).SetInt(a).Float64()
		}
		exact := new(big.Float).SetPrec(4096).SetInt(a)
		if got, ok := x.CompareFloat(f); !ok || got != exact.Cmp(big.NewFloat(f)) {
			t.Fatalf("CompareFloat of %s and %v: %d, %t", a, f, got, ok)
		}
	}
	for _, f := range []float64{math.Inf(1), math.Inf(-1)} {
		if got, ok := Integer("1").CompareFloat(f); !ok || float64(got)*f > 0 {
			t.Errorf("CompareFloat of 1 and %v: %d, %t", f, got, ok)
		}
	}
	if _, ok := Integer("1").CompareFloat(math.NaN()); ok {
		t.Error("CompareFloat accepted NaN")
	}
	for text, want := range map[string]Integer{"007": "7", "-0": "0", "+5": "5", "-12": "-12", "": "", "-": "", "1.0": "", " 1": "", "0x1": "", "--1": ""} { //nolint:gocritic // a text with a space is a case
		if got, ok := ParseInteger(text); got != want || ok != (want != "") {
			t.Errorf("ParseInteger(%q): %q, %t; want %q", text, got, ok, want)
		}
	}
}

// TestBoxedIntegers checks the operations of scripts on boxed integers.
func TestBoxedIntegers(t *testing.T) {
	s := newState(t)
	const a, b = Integer("9007199254740993"), Integer("-123456789012345678901234567890")
	f := func(body string, want any, args ...any) {
		t.Helper()
		got, err := s.Call(context.Background(), generous, loadFunction(t, s, "return function(a, b, c) "+body+" end"), args...)
		if err != nil || got[0] != want {
			t.Errorf("%s: %#v, %v; want %#v", body, got, err, want)
		}
	}
	f("return tostring(a)", string(a), a)
	f("return 'x' .. a .. 1 .. b", "x"+string(a)+"1"+string(b), a, b)
	f("return string.format('%s', b)", string(b), a, b)
	f("return type(a)", "userdata", a)
	f("return b < a and b <= a and a > b and a >= a and not (a < b) and a ~= b and a == c", true, a, b, a)
	f("local t = {[a] = 1} return t[c]", 1.0, a, b, a)
	f("return rawequal(a, c)", true, a, b, a)
	f("return a == 9007199254740992", false, a)
	f("return select(2, pcall(function() return a + 1 end)):match('arithmetic on an int64') ~= nil", true, a)
	f("return select(2, pcall(function() return a < 1 end)):match('attempt to compare') ~= nil", true, a)
	f("return select(2, pcall(function() return a.x end)):match('no fields') ~= nil", true, a)
	f("return select(2, pcall(function() a.x = 1 end)):match('read%-only') ~= nil", true, a)
	f("return select(2, pcall(function() return a .. {} end)):match('concatenate a table') ~= nil", true, a)
}

// TestUnreferencedBoxesAreFreed checks that a state frees boxed integers without
// references.
func TestUnreferencedBoxesAreFreed(t *testing.T) {
	s := newState(t)
	keep := loadFunction(t, s, "local kept = {} return function(v, key) if key then kept[v] = key end return kept[v] end")
	for n := range 3 * minSweep {
		key := any(nil)
		if n == 0 {
			key = "first"
		}
		if _, err := s.Call(context.Background(), generous, keep, int64(1<<60+n), key); err != nil {
			t.Fatal(err)
		}
		if n%64 == 0 {
			runtime.GC()
		}
	}
	if n := len(s.integers.boxes); n > 2*minSweep {
		t.Errorf("the state keeps %d boxes, want at most %d", n, 2*minSweep)
	}
	got, err := s.Call(context.Background(), generous, keep, int64(1<<60))
	if err != nil || got[0] != "first" {
		t.Errorf("the value of a boxed key: %v, %v; want first", got, err)
	}
}
