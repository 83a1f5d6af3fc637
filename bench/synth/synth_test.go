package synth

import (
	"bytes"
	"encoding/binary"
	"math"
	"slices"
	"testing"

	"nearside/matcher"
)

var (
	bytes512  = &matcher.Version{Number: 59, Encoding: matcher.Uint8, Length: 512, Scale: 128}
	floats512 = &matcher.Version{Number: 1, Encoding: matcher.Float32, Length: 512, Metric: matcher.Cosine}
	floats300 = &matcher.Version{Number: 2, Encoding: matcher.Float32, Length: 300, Metric: matcher.Cosine}
)

// cosines returns the cosines of all pairs of n rows, separately for pairs of the same
// person and of different persons, in ascending order.
func cosines(s *Set, n int) (same, different []float64) {
	rows := make([][]float64, n)
	for i := range rows {
		row := make([]byte, s.version.Size())
		s.Row(row, i)
		rows[i] = values(s.version, row)
	}
	for i := range rows {
		for j := range i {
			c := dot(rows[i], rows[j]) / math.Sqrt(dot(rows[i], rows[i])*dot(rows[j], rows[j]))
			if s.identity[i] == s.identity[j] {
				same = append(same, c)
			} else {
				different = append(different, c)
			}
		}
	}
	slices.Sort(same)
	slices.Sort(different)
	return same, different
}

func values(v *matcher.Version, row []byte) []float64 {
	x := make([]float64, v.Length)
	for i := range x {
		if v.Encoding == matcher.Float32 {
			x[i] = float64(math.Float32frombits(binary.LittleEndian.Uint32(row[4*i:])))
		} else {
			x[i] = float64(row[i]) - 128
		}
	}
	return x
}

func dot(a, b []float64) float64 {
	sum := 0.0
	for i := range a {
		sum += a[i] * b[i]
	}
	return sum
}

// TestFacesAreLikeFaces compares the distribution of cosines with that of real descriptors.
func TestFacesAreLikeFaces(t *testing.T) {
	for _, v := range []*matcher.Version{bytes512, floats512, floats300} {
		const n = 500
		same, different := cosines(New(Faces, 1, v, n), n)
		check := func(name string, sorted []float64, q, low, high float64) {
			t.Helper()
			if got := sorted[int(q*float64(len(sorted)-1))]; got < low || got > high {
				t.Errorf("version %d: %s: got %.3f, want %v to %v", v.Number, name, got, low, high)
			}
		}
		check("one face, p1", same, 0.01, 0.67, 0.75)
		check("one face, p50", same, 0.5, 0.86, 0.90)
		check("one face, p99", same, 0.99, 0.95, 0.985)
		check("different faces, p50", different, 0.5, 0.05, 0.13)
		check("different faces, p99", different, 0.99, 0.36, 0.64)
		check("different faces, maximum", different, 1, 0.5, 0.8)
	}
}

func TestRowsAreSeededAndDistinct(t *testing.T) {
	for _, kind := range []Kind{Uniform, Faces} {
		for _, v := range []*matcher.Version{bytes512, floats512} {
			s, again, other := New(kind, 7, v, 300), New(kind, 7, v, 300), New(kind, 8, v, 300)
			seen := map[string]bool{}
			a, b := make([]byte, v.Size()), make([]byte, v.Size())
			for i := range 300 {
				s.Row(a, i)
				again.Row(b, i)
				if !bytes.Equal(a, b) {
					t.Fatalf("%s: row %d differs between equal sets", kind, i)
				}
				if other.Row(b, i); bytes.Equal(a, b) {
					t.Fatalf("%s: row %d is the same under another seed", kind, i)
				}
				if err := v.CheckData(a); err != nil {
					t.Fatalf("%s: row %d: %v", kind, i, err)
				}
				seen[string(a)] = true
				s.Query(a, i)
				seen[string(a)] = true
			}
			if len(seen) != 600 {
				t.Errorf("%s: %d of 600 rows and queries are distinct, want all", kind, len(seen))
			}
		}
	}
}

func TestPersonsHaveOneToTenPictures(t *testing.T) {
	const n = 5000
	s := New(Faces, 3, bytes512, n)
	pictures := map[uint32]int{}
	apart := 0
	for i := range n {
		pictures[s.identity[i]]++
		if i > 0 && s.identity[i] != s.identity[i-1] {
			apart++
		}
	}
	counts := map[int]int{}
	for _, p := range pictures {
		counts[p]++
	}
	for p := 1; p <= picturesMax; p++ {
		if counts[p] < n/100 {
			t.Errorf("%d persons have %d pictures, want at least %d", counts[p], p, n/100)
		}
	}
	if len(counts) != picturesMax {
		t.Errorf("persons have %d different numbers of pictures, want %d", len(counts), picturesMax)
	}
	if apart < n*95/100 {
		t.Errorf("only %d of %d neighbours are of different persons", apart, n)
	}
}

func TestEvenQueriesAreOfPersonsInTheSet(t *testing.T) {
	const n = 400
	s := New(Faces, 5, floats512, n)
	row, query := make([]byte, floats512.Size()), make([]byte, floats512.Size())
	for i := range 40 {
		s.Query(query, i)
		best := -1.0
		for j := range n {
			s.Row(row, j)
			best = max(best, dot(values(floats512, query), values(floats512, row)))
		}
		if found := best > 0.6; found != (i%2 == 0) {
			t.Errorf("query %d: nearest row at cosine %.2f", i, best)
		}
	}
}

// TestUniformBytesAreUniform checks how often each value of a byte occurs.
func TestUniformBytesAreUniform(t *testing.T) {
	v := &matcher.Version{Encoding: matcher.Uint8, Length: 509, Scale: 1} // not a multiple of 8
	s := New(Uniform, 2, v, 0)
	counts := [256]int{}
	row := make([]byte, v.Length)
	last := map[byte]bool{} // values of the last dimension
	const n = 2000
	for i := range n {
		s.Row(row, i)
		for _, x := range row {
			counts[x]++
		}
		last[row[v.Length-1]] = true
	}
	mean := float64(n*v.Length) / 256
	for x, c := range counts {
		if d := math.Abs(float64(c) - mean); d > 6*math.Sqrt(mean) {
			t.Errorf("byte %d occurs %d times, want about %.0f", x, c, mean)
		}
	}
	if len(last) < 245 {
		t.Errorf("the last dimension has %d different values, want at least 245", len(last))
	}
}

func BenchmarkRow(b *testing.B) {
	for _, kind := range []Kind{Uniform, Faces} {
		b.Run(kind.String(), func(b *testing.B) {
			s := New(kind, 1, bytes512, 1000)
			row := make([]byte, bytes512.Size())
			for i := 0; b.Loop(); i++ {
				s.Row(row, i%1000)
			}
		})
	}
}
