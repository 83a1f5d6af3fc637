package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"nearside/internal/vectors"
)

// siftVersion is the descriptor version of the SIFT rows in nearside.yaml. Its scale is 1,
// so distances are the integers of the ground truth.
const siftVersion = 1002

// sift holds a base, queries and the ground truth: the nearest rows of the base for each
// query.
type sift struct {
	list          string
	base, queries [][]byte
	truth         [][]int32
}

func readRows(file string) ([][]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	format, _ := vectors.FormatOf(file)
	r, err := vectors.NewReader(f, format)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	var rows [][]byte
	for {
		row := make([]byte, r.RowSize())
		if err := r.Next(row); errors.Is(err, io.EOF) {
			return rows, nil
		} else if err != nil {
			return nil, fmt.Errorf("%s: %w", file, err)
		}
		rows = append(rows, row)
	}
}

// newSift reads the sets and imports the base into a new list.
func newSift(s *service, data string) (set *sift, err error) {
	set = &sift{}
	base := filepath.Join(data, "sift-base.bvecs")
	if set.base, err = readRows(base); err != nil {
		return nil, err
	}
	if set.queries, err = readRows(filepath.Join(data, "sift-query.bvecs")); err != nil {
		return nil, err
	}
	truth, err := readRows(filepath.Join(data, "sift-groundtruth.ivecs"))
	if err != nil {
		return nil, err
	}
	for _, row := range truth {
		set.truth = append(set.truth, vectors.Int32s(row))
	}
	set.list, err = s.importFile(base, len(set.base), "--version", strconv.Itoa(siftVersion))
	return set, err
}

// rounds is the number of times that all queries are sent to measure the rate.
const rounds = 20

// check matches every query and compares the answers with the ground truth.
func (set *sift) check(s *service, show bool) error {
	references := make([]any, len(set.queries))
	for i, q := range set.queries {
		references[i] = map[string]any{"type": "raw_descriptor", "id": strconv.Itoa(i), "data": map[string]any{"version": siftVersion, "data": q}}
	}
	depth := len(set.truth[0])
	a, err := s.match(references, set.list, depth)
	if err != nil {
		return err
	}
	found := 0
	for i := range set.queries {
		found += set.countRight(a, i)
	}
	recall := float64(found) / float64(len(set.queries)*depth)
	if show {
		fmt.Printf("\nsift: recall@%d of %d queries in %d rows: %.3f by distance\n", depth, len(set.queries), len(set.base), recall)
		if err := set.printRates(s, references); err != nil {
			return err
		}
	}
	if recall != 1 {
		return fmt.Errorf("sift: recall must be 1, got %v", recall)
	}
	return nil
}

// countRight returns the number of rows in the answer to query i whose distance equals that
// of the ground truth. Rows of equal distance may have a different order.
func (set *sift) countRight(a answer, i int) int {
	n := 0
	for j, row := range a[i].Matches[0].Result {
		number, err := strconv.Atoi(row.Face.External)
		if err != nil || number < 0 || number >= len(set.base) {
			continue
		}
		if set.squaredDistance(i, set.truth[i][j]) == set.squaredDistance(i, int32(number)) && row.Distance == float64(set.squaredDistance(i, int32(number))) {
			n++
		}
	}
	return n
}

// squaredDistance returns the squared distance between a query and a row of the base.
func (set *sift) squaredDistance(query int, row int32) int {
	sum := 0
	for j, x := range set.queries[query] {
		d := int(x) - int(set.base[row][j])
		sum += d * d
	}
	return sum
}

// printRates prints the number of rows compared per second over HTTP, first with all
// queries in one request, then with one query per request.
func (set *sift) printRates(s *service, references []any) error {
	measure := func(name string, requests [][]any) error {
		start, rows, kernel := time.Now(), 0, ""
		for _, r := range requests {
			a, err := s.match(r, set.list, 10)
			if err != nil {
				return err
			}
			for _, item := range a {
				rows += item.Matches[0].Plan.Scanned
				kernel = item.Matches[0].Plan.Kernel
			}
		}
		took := time.Since(start)
		fmt.Printf("sift: %-24s %6.1f million rows compared per second, %v per request over HTTP, kernel %s\n",
			name, float64(rows)/took.Seconds()/1e6, (took / time.Duration(len(requests))).Round(10*time.Microsecond), kernel)
		return nil
	}
	var batches, singles [][]any
	for range rounds {
		batches = append(batches, references)
	}
	for i := range references {
		singles = append(singles, references[i:i+1])
	}
	if err := measure("100 queries per request:", batches); err != nil {
		return err
	}
	return measure("1 query per request:", singles)
}
