package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"nearside/bench/gate"
	"nearside/bench/load"
	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/matcher/wire"
)

// serviceFigure is a figure of the whole server.
type serviceFigure struct {
	What  string  `json:"what"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
}

// smallList is the number of rows of the list for the measurements of latency.
const smallList = 1000

// serverSection measures a server process: import, memory, load and restart.
func (s *suite) serverSection() (err error) {
	if s.skipWithoutServer("http-64-peak", "amx-http-256", "http-64-1", "http-list-p50", "lua-event-throughput", "lua-prefilters", "proxy-list-p50", "proxy-64", "import", "import-http", "restart", "memory") {
		return nil
	}
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	other, err := s.dataset(synth.Uniform, u8x512, smallList)
	if err != nil {
		return err
	}
	if err := s.importByHTTP(d); err != nil {
		return err
	}
	v, err := s.startService("data", "simd: "+barKernel().Level()+"\n")
	if err != nil {
		return err
	}
	defer v.Kill()
	lists, err := s.importBoth(v, d, other)
	if err != nil {
		return err
	}
	if err := s.loadRuns(v, d, lists); err != nil {
		return err
	}
	if err := s.residentMemory(v, d.n+other.n); err != nil {
		return err
	}
	if err := s.amxLoad(v, d, lists[0]); err != nil {
		return err
	}
	if err := s.pluginLoads(v, d, lists); err != nil {
		return err
	}
	if err := s.proxyLoad(v, d, lists); err != nil {
		return err
	}
	return s.measureRestarts(v, d, lists[0])
}

// skipWithoutServer skips bars, and returns true, if the server's program was not built.
func (s *suite) skipWithoutServer(bars ...string) bool {
	_, err := os.Stat(s.binary)
	if err != nil {
		s.skipBars(s.binary+" was not built; run make build", bars...)
	}
	return err != nil
}

// addServiceFigure adds a figure of the server to the report and prints it.
func (s *suite) addServiceFigure(name string, value float64, unit string) {
	s.service = append(s.service, serviceFigure{name, value, unit})
	s.logf("   %s: %.4g %s", name, value, unit)
}

// importBoth imports the main set and a small one, each into a list.
func (s *suite) importBoth(v *service, sets ...*dataset) (ids []string, err error) {
	for i, d := range sets {
		list, seconds, err := v.importSet(d)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			rate := float64(d.n) / seconds
			s.addServiceFigure(fmt.Sprintf("import of %d x %d bytes, durable, with the command line", d.n, d.version.Size()), rate, "rows/s")
			s.measured["import"] = gate.Measurement{Value: rate, Note: fmt.Sprintf("%d rows, client on the same cores", d.n)}
		}
		ids = append(ids, list)
	}
	return ids, nil
}

// loadRuns measures the server under load. lists are the main list and the small list.
func (s *suite) loadRuns(v *service, d *dataset, lists []string) error {
	if err := s.loadBars(v, d, lists); err != nil || s.gates {
		return err
	}
	closed := 0.0
	for _, format := range []wire.Format{wire.JSON, wire.MessagePack} {
		for _, clients := range []int{1, 4, 16, 64, 256} {
			r, err := s.loadRun(v, d, format, 1, lists[0], d.n, load.Plan{Clients: clients})
			if err != nil {
				return err
			}
			if format == wire.JSON && clients == 64 {
				closed = r.PerSecond
			}
		}
	}
	for _, batch := range []int{16, 64} {
		if _, err := s.loadRun(v, d, wire.MessagePack, batch, lists[0], d.n, load.Plan{Clients: 4}); err != nil {
			return err
		}
	}
	for _, part := range []float64{0.25, 0.5, 0.75, 0.9} { // fractions of the rate of the closed loop
		if _, err := s.loadRun(v, d, wire.JSON, 1, lists[0], d.n, load.Plan{Clients: 256, Rate: part * closed}); err != nil {
			return err
		}
	}
	return nil
}

// loadBars measures the bars of the server three times, alternating with the probe.
func (s *suite) loadBars(v *service, d *dataset, lists []string) error {
	l := limits{barKernel(), runtime.GOMAXPROCS(0), s.region}
	var ofPeak, ofSingle, latency []float64
	for range 3 {
		probes, err := stat.RunAlternately(3, l.u8)
		if err != nil {
			return err
		}
		single, err := s.loadRun(v, d, wire.JSON, 1, lists[0], d.n, load.Plan{Clients: 1})
		if err != nil {
			return err
		}
		many, err := s.loadRun(v, d, wire.JSON, 1, lists[0], d.n, load.Plan{Clients: 64})
		if err != nil {
			return err
		}
		small, err := s.loadRun(v, d, wire.JSON, 1, lists[1], smallList, load.Plan{Clients: 1})
		if err != nil {
			return err
		}
		after, err := stat.RunAlternately(3, l.u8)
		if err != nil {
			return err
		}
		peak := l.u8Products() / ((probes.Seconds(0) + after.Seconds(0)) / 2)
		ofPeak = append(ofPeak, many.PairsPerSecond*float64(d.version.Length)/peak)
		ofSingle = append(ofSingle, many.PairsPerSecond/single.PairsPerSecond)
		latency = append(latency, small.Latency.P50)
	}
	if kernelOfLevel("avx512") != nil {
		s.recordBar("http-64-peak", stat.Summarize(ofPeak), "")
	}
	s.recordBar("http-64-1", stat.Summarize(ofSingle), "")
	s.recordBar("http-list-p50", stat.Summarize(latency), "")
	return nil
}

// amxLoad compares the server with amx and with avx512, with 256 clients. It restarts the
// server for each measurement, and once more at the end, with avx512.
func (s *suite) amxLoad(v *service, d *dataset, list string) error {
	if kernelOfLevel("amx") == nil {
		return nil
	}
	measure := func(level string) (float64, error) {
		if err := errors.Join(v.Stop(), v.writeConfig("simd: "+level+"\n"), v.start()); err != nil {
			return 0, err
		}
		r, err := s.loadRun(v, d, wire.JSON, 1, list, d.n, load.Plan{Clients: 256})
		if err != nil {
			return 0, err
		}
		return r.PairsPerSecond, nil
	}
	var ratios []float64
	for range 3 {
		matrix, err := measure("amx")
		if err != nil {
			return err
		}
		vector, err := measure("avx512")
		if err != nil {
			return err
		}
		ratios = append(ratios, matrix/vector)
	}
	s.recordBar("amx-http-256", stat.Summarize(ratios), "")
	return nil
}

// loadRun runs the load generator once. In the closed loop, a failed request is an
// error.
func (s *suite) loadRun(v *service, d *dataset, f wire.Format, batch int, list string, rows int, p load.Plan) (*load.Summary, error) {
	p.Duration, p.WarmUp = s.size.duration, s.size.duration/4
	m := requests(d, f, batch, list)
	send, closeAll := m.Target(v.URL).Connect(p.Clients)
	defer closeAll()
	r, err := load.Run(s.ctx, p, load.Wall{}, send)
	if err != nil {
		return nil, err
	}
	if r.Failed() > 0 && p.Rate == 0 { // in the open loop, requests fail if the server is too slow
		return nil, fmt.Errorf("%d clients: requests failed: %v", p.Clients, r.Errors)
	}
	summary := r.Summary(rows * batch)
	format := "JSON"
	if f == wire.MessagePack {
		format = "msgpack"
	}
	s.runs = append(s.runs, loadFigure{format, batch, rows, summary})
	s.logf("   %3d clients, %-7s, %2d references, rate %6.0f, %7d rows: %8.1f requests/s, %8.1f M pairs/s, p50 %.2f, p99 %.2f ms",
		p.Clients, format, batch, p.Rate, rows, summary.PerSecond, summary.PairsPerSecond/1e6, summary.Latency.P50, summary.Latency.P99)
	return &summary, nil
}

// residentMemory measures the server's memory as a fraction of the limit of the bar.
func (s *suite) residentMemory(v *service, rows int) error {
	resident, err := v.ResidentBytes()
	if err != nil {
		return err
	}
	allowed := float64(rows)*(512+128) + 250e6
	used := float64(resident)
	s.addServiceFigure(fmt.Sprintf("resident memory with %d rows", rows), used/1e6, "MB")
	s.measured["memory"] = gate.Measurement{Value: used / allowed, Note: fmt.Sprintf("%.0f of %.0f MB", used/1e6, allowed/1e6)}
	return nil
}

// measureRestarts measures the time from exec to the first answer over all rows: after
// an orderly stop, after kill -9, and without segments.
func (s *suite) measureRestarts(v *service, d *dataset, list string) error {
	stopped, err := s.measureStarts(v, d, list, 5, func() error { return v.Stop() }) // v.Server changes with each start
	if err != nil {
		return err
	}
	s.addServiceFigure(fmt.Sprintf("restart with %d rows, page cache warm", d.n), stopped.Median, "s")
	s.recordBar("restart", stopped, fmt.Sprintf("%d rows", d.n))
	killed, err := s.measureStarts(v, d, list, 5, func() error {
		v.Kill()
		return nil
	})
	if err != nil {
		return err
	}
	s.addServiceFigure(fmt.Sprintf("start after kill -9 with %d rows", d.n), killed.Median, "s")
	withoutSegments, err := s.measureStarts(v, d, list, 1, func() error {
		return errors.Join(v.Stop(), os.RemoveAll(filepath.Join(v.dir, "segments")))
	})
	if err != nil {
		return err
	}
	s.addServiceFigure(fmt.Sprintf("start without segments with %d rows", d.n), withoutSegments.Median, "s")
	return v.Stop()
}

// measureStarts ends the server with end and starts it again, several times. It returns
// the seconds from exec to the first answer over all rows.
func (s *suite) measureStarts(v *service, d *dataset, list string, times int, end func() error) (stat.Summary, error) {
	var seconds []float64
	for range times {
		if err := end(); err != nil {
			return stat.Summary{}, err
		}
		begin := time.Now()
		if err := v.start(); err != nil {
			return stat.Summary{}, err
		}
		if err := v.checkAnswer(d, list, d.n); err != nil {
			return stat.Summary{}, err
		}
		seconds = append(seconds, time.Since(begin).Seconds())
	}
	return stat.Summarize(seconds), nil
}
