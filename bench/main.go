package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"nearside/bench/gate"
)

// options are the options of the command line.
type options struct {
	gates  bool
	table  bool
	short  bool
	only   string
	binary string
	peers  string // folder of the peers' programs
	out    string
	known  string
	temp   string
	size   size
}

// size is the size of the measurements.
type size struct {
	rows         int           // rows of the main set
	peerRows     int           // rows of the sets that peers search, too
	listRows     int           // rows of the set with many lists of 100
	largeRows    int           // rows of the section large
	probeMiB     int           // size of the region of the stream probe
	rounds       int           // rounds for a bar
	figureRounds int           // rounds for other figures
	slowRounds   int           // minimum number of rounds for very slow peers
	duration     time.Duration // duration of a load run
}

// fullSize has a main set of 512 MiB. The main set of shortSize has 64 MiB, and a
// cache may hold a part of it, so the stream probe reads as many bytes as the set has.
var (
	fullSize  = size{rows: 1 << 20, peerRows: 1 << 18, listRows: 10_000_000, largeRows: 10_000_000, probeMiB: 512, rounds: 9, figureRounds: 5, slowRounds: 5, duration: 3 * time.Second}
	shortSize = size{rows: 1 << 17, peerRows: 1 << 15, listRows: 1_000_000, largeRows: 1_000_000, probeMiB: 64, rounds: 3, figureRounds: 3, slowRounds: 1, duration: 500 * time.Millisecond}
)

func main() {
	var o options
	flag.BoolVar(&o.gates, "gates", false, "measure only the bars; exit code 1 if one is missed")
	flag.BoolVar(&o.table, "table", false, "measure nothing; write the table of all machine classes")
	flag.BoolVar(&o.short, "short", false, "use fewer rows and rounds")
	flag.StringVar(&o.only, "only", "", "sections to run, separated by commas: "+strings.Join(sectionNames(), ","))
	flag.StringVar(&o.binary, "bin", "bin/nearside", "path of the server's program")
	flag.StringVar(&o.peers, "peers", "bin/peers", "folder of the peers' programs")
	flag.StringVar(&o.out, "out", "bench/results", "folder for the results")
	flag.StringVar(&o.known, "known", "bench/known-misses.md", "file with the known misses")
	flag.StringVar(&o.temp, "temp", "", "folder for gigabytes of temporary files (default: the system's)")
	rows := flag.Int("rows", 0, "rows of the main set; 0 means 1,048,576, or 131,072 with -short")
	large := flag.Int("large-rows", 0, "rows of the section large; 0 means 10,000,000, or 1,000,000 with -short")
	flag.Parse()
	o.size = fullSize
	if o.short {
		o.size = shortSize
	}
	if *rows > 0 {
		o.size.rows = *rows
		o.size.peerRows = max(1024, *rows/4)
	}
	if *large > 0 {
		o.size.largeRows = *large
	}
	if o.table {
		if err := o.writeRatios(); err != nil {
			fmt.Fprintf(os.Stderr, "bench: %v\n", err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := run(ctx, &o)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	if o.gates && missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d bars were missed\n", missed)
		os.Exit(1)
	}
}

// run runs the sections, writes the report and returns the number of missed bars.
func run(ctx context.Context, o *options) (missed int, err error) {
	for name := range strings.SplitSeq(o.only, ",") {
		if name != "" && !slices.Contains(sectionNames(), name) {
			return 0, fmt.Errorf("-only: no section %q, must be one of %s", name, strings.Join(sectionNames(), ", "))
		}
	}
	known, err := readKnown(o.known)
	if err != nil {
		return 0, err
	}
	s, err := newSuite(ctx, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	for _, section := range sections {
		named := slices.Contains(strings.Split(o.only, ","), section.name)
		if (o.only != "" || section.named) && !named || o.gates && !section.bars {
			continue
		}
		start := time.Now()
		s.logf("== %s", section.name)
		if err := section.run(s); err != nil {
			return 0, fmt.Errorf("%s: %w", section.name, err)
		}
		s.logf("   %s took %v", section.name, time.Since(start).Round(time.Second))
	}
	bars := gate.Bars
	if o.only == "" {
		s.skipBars("run make bench-large", largeBars...)
	} else { // bars of other sections do not count
		bars = slices.DeleteFunc(slices.Clone(bars), func(b gate.Bar) bool { _, ok := s.measured[b.ID]; return !ok })
	}
	verdicts := gate.Judge(bars, s.measured, known, s.class)
	if !o.gates {
		if err := s.writeReport(verdicts); err != nil {
			return 0, err
		}
		if !s.short && s.only == "" {
			if err := s.writeRatios(); err != nil {
				return 0, err
			}
		}
	}
	if s.size.rows < fullSize.rows || s.short {
		s.logf("The bars require %d rows and %d rounds; this run used %d and %d.", fullSize.rows, fullSize.rounds, s.size.rows, s.size.rounds)
	}
	return gate.Missed(verdicts), gate.WriteTable(os.Stdout, verdicts)
}

func readKnown(path string) (map[string]gate.Known, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // only read
	return gate.ParseKnown(f, gate.Bars)
}
