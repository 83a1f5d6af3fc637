package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"

	"golang.org/x/sys/unix"

	"nearside/bench/synth"
	"nearside/matcher"
)

// versions are the descriptor versions of the suite, in addition to the built-in
// version 59, which has 512 dimensions of uint8.
var versions = []matcher.Version{
	{Number: 9032, Length: 32, Scale: 128, Similarity: calibration},
	{Number: 9128, Length: 128, Scale: 128, Similarity: calibration},
	{Number: 9204, Length: 2048, Scale: 128, Similarity: calibration},
	{Number: 9301, Length: 512, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: calibration},
	{Number: 9302, Length: 512, Encoding: matcher.Float32, Metric: matcher.L2, Similarity: calibration},
	{Number: 9328, Length: 128, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: calibration},
	{Number: 9348, Length: 2048, Encoding: matcher.Float32, Metric: matcher.Cosine, Similarity: calibration},
}

var calibration = matcher.Calibration{Midpoint: 1, Steepness: 8}

// The numbers of the versions, by encoding or metric and by dimensions.
const (
	u8x32                               = 9032
	u8x128, u8x512, u8x2048             = 9128, 59, 9204
	cosinex128, cosinex512, cosinex2048 = 9328, 9301, 9348
	l2x512                              = 9302
)

// seed is the random seed of all data.
const seed = 20260501

// queriesMax is the number of queries of a dataset.
const queriesMax = 256

// dataset is a file of rows and one of queries, mapped into memory.
type dataset struct {
	kind          synth.Kind
	version       *matcher.Version
	n             int
	rows, queries []byte
	rowsPath      string
	queriesPath   string
	filters       []*filter
	set           *synth.Set

	mu        sync.Mutex
	distances map[int][]float64 // from a query to every row, as the oracle computed them
}

func (d *dataset) row(i int) []byte {
	size := d.version.Size()
	return d.rows[i*size : (i+1)*size : (i+1)*size]
}

func (d *dataset) query(i int) []byte {
	size := d.version.Size()
	return d.queries[i*size : (i+1)*size : (i+1)*size]
}

func (d *dataset) name() string { return d.kind.String() }

// dataset returns a set of n rows. It creates each set only once. The suite closes it.
func (s *suite) dataset(kind synth.Kind, version uint32, n int) (*dataset, error) {
	for _, d := range s.datasets {
		if d.kind == kind && d.version.Number == version && d.n == n {
			return d, nil
		}
	}
	v := s.registry.Version(version)
	base := filepath.Join(s.dir, fmt.Sprintf("%s-%d-%d", kind, version, n))
	d := &dataset{kind: kind, version: v, n: n, rowsPath: base + ".rows", queriesPath: base + ".queries", distances: map[int][]float64{}}
	s.logf("   generating %d rows of %d x %s, kind %s", n, v.Length, v.Encoding, kind)
	var err error
	if d.rows, err = mapFile(d.rowsPath, n*v.Size()); err != nil {
		return nil, err
	}
	s.datasets = append(s.datasets, d)
	if d.queries, err = mapFile(d.queriesPath, queriesMax*v.Size()); err != nil {
		return nil, err
	}
	set := synth.New(kind, seed, v, n)
	d.set = set
	var all sync.WaitGroup
	for part, parts := 0, runtime.GOMAXPROCS(0); part < parts; part++ {
		all.Go(func() {
			for i := n * part / parts; i < n*(part+1)/parts && s.ctx.Err() == nil; i++ {
				set.Row(d.row(i), i)
			}
		})
	}
	for i := range queriesMax {
		set.Query(d.query(i), i)
	}
	all.Wait()
	d.filters = filtersOf(n)
	return d, s.ctx.Err()
}

func (d *dataset) close() error {
	for _, b := range [][]byte{d.rows, d.queries} {
		if err := unmap(b); err != nil {
			return err
		}
	}
	return nil
}

// releaseDatasets frees the memory and the files of datasets that no later section
// needs.
func (s *suite) releaseDatasets(all ...*dataset) error {
	for _, d := range all {
		for i := range s.datasets {
			if s.datasets[i] == d {
				s.datasets = append(s.datasets[:i], s.datasets[i+1:]...)
				break
			}
		}
		if err := d.close(); err != nil {
			return err
		}
		for _, path := range []string{d.rowsPath, d.queriesPath} {
			if err := os.Remove(path); err != nil {
				return err
			}
		}
	}
	return nil
}

// mapFile creates a file of n bytes and maps it. Other processes that read the file see
// the content of the mapping.
func mapFile(path string, n int) ([]byte, error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // the mapping remains valid, and nothing is written through f
	if err := f.Truncate(int64(n)); err != nil {
		return nil, err
	}
	b, err := unix.Mmap(int(f.Fd()), 0, n, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return b, nil
}

// mix hashes a number to 64 bits (splitmix64).
func mix(x uint64) uint64 {
	x += 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// idOf returns the ID of row i. The order of the IDs differs from the order of the rows.
func idOf(i int) (id matcher.ID) {
	binary.BigEndian.PutUint64(id[:], mix(uint64(i)))
	binary.BigEndian.PutUint64(id[8:], mix(^uint64(i)))
	return id
}
