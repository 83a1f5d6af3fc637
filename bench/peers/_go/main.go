// Command go measures Go libraries and a plain Go loop as peers. It computes the top 10 of 1
// to 64 queries by exhaustive search in float32 rows. README.md describes its protocol.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"time"
	"unsafe"

	"github.com/viterin/vek/vek32"
	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/gonum"
)

const k = 10 // rows in a result

// peer is one way to compute the nearest rows.
type peer struct {
	name, module string
	// scan computes the dot products of each query with rows lo to hi-1 and offers them
	// to the query's top.
	scan func(s *set, tops []top, lo, hi int)
}

type set struct {
	rows, queries []float32
	dim           int
}

func (s *set) row(i int) []float32   { return s.rows[i*s.dim : (i+1)*s.dim] }
func (s *set) query(i int) []float32 { return s.queries[i*s.dim : (i+1)*s.dim] }

var peers = []peer{
	{"vek32 dot per row", "github.com/viterin/vek", perRow(vek32.Dot)},
	{"gonum sdot per row", "gonum.org/v1/gonum", perRow(func(a, b []float32) float32 {
		return gonum.Implementation{}.Sdot(len(a), a, 1, b, 1)
	})},
	{"gonum sgemm", "gonum.org/v1/gonum", sgemm},
	{"plain Go loop", "", perRow(dot)},
}

func dot(a, b []float32) float32 {
	var sum float32
	for i, x := range a {
		sum += x * b[i]
	}
	return sum
}

func perRow(product func(a, b []float32) float32) func(*set, []top, int, int) {
	return func(s *set, tops []top, lo, hi int) {
		for i := lo; i < hi; i++ {
			row := s.row(i)
			for q := range tops {
				tops[q].offer(product(s.query(q), row), i)
			}
		}
	}
}

func sgemm(s *set, tops []top, lo, hi int) {
	const block = 1024
	products := make([]float32, len(tops)*block)
	for i := lo; i < hi; i += block {
		m := min(block, hi-i)
		gonum.Implementation{}.Sgemm(blas.NoTrans, blas.Trans, len(tops), m, s.dim, 1, s.queries, s.dim, s.rows[i*s.dim:], s.dim, 0, products, m)
		for q := range tops {
			for j, p := range products[q*m : (q+1)*m] {
				tops[q].offer(p, i+j)
			}
		}
	}
}

// top holds the rows with the largest products, best first.
type top []hit

type hit struct {
	product float32
	row     int
}

func (t *top) offer(product float32, row int) {
	if len(*t) == k && product <= (*t)[k-1].product {
		return
	}
	at, _ := slices.BinarySearchFunc(*t, product, func(h hit, p float32) int {
		if h.product >= p {
			return -1
		}
		return 1
	})
	if len(*t) == k {
		*t = (*t)[:k-1]
	}
	*t = slices.Insert(*t, at, hit{product, row})
}

// search searches with all queries and returns the rows of the first query.
func (p *peer) search(s *set, queries, threads int) []int {
	rows := len(s.rows) / s.dim
	tops := make([][]top, threads)
	var all sync.WaitGroup
	for t := range tops {
		tops[t] = make([]top, queries)
		all.Go(func() { p.scan(s, tops[t], rows*t/threads, rows*(t+1)/threads) })
	}
	all.Wait()
	for _, other := range tops[1:] {
		for q := range other {
			for _, h := range other[q] {
				tops[0][q].offer(h.product, h.row)
			}
		}
	}
	var ids []int
	for _, h := range tops[0][0] {
		ids = append(ids, h.row)
	}
	return ids
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintf(os.Stderr, "go: %v\n", err)
		os.Exit(1)
	}
}

func run() error {
	if len(os.Args) != 7 || os.Args[3] != "float32" {
		return fmt.Errorf("usage: go ROWS QUERIES float32 DIM NROWS NQUERIES")
	}
	numbers := make([]int, 3)
	for i := range numbers {
		var err error
		if numbers[i], err = strconv.Atoi(os.Args[4+i]); err != nil {
			return err
		}
	}
	s := &set{dim: numbers[0]}
	var err error
	if s.rows, err = read(os.Args[1], numbers[0]*numbers[1]); err != nil {
		return err
	}
	if s.queries, err = read(os.Args[2], numbers[0]*numbers[2]); err != nil {
		return err
	}
	versions := map[string]string{}
	if info, ok := debug.ReadBuildInfo(); ok {
		versions[""] = info.GoVersion
		for _, m := range info.Deps {
			versions[m.Path] = m.Version
		}
	}
	out := json.NewEncoder(os.Stdout)
	for _, p := range peers {
		if err := out.Encode(map[string]any{"peer": p.name, "version": versions[p.module]}); err != nil {
			return err
		}
	}
	if err := out.Encode(map[string]any{"ready": true}); err != nil {
		return err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		var index, queries, threads int
		if _, err := fmt.Sscan(lines.Text(), &index, &queries, &threads); err != nil {
			return err
		}
		if index < 0 || index >= len(peers) || queries < 1 || queries > numbers[2] || threads < 1 {
			return fmt.Errorf("%q: peer must be 0 to %d, queries 1 to %d, threads at least 1", lines.Text(), len(peers)-1, numbers[2])
		}
		start := time.Now()
		rows := peers[index].search(s, queries, threads)
		took := time.Since(start)
		if err := out.Encode(map[string]any{"seconds": took.Seconds(), "rows": rows}); err != nil {
			return err
		}
	}
	return nil
}

func read(path string, n int) ([]float32, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	if len(b) < 4*n {
		return nil, fmt.Errorf("%s: the file needs %d bytes, got %d", path, 4*n, len(b))
	}
	return unsafe.Slice((*float32)(unsafe.Pointer(unsafe.SliceData(b))), n), nil
}
