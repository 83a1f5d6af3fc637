package main

import (
	"runtime"
	"strings"

	"nearside/bench/stat"
	"nearside/bench/synth"
)

// depth is the number of matches that is asked for unless a workload is about
// it.
const depth = 10

// full is a workload over all rows.
func full(queries int) workload { return workload{queries, depth, everything} }

// limitsSection shows what the machine can do.
func (s *suite) limitsSection() error {
	for _, k := range usable() {
		for _, threads := range machineWorkers() {
			l := limits{k, threads, s.region}
			r, err := stat.InTurn(s.size.rounds, l.stream, l.u8, l.f32)
			if err != nil {
				return err
			}
			f := limitFigure{k.Name(), threads, float64(len(s.region)) / r.Seconds(0) / 1e9, l.u8Products() / r.Seconds(1) / 1e9, l.f32Products() / r.Seconds(2) / 1e9}
			s.limitFigures = append(s.limitFigures, f)
			s.progress("   %-7s %d thread(s): stream %5.1f GB/s, uint8 %6.1f and float32 %6.1f G products/s", f.Kernel, f.Threads, f.StreamGB, f.U8, f.F32)
		}
	}
	return nil
}

// engineSection measures the local matcher, and all bars that compare it with
// the machine's limits.
func (s *suite) engineSection() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	for _, name := range []string{"avx512", "avx2"} {
		if level(name) == nil {
			s.skip("this CPU has no "+name, barsOf(name)...)
		}
	}
	for _, k := range usable() {
		for _, workers := range machineWorkers() {
			if s.gates && workers != 1 {
				continue
			}
			e, err := s.engine(d, k, workers)
			if err != nil {
				return err
			}
			err = s.engineRuns(e)
			e.close()
			if err != nil {
				return err
			}
		}
	}
	if !s.gates {
		if err := s.uniformRuns(); err != nil {
			return err
		}
	}
	return s.floatRuns()
}

// barsOf returns the bars that need a level, those of peers included.
func barsOf(name string) []string {
	if name == "avx2" {
		return []string{"avx2-u8-1-stream", "avx2-u8-64-peak", "avx2-u8-1-faiss", "avx2-u8-16-faiss", "avx2-u8-64-faiss"}
	}
	return []string{"u8-1-stream", "u8-1-faiss-recorded", "u8-1-faiss-sq8", "u8-64-peak", "u8-64-faiss", "u8-16-limit", "u8-16-faiss", "f32-64-fma", "http-64-peak"}
}

// close gives the memory back: descriptors are unmapped when the collector
// finds that nobody refers to them.
func (e *engine) close() {
	e.Close()
	e.Memory = nil
	runtime.GC()
	runtime.GC()
}

func (s *suite) engineRuns(e *engine) error {
	fastest := e.limits.kernel == best()
	if e.limits.threads == 1 {
		if err := s.engineBars(e); err != nil {
			return err
		}
		if fastest {
			if err := s.filterBars(e); err != nil {
				return err
			}
		}
	}
	if s.gates {
		return nil
	}
	var all []workload
	for _, queries := range []int{1, 4, 16, 64} {
		if e.limits.threads > 1 || queries == 4 { // others are bars
			all = append(all, full(queries))
		}
	}
	if fastest {
		for _, limit := range []int{1, 100, 1000} {
			all = append(all, workload{1, limit, everything}, workload{64, limit, everything})
		}
		for _, f := range e.data.filters {
			all = append(all, workload{1, depth, f}, workload{16, depth, f})
		}
	}
	for _, w := range all {
		if _, _, err := e.run("engine", s.size.tryRounds, w); err != nil {
			return err
		}
	}
	return nil
}

// recordedFaiss is what FAISS 1.15 QT_8bit_direct took for a row of 512 on one
// core (PERFORMANCE 2), 28.9 ns, in times of a stream probe of 24 GB/s there.
const recordedFaiss = 28.9 / (512 / 24.0)

