package main

import (
	"errors"
	"strings"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/simd"
)

// comparison is the result of one peer compared with one of our kernels.
type comparison struct {
	Peer     string       `json:"peer"`
	Kernel   string       `json:"kernel"` // our kernel
	Encoding string       `json:"encoding"`
	Rows     int          `json:"rows"`
	Queries  int          `json:"queries"`
	Threads  int          `json:"threads"`
	Ours     float64      `json:"our_ns_per_pair"`
	Theirs   float64      `json:"their_ns_per_pair"`
	Faster   stat.Summary `json:"we_are_faster_by"`
	Recall   float64      `json:"their_recall_at_10"` // -1 if the peer computes no top 10
}

// comparisonSeconds is the approximate time limit of a comparison, because some peers
// are very slow. size.slowRounds rounds run in any case.
const comparisonSeconds = 30

// peerSection measures the peers and the engine on the same file, alternating.
func (s *suite) peerSection() error {
	if err := s.bytePeers(); err != nil {
		return err
	}
	if err := s.floatPeers(); err != nil {
		return err
	}
	s.skipBars("FAISS is absent: "+s.absenceReason("faiss"), "u8-1-faiss-sq8", "u8-64-faiss", "u8-16-faiss", "avx2-u8-1-faiss", "avx2-u8-16-faiss", "avx2-u8-64-faiss")
	s.skipBars("OpenBLAS is absent: "+s.absenceReason("faiss"), "f32-64-sgemm")
	s.skipBars("vek32 is absent: "+s.absenceReason("go"), "f32-1-vek")
	return nil
}

// absenceReason returns the reason why a peer of a program was not measured.
func (s *suite) absenceReason(program string) string {
	for _, note := range s.peerNotes {
		if text, ok := strings.CutPrefix(note, program+": absent: "); ok {
			return text
		}
	}
	return "the program of the peers does not measure it"
}

func (s *suite) bytePeers() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.peerRows)
	if err != nil {
		return err
	}
	if !s.gates {
		if err := s.besideUSearch(d); err != nil {
			return err
		}
	}
	p, err := s.startPeer("faiss", d)
	if p == nil || err != nil {
		return err
	}
	if err := s.besidePeers(d, usableKernels(), p, 1, 16, 64); err != nil {
		return errors.Join(err, p.close())
	}
	for _, name := range []string{"avx512", "avx2"} {
		prefix := strings.TrimSuffix(name+"-", "avx512-") // bars of avx512 have no prefix
		for queries, id := range map[int]string{1: "u8-1-faiss", 16: "u8-16-faiss", 64: "u8-64-faiss"} {
			// The bar compares with the fastest index of FAISS.
			if closest := s.closestComparison(name, queries, "faiss"); closest != nil && prefix+id != "u8-1-faiss" {
				s.recordBar(prefix+id, closest.Faster, closest.Peer)
			}
		}
	}
	if c := s.closestComparison("avx512", 1, "faiss SQ8"); c != nil {
		s.recordBar("u8-1-faiss-sq8", c.Faster, c.Peer)
	}
	return p.close()
}

// besideUSearch compares USearch, which no bar names, with the fastest kernel.
func (s *suite) besideUSearch(d *dataset) error {
	p, err := s.startPeer("usearch", d)
	if p == nil || err != nil {
		return err
	}
	return errors.Join(s.besidePeers(d, []*simd.Kernel{bestKernel()}, p, 1, 16, 64), p.close())
}

// closestComparison returns the comparison in which nearside's lead is smallest. It considers
// comparisons of uint8 with one thread, a kernel of the given level, and a peer whose
// name begins with peer. It returns nil if there is no such comparison.
func (s *suite) closestComparison(level string, queries int, peer string) *comparison {
	var closest *comparison
	for i := range s.comparisons {
		c := &s.comparisons[i]
		if c.Encoding == "uint8" && c.Threads == 1 && c.Queries == queries && strings.HasPrefix(c.Kernel, level) && strings.HasPrefix(c.Peer, peer) &&
			(closest == nil || c.Faster.Median < closest.Faster.Median) {
			closest = c
		}
	}
	return closest
}

