package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher/wire"
)

// auditRounds is the number of pairs of runs with and without an audit.
const auditRounds = 9

// auditSection compares a server that has an audit with one that has none. Each request has
// one reference in a list of 1,000. Both servers run all the time, but only one has requests.
func (s *suite) auditSection() error {
	if _, err := os.Stat(s.binary); err != nil {
		s.skipBars(s.binary+" was not built; run make build", "audit-match")
		return nil
	}
	d, err := s.dataset(synth.Uniform, u8x512, smallList)
	if err != nil {
		return err
	}
	key := filepath.Join(s.dir, "audit.key")
	if err := os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600); err != nil {
		return err
	}
	settings := fmt.Sprintf("audit: {file: %q, key_file: %q, keep: 1}\n", filepath.Join(s.dir, "audit.log"), key)
	var servers [2]*service
	var lists [2]string
	for i, more := range []string{"", settings} {
		v, err := s.startService(fmt.Sprintf("audit-%d", i), more)
		if err != nil {
			return err
		}
		defer v.Kill()
		if lists[i], _, err = v.importSet(d); err != nil {
			return err
		}
		servers[i] = v
	}
	if err := s.auditRuns(servers, d, lists); err != nil {
		return err
	}
	for _, v := range servers {
		if err := v.Stop(); err != nil {
			return err
		}
	}
	return nil
}

// auditRuns measures the throughput of 64 clients, alternating between the server without
// an audit, which is the first, and the one with it. It also measures the processor time of
// the servers, because other programs disturb it less than the throughput.
func (s *suite) auditRuns(servers [2]*service, d *dataset, lists [2]string) error {
	runs := len(s.runs)
	defer func() { s.runs = s.runs[:runs] }() // the report has only load runs without an audit
	var ratios []float64
	var rates, times [2][]float64
	for round := range auditRounds {
		for turn := range servers {
			i := (round + turn) % len(servers) // the order changes
			rate, micros, err := s.auditRun(servers[i], d, lists[i])
			if err != nil {
				return err
			}
			rates[i], times[i] = append(rates[i], rate), append(times[i], micros)
		}
		ratios = append(ratios, rates[1][round]/rates[0][round])
	}
	s.recordBar("audit-match", stat.Summarize(ratios), fmt.Sprintf("%.0f matches/s without, %.0f with an audit", stat.Median(rates[0]), stat.Median(rates[1])))
	for i, name := range []string{"without", "with"} {
		s.addServiceFigure("processor time of the server for a small match "+name+" an audit", stat.Median(times[i]), "us")
	}
	return nil
}

// auditRun returns the matches of a second and the processor time of each in microseconds.
func (s *suite) auditRun(v *service, d *dataset, list string) (rate, micros float64, err error) {
	before, err := v.ProcessorTime()
	if err != nil {
		return 0, 0, err
	}
	begin := time.Now()
	r, err := s.loadRun(v, d, wire.JSON, 1, list, smallList, load.Plan{Clients: 64})
	if err != nil {
		return 0, 0, err
	}
	took := time.Since(begin).Seconds() // with the warm-up, which has about the same rate
	after, err := v.ProcessorTime()
	return r.PerSecond, float64((after - before).Microseconds()) / (r.PerSecond * took), err
}