// engineBars measures with one worker, so per core.
func (s *suite) engineBars(e *engine) error {
	r, f, err := e.run("engine", s.size.rounds, full(1))
	if err != nil {
		return err
	}
	bytes := float64(f.Compared * f.Dim)
	stream := r.Of(func(seconds []float64) float64 {
		return seconds[streamProbe] * bytes / float64(len(s.region)) / seconds[firstCode]
	})
	_, some, err := e.run("engine", s.size.rounds, full(16))
	if err != nil {
		return err
	}
	_, many, err := e.run("engine", s.size.rounds, full(64))
	if err != nil {
		return err
	}
	switch e.limits.kernel {
	case level("avx512"):
		s.measure("u8-1-stream", stream, "")
		s.measure("u8-1-faiss-recorded", stream.Times(recordedFaiss), "recorded: 28.9 ns a row at 24 GB/s")
		s.measure("u8-16-limit", some.OfLimit, "")
		s.measure("u8-64-peak", many.OfLimit, "")
	case level("avx2"):
		s.measure("avx2-u8-1-stream", stream, "")
		s.measure("avx2-u8-64-peak", many.OfLimit, "")
	}
	return nil
}

// filterBars compares filters of 1 % with no filter.
func (s *suite) filterBars(e *engine) error {
	for _, bar := range []struct{ id, filter string }{{"filter-list", "list"}, {"filter-time", "time range"}, {"filter-scattered", "age"}} {
		if err := s.filterBar(e, bar.id, e.data.find(bar.filter, 1)); err != nil {
			return err
		}
	}
	return nil
}

// filterBar compares a filtered with a full scan, in turn.
func (s *suite) filterBar(e *engine, id string, f *filter) error {
	all, err := e.timed(full(1))
	if err != nil {
		return err
	}
	part, err := e.timed(workload{1, depth, f})
	if err != nil {
		return err
	}
	r, err := stat.InTurn(s.size.rounds, all, part)
	if err != nil {
		return err
	}
	s.measure(id, r.Ratio(1, 0), "")
	return nil
}

// uniformRuns shows what random bytes, the worst case for thresholds, change.
func (s *suite) uniformRuns() error {
	d, err := s.dataset(synth.Uniform, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	e, err := s.engine(d, best(), 1)
	if err != nil {
		return err
	}
	defer e.close()
	for _, queries := range []int{1, 16, 64} {
		if _, _, err := e.run("engine", s.size.tryRounds, full(queries)); err != nil {
			return err
		}
	}
	return s.release(d)
}

// floatRuns measures float32, beside a uint8 scan of as many rows.
func (s *suite) floatRuns() error {
	bytes, err := s.dataset(synth.Faces, u8x512, s.size.peerRows)
	if err != nil {
		return err
	}
	byteEngine, err := s.engine(bytes, best(), 1)
	if err != nil {
		return err
	}
	defer byteEngine.close()
	byteScan, err := byteEngine.timed(full(1))
	if err != nil {
		return err
	}
	for _, one := range []struct {
		kind    synth.Kind
		version uint32
		bars    bool
	}{{synth.Faces, cosinex512, true}, {synth.Faces, l2x512, false}, {synth.Uniform, cosinex512, false}} {
		if s.gates && !one.bars {
			continue
		}
		if err := s.floatEngine(one.kind, one.version, one.bars, byteScan); err != nil {
			return err
		}
	}
	return nil
}

func (s *suite) floatEngine(kind synth.Kind, version uint32, bars bool, byteScan stat.Run) error {
	d, err := s.dataset(kind, version, s.size.peerRows)
	if err != nil {
		return err
	}
	e, err := s.engine(d, best(), 1)
	if err != nil {
		return err
	}
	defer e.close()
	if bars {
		one, err := e.timed(full(1))
		if err != nil {
			return err
		}
		r, err := stat.InTurn(s.size.rounds, byteScan, one)
		if err != nil {
			return err
		}
		s.measure("f32-1-u8", r.Ratio(1, 0), "")
	}
	for _, queries := range []int{1, 16, 64} {
		if s.gates && queries != 64 {
			continue
		}
		_, f, err := e.run("engine", s.size.rounds, full(queries))
		if err != nil {
			return err
		}
		if bars && queries == 64 && strings.HasPrefix(best().Name(), "avx512") {
			s.measure("f32-64-fma", f.OfLimit, "")
		}
	}
	if !bars { // those of the bars are for the peers, too
		return s.release(d)
	}
	return nil
}