func (s *suite) floatPeers() error {
	d, err := s.dataset(synth.Faces, cosinex512, s.size.peerRows)
	if err != nil {
		return err
	}
	if !s.gates {
		if err := s.besideUSearch(d); err != nil {
			return err
		}
	}
	for _, program := range []string{"faiss", "go"} {
		queries := []int{1, 16, 64}
		if s.gates { // only the workloads of the bars
			queries = map[string][]int{"faiss": {64}, "go": {1}}[program]
		}
		p, err := s.startPeer(program, d)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		if err := s.besidePeers(d, []*simd.Kernel{barKernel()}, p, queries...); err != nil {
			return errors.Join(err, p.close())
		}
		if err := p.close(); err != nil {
			return err
		}
	}
	for _, c := range s.comparisons {
		switch {
		case c.Threads != 1 || c.Encoding != "float32":
		case c.Queries == 64 && strings.HasPrefix(c.Peer, "openblas sgemm"):
			s.recordBar("f32-64-sgemm", c.Faster, "it computes no top-10")
		case c.Queries == 1 && strings.HasPrefix(c.Peer, "vek32"):
			s.recordBar("f32-1-vek", c.Faster, "")
		}
	}
	return nil
}

// besidePeers compares all peers of a program with engines that use kernels, once
// for each number of queries in queryCounts.
func (s *suite) besidePeers(d *dataset, kernels []*simd.Kernel, p *peerProgram, queryCounts ...int) error {
	recalls := make([]float64, len(p.names))
	for i := range p.names {
		var err error
		if recalls[i], err = p.recall(d, i); err != nil {
			return err
		}
	}
	for _, threads := range machineWorkers() {
		if threads != 1 && (s.gates || s.short) {
			continue
		}
		var engines []*engine
		var err error
		for _, k := range kernels {
			var e *engine
			if e, err = s.faceEngine(d, k, threads); err != nil {
				break
			}
			engines = append(engines, e)
		}
		for i := 0; i < len(queryCounts) && err == nil; i++ {
			err = s.comparePeers(engines, p, recalls, queryCounts[i])
		}
		for _, e := range engines {
			e.close()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// comparePeers runs one workload with the engines and all peers, alternating.
func (s *suite) comparePeers(engines []*engine, p *peerProgram, recalls []float64, queries int) error {
	d, threads := engines[0].data, engines[0].limits.threads
	var runs []stat.Run // first the engines, then the peers
	for _, e := range engines {
		ours, err := e.timedRun(unfiltered(queries))
		if err != nil {
			return err
		}
		runs = append(runs, ours)
	}
	for i := range p.names {
		runs = append(runs, p.timedRun(i, queries, threads))
	}
	firstRound, err := stat.RunAlternately(1, runs[0], runs[1:]...) // also warms the caches
	if err != nil {
		return err
	}
	sum := 0.0
	for i := range runs {
		sum += firstRound.Seconds(i)
	}
	rounds := min(s.size.rounds, max(s.size.slowRounds, int(comparisonSeconds/sum)))
	r, err := stat.RunAlternately(rounds, runs[0], runs[1:]...)
	if err != nil {
		return err
	}
	perPair := 1e9 / float64(d.n*queries)
	for i, e := range engines {
		for j, name := range p.names {
			theirs := len(engines) + j
			c := comparison{
				Peer: name, Kernel: e.Kernel(), Encoding: d.version.Encoding.String(), Rows: d.n, Queries: queries, Threads: threads,
				Ours: r.Seconds(i) * perPair, Theirs: r.Seconds(theirs) * perPair, Faster: r.Ratio(theirs, i), Recall: recalls[j],
			}
			s.logf("   %-26s %2d queries, %d thread(s): %8.2f ns per pair; %s %8.2f; %.2f times faster",
				c.Peer, c.Queries, c.Threads, c.Theirs, c.Kernel, c.Ours, c.Faster.Median)
			s.comparisons = append(s.comparisons, c)
		}
	}
	return nil
}
