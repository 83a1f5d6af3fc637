package needle_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"

	"nearside/internal/needle"
)

// bytesOf returns n random bytes.
func bytesOf(rng *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rng.Uint32())
	}
	return b
}

// interleave writes row i of a block of 16 rows.
func interleave(block, row []byte, i int) {
	for j := range row {
		block[j/4*64+4*i+j%4] = row[j]
	}
}

// TestRead plants needles of each layout at random places, also at both ends and across
// the pieces of a file, and compares the hits with the places.
func TestRead(t *testing.T) {
	const size = 5<<20 + 12345
	rng := rand.New(rand.NewPCG(1, 2))
	file := bytesOf(rng, size)
	set := needle.New()
	want := map[string]int{}
	taken := []int{}
	plant := func(tag uint32, part []byte, at int) {
		copy(file[at:], part)
		want[fmt.Sprint(tag, " ", at)]++
	}
	place := func(n int) int {
		for {
			at := 10000 + rng.IntN(size-n-20000)
			if !slices.ContainsFunc(taken, func(x int) bool { return x-40000 < at && at < x+40000 }) {
				taken = append(taken, at)
				return at
			}
		}
	}
	for tag := range uint32(60) {
		length := []int{16, 36, 128, 510, 512, 2048}[tag%6]
		row := bytesOf(rng, length)
		switch tag % 4 {
		case 0:
			set.Add(row, tag)
			plant(tag, row, place(length))
		case 1:
			set.AddInterleaved(row, tag)
			i, at := rng.IntN(16), place(40000)
			interleave(file[at:], row, i)
			if rest := length % 4; rest != 0 { // the padding
				clear(file[at+length/4*64+4*i+rest:][:4-rest])
			}
			want[fmt.Sprint(tag, " ", at+4*i)]++
		case 2:
			set.AddBase64(row, tag)
			before := bytesOf(rng, int(tag)/4%3)
			text := base64.StdEncoding.EncodeToString(slices.Concat(before, row, bytesOf(rng, 4)))
			at := place(len(text))
			copy(file[at:], text)
			want[fmt.Sprint(tag, " ", at+(len(before)+2)/3*4)]++
		case 3: // is not in the file
			set.Add(row, tag)
			plant(tag, row[:length-1], place(length))
			delete(want, fmt.Sprint(tag, " ", taken[len(taken)-1]))
		}
	}
	for i, at := range []int{0, size - 64, 1<<20 - 30, 1<<20 + 4000, 3 << 20} {
		row := bytesOf(rng, 64)
		set.Add(row, uint32(100+i))
		plant(uint32(100+i), row, at)
	}
	set.Prepare()
	got := map[string]int{}
	n, err := set.Read(t.Context(), iotest.HalfReader(bytes.NewReader(file)), nil, func(h needle.Hit) {
		got[fmt.Sprint(h.Tag, " ", h.Offset)]++
	})
	if err != nil || n != size {
		t.Fatal(n, err)
	}
	for at, count := range want {
		if got[at] != count {
			t.Errorf("needle and place %s: got %d hits, want %d", at, got[at], count)
		}
	}
	for at := range got {
		if want[at] == 0 {
			t.Errorf("needle and place %s: a wrong hit", at)
		}
	}
	in := map[string]int{}
	set.Search(file, func(h needle.Hit) { in[fmt.Sprint(h.Tag, " ", h.Offset)]++ })
	if len(in) != len(got) {
		t.Errorf("Search found %d places, Read %d", len(in), len(got))
	}
}

func TestSearchable(t *testing.T) {
	for _, c := range []struct {
		data []byte
		want bool
	}{
		{make([]byte, 512), false},
		{[]byte("0123456789abcde"), false},
		{[]byte("0123456789abcdef"), true},
		{bytes.Repeat([]byte{1, 2, 3}, 100), false},
	} {
		if got := needle.Searchable(c.data); got != c.want {
			t.Errorf("%.20x: got %v, want %v", c.data, got, c.want)
		}
	}
}

// BenchmarkRead searches 3,000 objects with descriptors of 512 bytes in 64 MiB.
func BenchmarkRead(b *testing.B) {
	rng := rand.New(rand.NewPCG(1, 2))
	file := bytesOf(rng, 64<<20)
	set := needle.New()
	for tag := range uint32(3000) {
		row := bytesOf(rng, 512)
		set.Add(row, tag)
		set.AddInterleaved(row, tag)
		set.AddBase64(row, tag)
	}
	set.Prepare()
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := set.Read(b.Context(), bytes.NewReader(file), nil, func(needle.Hit) { b.Error("a hit") }); err != nil {
			b.Fatal(err)
		}
	}
}
