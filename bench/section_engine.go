package main

import (
	"fmt"
	"runtime"
	"time"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/simd"
)

// depth is the number of requested matches, except in workloads that vary it.
const depth = 10

// unfiltered returns a workload over all rows.
func unfiltered(queries int) workload { return workload{queries, depth, everything} }

// limitsSection measures the limits of the machine.
func (s *suite) limitsSection() error {
	for _, k := range usableKernels() {
		for _, threads := range machineWorkers() {
			l := limits{k, threads, s.region}
			r, err := stat.RunAlternately(s.size.rounds, l.stream, l.u8, l.f32)
			if err != nil {
				return err
			}
			f := limitFigure{k.Name(), threads, float64(len(s.region)) / r.Seconds(0) / 1e9, l.u8Products() / r.Seconds(1) / 1e9, l.f32Products() / r.Seconds(2) / 1e9}
			s.limitFigures = append(s.limitFigures, f)
			s.logf("   %-7s %d thread(s): stream %5.1f GB/s, uint8 %6.1f and float32 %6.1f G products/s", f.Kernel, f.Threads, f.StreamGB, f.U8, f.F32)
		}
	}
	return nil
}

// engineSection measures the local matcher, and the bars that compare it with the
// limits of the machine.
func (s *suite) engineSection() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	for _, name := range []string{"amx", "avx512", "avxvnni", "avx2"} {
		if kernelOfLevel(name) == nil {
			s.skipBars("this machine does not support "+name, barsOf(name)...)
		}
	}
	for _, k := range usableKernels() {
		for _, workers := range machineWorkers() {
			if s.gates && workers != 1 {
				continue
			}
			e, err := s.faceEngine(d, k, workers)
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
	if err := s.tileBar(); err != nil {
		return err
	}
	if !s.gates {
		if err := s.uniformRuns(); err != nil {
			return err
		}
	}
	return s.floatRuns()
}

// barsOf returns the IDs of the bars that need a level, including bars of peers.
func barsOf(name string) []string {
	switch name {
	case "amx":
		return []string{"amx-u8-64-vnni", "amx-u8-256-vnni", "amx-http-256"}
	case "avxvnni":
		return []string{"avxvnni-u8-64-avx2", "avxvnni-filter-scattered"}
	case "avx2":
		return []string{"avx2-u8-1-stream", "avx2-u8-64-peak", "avx2-u8-1-faiss", "avx2-u8-16-faiss", "avx2-u8-64-faiss", "avx2-filter-scattered"}
	}
	return []string{"avx2-filter-scattered", "avxvnni-filter-scattered", "u8-1-stream", "u8-1-faiss-recorded", "u8-1-faiss-sq8", "u8-64-peak", "u8-64-faiss", "u8-16-limit", "u8-16-faiss", "f32-64-fma", "http-64-peak"}
}

// close frees the memory. The garbage collector unmaps the descriptors when nothing
// refers to them any more.
func (e *engine) close() {
	e.Close()
	e.Memory = nil
	runtime.GC()
	runtime.GC()
}

func (s *suite) engineRuns(e *engine) error {
	fastest := e.limits.kernel == bestKernel()
	if e.limits.threads == 1 {
		if err := s.engineBars(e); err != nil {
			return err
		}
		if e.limits.kernel == barKernel() {
			if err := s.filterBars(e); err != nil {
				return err
			}
		}
		if fastest {
			if err := s.answerBars(e); err != nil {
				return err
			}
			if err := s.togetherBars(e); err != nil {
				return err
			}
		}
	}
	if s.gates {
		return nil
	}
	var all []workload
	for _, queries := range []int{1, 4, 16, 64} {
		if e.limits.threads > 1 || queries == 4 { // engineBars measures the rest
			all = append(all, unfiltered(queries))
		}
	}
	if fastest {
		for _, limit := range []int{1, 100, 1000, 10_000, 100_000} {
			all = append(all, workload{1, limit, everything})
			if limit <= 1000 {
				all = append(all, workload{64, limit, everything})
			}
		}
		for _, f := range e.data.filters {
			all = append(all, workload{1, depth, f}, workload{16, depth, f})
		}
	}
	for _, w := range all {
		if _, _, err := e.measureWorkload("engine", s.size.figureRounds, w); err != nil {
			return err
		}
	}
	return nil
}

// recordedFaiss is the recorded time of FAISS 1.15 QT_8bit_direct for a row of 512
// bytes on one core, 28.9 ns, as a multiple of the time of a stream probe, which
// reached 24 GB/s on that machine (bench/known-misses.md, u8-1-faiss-recorded).
const recordedFaiss = 28.9 / (512 / 24.0)

// engineBars measures the bars of an engine with one worker, which are per core.
func (s *suite) engineBars(e *engine) error {
	r, f, err := e.measureWorkload("engine", s.size.rounds, unfiltered(1))
	if err != nil {
		return err
	}
	bytes := float64(f.Compared * f.Dim)
	stream := r.Summary(func(seconds []float64) float64 {
		return seconds[streamProbe] * bytes / float64(len(s.region)) / seconds[firstCode]
	})
	_, some, err := e.measureWorkload("engine", s.size.rounds, unfiltered(16))
	if err != nil {
		return err
	}
	_, many, err := e.measureWorkload("engine", s.size.rounds, unfiltered(64))
	if err != nil {
		return err
	}
	switch e.limits.kernel {
	case kernelOfLevel("amx"):
		return s.amxBars(e)
	case kernelOfLevel("avx512"):
		s.recordBar("u8-1-stream", stream, "")
		s.recordBar("u8-1-faiss-recorded", stream.Times(recordedFaiss), "recorded: 28.9 ns per row at 24 GB/s")
		s.recordBar("u8-16-limit", some.OfLimit, "")
		s.recordBar("u8-64-peak", many.OfLimit, "")
	case kernelOfLevel("avx2"):
		s.recordBar("avx2-u8-1-stream", stream, "")
		s.recordBar("avx2-u8-64-peak", many.OfLimit, "")
	}
	return nil
}

// amxBars measures an engine with AMX beside the peak of AVX-512 VNNI.
func (s *suite) amxBars(e *engine) error {
	vnni := limits{kernelOfLevel("avx512"), 1, s.region}
	for id, queries := range map[string]int{"amx-u8-64-vnni": 64, "amx-u8-256-vnni": 256} {
		if queries > 64 {
			if _, _, err := e.measureWorkload("engine", s.size.rounds, unfiltered(queries)); err != nil {
				return err
			}
		}
		code, err := e.timedRun(unfiltered(queries))
		if err != nil {
			return err
		}
		r, err := stat.RunAlternately(s.size.rounds, vnni.u8, code)
		if err != nil {
			return err
		}
		products := float64(e.data.n) * float64(queries) * float64(e.data.version.Length)
		s.recordBar(id, r.Summary(func(seconds []float64) float64 {
			return seconds[0] * products / vnni.u8Products() / seconds[1]
		}), "")
	}
	return nil
}

// tileBar compares the tiles of AVX-VNNI and AVX2 with 64 queries.
func (s *suite) tileBar() error {
	vex := kernelOfLevel("avxvnni")
	if vex == nil {
		return nil
	}
	r, err := stat.RunAlternately(s.size.rounds, s.tiles(kernelOfLevel("avx2"), 64), s.tiles(vex, 64))
	if err != nil {
		return err
	}
	s.recordBar("avxvnni-u8-64-avx2", r.Ratio(0, 1), "")
	return nil
}

// tiles returns a run of the tiles of a kernel, with a number of queries of 512 dimensions,
// over a part of the region.
func (s *suite) tiles(k *simd.Kernel, count int) stat.Run {
	const dim = 512
	size, part := simd.BlockBytesU8(dim), s.region[:min(len(s.region), 32<<20)]
	queries := make([][]byte, count)
	for i := range queries {
		queries[i] = s.region[i*dim:][:dim]
	}
	var packed simd.QueriesU8
	k.PackU8(&packed, queries)
	consts := make([]int32, simd.BlockRows)
	tile, limits, hits := new(simd.TileU8), new([simd.GroupMax]int32), new(simd.HitsU8)
	return func() (float64, error) {
		start := time.Now()
		for at := 0; at+simd.TileBlocks*size <= len(part); at += simd.TileBlocks * size {
			tile.Reset()
			for b := range simd.TileBlocks {
				tile.AddBlock(part[at+b*size:][:size], consts)
			}
			for g := range packed.Groups() {
				k.TileU8(&packed, g, tile, limits, hits, nil)
			}
		}
		return time.Since(start).Seconds(), s.ctx.Err()
	}
}

// answerBars measures the bars of large answers.
func (s *suite) answerBars(e *engine) error {
	_, many, err := e.measureWorkload("engine", s.size.rounds, workload{64, 1000, everything})
	if err != nil {
		return err
	}
	s.recordBar("large-1000", many.OfLimit, e.Kernel())
	large := min(100_000, e.data.n/10)
	few, err := e.timedRun(unfiltered(1))
	if err != nil {
		return err
	}
	most, err := e.timedRun(workload{1, large, everything})
	if err != nil {
		return err
	}
	r, err := stat.RunAlternately(s.size.rounds, few, most)
	if err != nil {
		return err
	}
	s.recordBar("large-100000", r.Summary(func(seconds []float64) float64 {
		return seconds[1] / (1.5*seconds[0] + 100e-9*float64(large))
	}), fmt.Sprintf("%s; limit %d: %.1f ms, limit %d: %.1f ms", e.Kernel(), depth, r.Seconds(0)*1e3, large, r.Seconds(1)*1e3))
	return nil
}

// uniformRuns measures random bytes, which are the worst case for thresholds.
func (s *suite) uniformRuns() error {
	d, err := s.dataset(synth.Uniform, u8x512, s.size.rows)
	if err != nil {
		return err
	}
	e, err := s.faceEngine(d, bestKernel(), 1)
	if err != nil {
		return err
	}
	defer e.close()
	for _, queries := range []int{1, 16, 64} {
		if _, _, err := e.measureWorkload("engine", s.size.figureRounds, unfiltered(queries)); err != nil {
			return err
		}
	}
	return s.releaseDatasets(d)
}

// floatRuns measures float32, and compares it with a uint8 scan of the same number of
// rows.
func (s *suite) floatRuns() error {
	bytes, err := s.dataset(synth.Faces, u8x512, s.size.peerRows)
	if err != nil {
		return err
	}
	byteEngine, err := s.faceEngine(bytes, barKernel(), 1)
	if err != nil {
		return err
	}
	defer byteEngine.close()
	byteScan, err := byteEngine.timedRun(unfiltered(1))
	if err != nil {
		return err
	}
	for _, set := range []struct {
		kind    synth.Kind
		version uint32
		bars    bool
	}{{synth.Faces, cosinex512, true}, {synth.Faces, l2x512, false}, {synth.Uniform, cosinex512, false}} {
		if s.gates && !set.bars {
			continue
		}
		if err := s.floatEngine(set.kind, set.version, set.bars, byteScan); err != nil {
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
	e, err := s.faceEngine(d, barKernel(), 1)
	if err != nil {
		return err
	}
	defer e.close()
	if bars {
		floatScan, err := e.timedRun(unfiltered(1))
		if err != nil {
			return err
		}
		r, err := stat.RunAlternately(s.size.rounds, byteScan, floatScan)
		if err != nil {
			return err
		}
		s.recordBar("f32-1-u8", r.Ratio(1, 0), "")
	}
	for _, queries := range []int{1, 16, 64} {
		if s.gates && queries != 64 {
			continue
		}
		_, f, err := e.measureWorkload("engine", s.size.rounds, unfiltered(queries))
		if err != nil {
			return err
		}
		if bars && queries == 64 && barKernel().Level() == "avx512" {
			s.recordBar("f32-64-fma", f.OfLimit, "")
		}
	}
	if !bars { // the peers use the datasets of the bars, too
		return s.releaseDatasets(d)
	}
	return nil
}
