package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"nearside/bench/gate"
	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/matcher"
)

// sections are the parts of the suite, in their order. Those with bars also
// run for the gate.
var sections = []struct {
	name string
	bars bool
	run  func(*suite) error
}{
	{"limits", false, (*suite).limitsSection},
	{"kernels", false, (*suite).kernelSection},
	{"engine", true, (*suite).engineSection},
	{"events", true, (*suite).eventSection},
	{"scaling", false, (*suite).scalingSection},
	{"peers", true, (*suite).peerSection},
	{"lua", true, (*suite).luaSection},
	{"server", true, (*suite).serverSection},
	{"beside", true, (*suite).besideSection},
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// suite is what the sections share, and what they found.
type suite struct {
	*options
	ctx      context.Context
	dir      string // temporary, for gigabytes
	registry *matcher.Registry
	region   []byte // of the stream probe
	start    time.Time
	load     string // of the machine, before the suite

	datasets []*dataset

	measured     map[string]gate.Measurement
	limitFigures []limitFigure
	figures      []figure
	events       []eventFigure
	comparisons  []comparison
	runs         []loadFigure
	service      []serviceFigure
	found        []string // peers and their versions, or why they are absent
}

// limitFigure is what a kernel's instructions and the memory can do at most.
type limitFigure struct {
	Kernel   string  `json:"kernel"`
	Threads  int     `json:"threads"`
	StreamGB float64 `json:"stream_gb_per_second"`
	U8       float64 `json:"uint8_giga_products_per_second"`
	F32      float64 `json:"float32_giga_products_per_second"`
}

// figure is one measurement of scanning.
type figure struct {
	Section  string     `json:"section"`
	Data     string     `json:"data"`
	What     string     `json:"what"`
	Kernel   string     `json:"kernel"`
	Workers  int        `json:"workers"`
	Encoding string     `json:"encoding"`
	Dim      int        `json:"dim"`
	Rows     int        `json:"rows"`    // of the set
	Compared int        `json:"scanned"` // rows that pass the filter
	Queries  int        `json:"queries"`
	Limit    int        `json:"limit"`
	Seconds  float64    `json:"seconds"`  // median, of a call
	OfLimit  stat.Ratio `json:"of_limit"` // time at the machine's limit / time taken
}

// pairsPerSecond is how many queries are compared with rows in a second.
func (f *figure) pairsPerSecond() float64 {
	return float64(f.Compared) * float64(f.Queries) / f.Seconds
}

// loadFigure is a run of the load generator.
type loadFigure struct {
	Format string `json:"format"`
	Batch  int    `json:"batch"`
	Rows   int    `json:"rows"`
	load.Summary
}

func newSuite(ctx context.Context, o *options) (*suite, error) {
	registry, err := matcher.NewRegistry(versions)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(o.temp, "nearside-bench-")
	if err != nil {
		return nil, err
	}
	s := &suite{options: o, ctx: ctx, dir: dir, registry: registry, start: time.Now(), load: describe().Load, measured: map[string]gate.Measurement{}}
	if s.region, err = mapRegion(o.size.probeMiB << 20); err != nil {
		return nil, errors.Join(err, os.RemoveAll(dir))
	}
	return s, nil
}

func (s *suite) close() error {
	err := unmap(s.region)
	for _, d := range s.datasets {
		err = errors.Join(err, d.close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}

// progress tells what goes on.
func (s *suite) progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// add keeps a figure and shows it.
func (s *suite) add(f figure) {
	s.figures = append(s.figures, f)
	s.progress("   %-44s %-7s %d worker(s) %8.3f ms  %8.1f M pairs/s  %.2f of the limit",
		f.What, f.Kernel, f.Workers, f.Seconds*1e3, f.pairsPerSecond()/1e6, f.OfLimit.Median)
}

// measure keeps the ratio of a bar.
func (s *suite) measure(id string, r stat.Ratio, note string) {
	s.measured[id] = gate.Measurement{Value: r.Median, Low: r.Low, High: r.High, Note: note}
}

// skip says why bars have no figure, unless they have one.
func (s *suite) skip(why string, ids ...string) {
	for _, id := range ids {
		if _, ok := s.measured[id]; !ok {
			s.measured[id] = gate.Measurement{Skipped: why}
		}
	}
}

// machineWorkers are the numbers of workers that are measured: one, and one per
// core.
func machineWorkers() []int {
	return slices.Compact([]int{1, runtime.GOMAXPROCS(0)})
}
