package main

import (
	"errors"
	"slices"
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
	for _, name := range []string{"avx512", "avx2"} {
		k := level(name)
		if k == nil {
			continue // its bars are skipped already
		}
		best, err := s.besidePeers(d, k, p, 1, 16, 64)
		if err != nil {
			return errors.Join(err, p.close())
		}
		// The fastest of FAISS is the one over which our lead is the smallest.
		prefix := strings.TrimSuffix(name+"-", "avx512-")
		for queries, id := range map[int]string{1: "u8-1-faiss", 16: "u8-16-faiss", 64: "u8-64-faiss"} {
			if id = prefix + id; id != "u8-1-faiss" {
				s.measure(id, best[queries].Faster, best[queries].Peer)
			}
		}
		for _, c := range s.comparisons {
			if name == "avx512" && c.Peer == "faiss SQ8" && c.Queries == 1 && c.Threads == 1 && c.Kernel == k.Name() {
				s.measure("u8-1-faiss-sq8", c.Faster, "")
			}
		}
	}
	return p.close()
}

func (s *suite) floatPeers() error {
	d, err := s.dataset(synth.Faces, cosinex512, s.size.peerRows)
	if err != nil {
		return err
	}
	kernels := usable()
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
		if _, err := s.besidePeers(d, kernels[len(kernels)-1], p, queries...); err != nil {
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

// besidePeers compares all peers of a program with an engine, and returns for
// each number of queries, with one thread, the peer that comes closest.
func (s *suite) besidePeers(d *dataset, k *simd.Kernel, p *peerProgram, numbers ...int) (map[int]comparison, error) {
	best := map[int]comparison{}
	recalls := make([]float64, len(p.names))
	for i := range p.names {
		var err error
		if recalls[i], err = p.recall(d, i); err != nil {
			return nil, err
		}
	}
	for _, threads := range machineWorkers() {
		if threads != 1 && (s.gates || k != usable()[len(usable())-1]) {
			continue
		}
		e, err := s.engine(d, k, threads)
		if err != nil {
			return nil, err
		}
		for _, queries := range numbers {
			all, err := s.comparePeers(e, p, queries)
			if err != nil {
				e.close()
				return nil, err
			}
			for i := range all {
				all[i].Recall = recalls[i]
			}
			s.comparisons = append(s.comparisons, all...)
			if threads == 1 {
				best[queries] = slices.MinFunc(all, func(a, b comparison) int {
					if a.Faster.Median < b.Faster.Median {
						return -1
					}
					return 1
				})
			}
		}
		e.close()
	}
	return best, nil
}

// comparisonSeconds is about how long a comparison may take: some peers are very
// slow. Three rounds are run in any case.
const comparisonSeconds = 25

// comparePeers runs one workload with the engine and all peers, in turn.
func (s *suite) comparePeers(e *engine, p *peerProgram, queries int) ([]comparison, error) {
	ours, err := e.timed(full(queries))
	if err != nil {
		return nil, err
	}
	var theirs []stat.Run
	for i := range p.names {
		theirs = append(theirs, p.run(i, queries, e.limits.threads))
	}
	once, err := stat.InTurn(1, ours, theirs...) // also warms caches up
	if err != nil {
		return nil, err
	}
	sum := 0.0
	for i := range len(theirs) + 1 {
		sum += once.Seconds(i)
	}
	rounds := s.size.rounds
	if e.limits.threads > 1 {
		rounds = 3 // no bar
	}
	rounds = min(rounds, max(3, int(comparisonSeconds/sum)))
	r, err := stat.InTurn(rounds, ours, theirs...)
	if err != nil {
		return nil, err
	}
	perPair := 1e9 / float64(e.data.n*queries)
	var all []comparison
	for i, name := range p.names {
		c := comparison{
			Peer: name, Kernel: e.Kernel(), Encoding: e.data.version.Encoding.String(), Rows: e.data.n, Queries: queries, Threads: e.limits.threads,
			Ours: r.Seconds(0) * perPair, Theirs: r.Seconds(i+1) * perPair, Faster: r.Ratio(i+1, 0),
		}
		s.progress("   %-26s %2d queries, %d thread(s): %8.2f ns a pair; %s %8.2f; %.2f times faster",
			c.Peer, c.Queries, c.Threads, c.Theirs, c.Kernel, c.Ours, c.Faster.Median)
		all = append(all, c)
	}
	return all, nil
}
