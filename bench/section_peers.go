package main

import (
	"errors"
	"strings"

	"nearside/bench/stat"
	"nearside/bench/synth"
	"nearside/simd"
)

// comparison is a peer beside us.
type comparison struct {
	Peer     string     `json:"peer"`
	Kernel   string     `json:"kernel"` // ours
	Encoding string     `json:"encoding"`
	Rows     int        `json:"rows"`
	Queries  int        `json:"queries"`
	Threads  int        `json:"threads"`
	Ours     float64    `json:"our_ns_per_pair"`
	Theirs   float64    `json:"their_ns_per_pair"`
	Faster   stat.Ratio `json:"we_are_faster_by"`
	Recall   float64    `json:"their_recall_at_10"` // -1: it gives no top-10
}

// comparisonSeconds is about how long a comparison may take: some peers are very
// slow. A few rounds are run in any case.
const comparisonSeconds = 30

// peerSection runs the peers in turn with the engine, on the same file.
func (s *suite) peerSection() error {
	if err := s.bytePeers(); err != nil {
		return err
	}
	if err := s.floatPeers(); err != nil {
		return err
	}
	s.skip("FAISS is absent: "+s.why("faiss"), "u8-1-faiss-sq8", "u8-64-faiss", "u8-16-faiss", "avx2-u8-1-faiss", "avx2-u8-16-faiss", "avx2-u8-64-faiss")
	s.skip("OpenBLAS is absent: "+s.why("faiss"), "f32-64-sgemm")
	s.skip("vek32 is absent: "+s.why("go"), "f32-1-vek")
	return nil
}

// why returns what was found of a program.
func (s *suite) why(program string) string {
	for _, found := range s.found {
		if text, ok := strings.CutPrefix(found, program+": absent: "); ok {
			return text
		}
	}
	return "its program does not offer it"
}

func (s *suite) bytePeers() error {
	d, err := s.dataset(synth.Faces, u8x512, s.size.peerRows)
	if err != nil {
		return err
	}
	p, err := s.startPeer("faiss", d)
	if p == nil || err != nil {
		return err
	}
	if err := s.besidePeers(d, usable(), p, 1, 16, 64); err != nil {
		return errors.Join(err, p.close())
	}
	for _, name := range []string{"avx512", "avx2"} {
		prefix := strings.TrimSuffix(name+"-", "avx512-") // bars of avx512 have none
		for queries, id := range map[int]string{1: "u8-1-faiss", 16: "u8-16-faiss", 64: "u8-64-faiss"} {
			// The fastest of FAISS is the one over which our lead is the smallest.
			if closest := s.closest(name, queries, "faiss"); closest != nil && prefix+id != "u8-1-faiss" {
				s.measure(prefix+id, closest.Faster, closest.Peer)
			}
		}
	}
	if c := s.closest("avx512", 1, "faiss SQ8"); c != nil {
		s.measure("u8-1-faiss-sq8", c.Faster, c.Peer)
	}
	return p.close()
}

// closest returns the comparison of bytes, one thread each, in which a peer
// whose name begins so comes closest to one of our levels; nil: there is none.
func (s *suite) closest(level string, queries int, peer string) *comparison {
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
	for _, program := range []string{"faiss", "go"} {
		queries := []int{1, 16, 64}
		if s.gates { // those of the bars
			queries = map[string][]int{"faiss": {64}, "go": {1}}[program]
		}
		p, err := s.startPeer(program, d)
		if err != nil {
			return err
		}
		if p == nil {
			continue
		}
		if err := s.besidePeers(d, []*simd.Kernel{best()}, p, queries...); err != nil {
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
			s.measure("f32-64-sgemm", c.Faster, "it computes no top-10")
		case c.Queries == 1 && strings.HasPrefix(c.Peer, "vek32"):
			s.measure("f32-1-vek", c.Faster, "")
		}
	}
	return nil
}

// besidePeers compares all peers of a program with engines on kernels.
func (s *suite) besidePeers(d *dataset, kernels []*simd.Kernel, p *peerProgram, numbers ...int) error {
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
			if e, err = s.engine(d, k, threads); err != nil {
				break
			}
			engines = append(engines, e)
		}
		for i := 0; i < len(numbers) && err == nil; i++ {
			err = s.comparePeers(engines, p, recalls, numbers[i])
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

// comparePeers runs one workload with the engines and all peers, in turn.
func (s *suite) comparePeers(engines []*engine, p *peerProgram, recalls []float64, queries int) error {
	d, threads := engines[0].data, engines[0].limits.threads
	var runs []stat.Run // engines, then peers
	for _, e := range engines {
		ours, err := e.timed(full(queries))
		if err != nil {
			return err
		}
		runs = append(runs, ours)
	}
	for i := range p.names {
		runs = append(runs, p.run(i, queries, threads))
	}
	once, err := stat.InTurn(1, runs[0], runs[1:]...) // also warms caches up
	if err != nil {
		return err
	}
	sum := 0.0
	for i := range runs {
		sum += once.Seconds(i)
	}
	rounds := min(s.size.rounds, max(s.size.slowRounds, int(comparisonSeconds/sum)))
	r, err := stat.InTurn(rounds, runs[0], runs[1:]...)
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
			s.progress("   %-26s %2d queries, %d thread(s): %8.2f ns a pair; %s %8.2f; %.2f times faster",
				c.Peer, c.Queries, c.Threads, c.Theirs, c.Kernel, c.Ours, c.Faster.Median)
			s.comparisons = append(s.comparisons, c)
		}
	}
	return nil
}
