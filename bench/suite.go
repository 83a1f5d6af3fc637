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

// sections are the parts of the suite, in the order in which they run. Only sections
// with bars run with -gates. A named section takes long and much disk space, so it runs
// only if -only names it.
var sections = []struct {
	name  string
	bars  bool
	named bool
	run   func(*suite) error
}{
	{"limits", false, false, (*suite).limitsSection},
	{"kernels", false, false, (*suite).kernelSection},
	{"engine", true, false, (*suite).engineSection},
	{"groups", true, false, (*suite).groupSection},
	{"events", true, false, (*suite).eventSection},
	{"lists", true, false, (*suite).listSection},
	{"scaling", false, false, (*suite).scalingSection},
	{"peers", true, false, (*suite).peerSection},
	{"lua", true, false, (*suite).luaSection},
	{"server", true, false, (*suite).serverSection},
	{"lua-import", true, false, (*suite).luaImportSection},
	{"lua-redis", true, false, (*suite).luaRedisSection},
	{"beside", true, false, (*suite).besideSection},
	{"audit", true, false, (*suite).auditSection},
	{"large", true, true, (*suite).largeSection},
}

func sectionNames() []string {
	var names []string
	for _, s := range sections {
		names = append(names, s.name)
	}
	return names
}

// suite holds what the sections share, and their results.
type suite struct {
	*options
	ctx         context.Context
	dir         string // temporary folder, for gigabytes of files
	registry    *matcher.Registry
	region      []byte // memory that the stream probe reads
	start       time.Time
	loadAverage string // of the machine, before the suite started
	class       string // of the machine

	datasets []*dataset

	measured     map[string]gate.Measurement
	limitFigures []limitFigure
	figures      []figure
	events       []eventFigure
	comparisons  []comparison
	runs         []loadFigure
	service      []serviceFigure
	peerNotes    []string // the peers with their versions, or the reasons why they are absent
}

// limitFigure holds the highest speeds of a kernel's instructions and of the memory.
type limitFigure struct {
	Kernel   string  `json:"kernel"`
	Threads  int     `json:"threads"`
	StreamGB float64 `json:"stream_gb_per_second"`
	U8       float64 `json:"uint8_giga_products_per_second"`
	F32      float64 `json:"float32_giga_products_per_second"`
}

// figure is one measurement of scanning.
type figure struct {
	Section  string       `json:"section"`
	Data     string       `json:"data"`
	What     string       `json:"what"`
	Kernel   string       `json:"kernel"`
	Workers  int          `json:"workers"`
	Encoding string       `json:"encoding"`
	Dim      int          `json:"dim"`
	Rows     int          `json:"rows"`    // rows of the set
	Compared int          `json:"scanned"` // rows that pass the filter
	Queries  int          `json:"queries"`
	Limit    int          `json:"limit"`
	Seconds  float64      `json:"seconds"`  // median time of a call
	OfLimit  stat.Summary `json:"of_limit"` // time at the machine's limit / measured time
}

// pairsPerSecond returns the number of pairs of a query and a row compared per second.
func (f *figure) pairsPerSecond() float64 {
	return float64(f.Compared) * float64(f.Queries) / f.Seconds
}

// loadFigure is the result of a run of the load generator.
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
	m := describeMachine()
	s := &suite{options: o, ctx: ctx, dir: dir, registry: registry, start: time.Now(), loadAverage: m.Load, class: m.class(), measured: map[string]gate.Measurement{}}
	s.logf("machine class: %s", s.class)
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

// logf prints a progress message.
func (s *suite) logf(format string, args ...any) {
	fmt.Fprintf(os.Stderr, format+"\n", args...)
}

// addFigure adds a figure to the report and prints it.
func (s *suite) addFigure(f figure) {
	s.figures = append(s.figures, f)
	s.logf("   %-44s %-7s %d worker(s) %8.3f ms  %8.1f M pairs/s  %.2f of the limit",
		f.What, f.Kernel, f.Workers, f.Seconds*1e3, f.pairsPerSecond()/1e6, f.OfLimit.Median)
}

// recordBar records the measured ratio of a bar.
func (s *suite) recordBar(id string, r stat.Summary, note string) {
	s.measured[id] = gate.Measurement{Value: r.Median, Low: r.Low, High: r.High, Note: note}
}

// skipBars records the reason why bars were not measured. It ignores bars that were
// measured.
func (s *suite) skipBars(reason string, ids ...string) {
	for _, id := range ids {
		if _, ok := s.measured[id]; !ok {
			s.measured[id] = gate.Measurement{Skipped: reason}
		}
	}
}

// machineWorkers returns the numbers of workers to measure: one, and one per core.
func machineWorkers() []int {
	return slices.Compact([]int{1, runtime.GOMAXPROCS(0)})
}
