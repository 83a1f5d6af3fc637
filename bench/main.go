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

// options are the command line.
type options struct {
	gates  bool
	short  bool
	only   string
	binary string
	peers  string // folder of their programs
	out    string
	known  string
	temp   string
	size   size
}

// size is how much is measured.
type size struct {
	rows       int           // of the main set
	peerRows   int           // of the sets that peers search too
	probeMiB   int           // region of the stream probe
	rounds     int           // for a bar
	tryRounds  int           // for other figures
	slowRounds int           // of peers that are very slow
	duration   time.Duration // of a load run
}

// fullSize makes the main set 512 MiB. That of shortSize is 64 MiB, of which a
// cache may hold a part; the probe therefore reads as much as the set has.
var (
	fullSize  = size{rows: 1 << 20, peerRows: 1 << 18, probeMiB: 512, rounds: 9, tryRounds: 5, slowRounds: 5, duration: 3 * time.Second}
	shortSize = size{rows: 1 << 17, peerRows: 1 << 15, probeMiB: 64, rounds: 3, tryRounds: 3, slowRounds: 1, duration: 500 * time.Millisecond}
)

func main() {
	var o options
	flag.BoolVar(&o.gates, "gates", false, "only what the bars need; exit code 1 when one is missed")
	flag.BoolVar(&o.short, "short", false, "fewer rows and rounds")
	flag.StringVar(&o.only, "only", "", "sections to run, with commas between: "+strings.Join(sectionNames(), ","))
	flag.StringVar(&o.binary, "bin", "bin/nearside", "program of the server")
	flag.StringVar(&o.peers, "peers", "bin/peers", "folder of the peers' programs")
	flag.StringVar(&o.out, "out", "bench/results", "folder of the results")
	flag.StringVar(&o.known, "known", "bench/known-misses.md", "file of the known misses")
	flag.StringVar(&o.temp, "temp", "", "folder for gigabytes of temporary files (default: the system's)")
	rows := flag.Int("rows", 0, "rows of the main set, in place of 1,048,576, or of 131,072 with -short")
	flag.Parse()
	o.size = fullSize
	if o.short {
		o.size = shortSize
	}
	if *rows > 0 {
		o.size.rows = *rows
		o.size.peerRows = max(1024, *rows/4)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	missed, err := run(ctx, &o)
	stop()
	if err != nil {
		fmt.Fprintf(os.Stderr, "bench: %v\n", err)
		os.Exit(1)
	}
	if o.gates && missed > 0 {
		fmt.Fprintf(os.Stderr, "bench: %d bars are missed\n", missed)
		os.Exit(1)
	}
}

// run measures and writes, and returns how many bars are missed.
func run(ctx context.Context, o *options) (missed int, err error) {
	for name := range strings.SplitSeq(o.only, ",") {
		if name != "" && !slices.Contains(sectionNames(), name) {
			return 0, fmt.Errorf("-only: there is no section %q", name)
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
		if o.only != "" && !slices.Contains(strings.Split(o.only, ","), section.name) || o.gates && !section.bars {
			continue
		}
		start := time.Now()
		s.progress("== %s", section.name)
		if err := section.run(s); err != nil {
			return 0, fmt.Errorf("%s: %w", section.name, err)
		}
		s.progress("   %s took %v", section.name, time.Since(start).Round(time.Second))
	}
	bars := gate.Bars
	if o.only != "" { // the others were not asked for
		bars = slices.DeleteFunc(slices.Clone(bars), func(b gate.Bar) bool { _, ok := s.measured[b.ID]; return !ok })
	}
	verdicts := gate.Judge(bars, s.measured, known)
	if !o.gates {
		if err := s.write(verdicts); err != nil {
			return 0, err
		}
	}
	if s.size.rows < fullSize.rows || s.short {
		s.progress("The bars ask for %d rows and %d rounds; these are %d and %d.", fullSize.rows, fullSize.rounds, s.size.rows, s.size.rounds)
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
