package memory

import (
	"context"

	"nearside/matcher"
	"nearside/simd"
)

const (
	// rawPiece is how many candidates are compared between two looks at the
	// context.
	rawPiece = 256
	// rawTurn is how many bytes are compared until others have their turn:
	// about as many as a strip of rows has.
	rawTurn = stripBytes
	// rawWaitingMax bounds the raw matches that wait for their turn.
	rawWaitingMax = 4096
)

// Raw returns the distances of every reference to every candidate, all of them
// descriptors of v: distances[i][j] is of references[i] and candidates[j]. As
// many raw matches as there are workers compare at once, in turns: small ones
// do not wait for the end of large ones.
func (m *Memory) Raw(ctx context.Context, v *matcher.Version, references, candidates [][]byte) ([][]float64, error) {
	r := rawMatch{visit: visit{of: m.raw}, kernel: m.options.Kernel, version: v, candidates: candidates}
	defer r.leave()
	if err := r.enter(ctx); err != nil {
		return nil, err
	}
	if v.Encoding == matcher.Uint8 {
		r.rows = make([]byte, 0, len(candidates)*v.Size())
		for _, c := range candidates {
			r.rows = append(r.rows, c...)
		}
	}
	distances := make([][]float64, len(references))
	for i, reference := range references {
		distances[i] = make([]float64, len(candidates))
		if err := r.compare(ctx, distances[i], reference); err != nil {
			return nil, err
		}
	}
	return distances, nil
}

// rawMatch is a raw match under way.
type rawMatch struct {
	visit
	kernel     *simd.Kernel
	version    *matcher.Version
	candidates [][]byte
	rows       []byte // the candidates side by side, when they are bytes
	turn       int    // bytes compared since others had their turn
	sums       [rawPiece]uint32
}

// compare sets the distances of a reference.
func (r *rawMatch) compare(ctx context.Context, distances []float64, reference []byte) error {
	v, size := r.version, r.version.Size()
	for lo := 0; lo < len(distances); lo += rawPiece {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if r.turn >= rawTurn {
			r.turn = 0
			if err := r.letOthers(ctx); err != nil {
				return err
			}
		}
		n := min(rawPiece, len(distances)-lo)
		if v.Encoding == matcher.Uint8 {
			r.kernel.SquaredL2U8(r.sums[:n], reference, r.rows[lo*size:(lo+n)*size])
			for j, sum := range r.sums[:n] {
				distances[lo+j] = v.FromSum(sum)
			}
		} else {
			for j, candidate := range r.candidates[lo : lo+n] {
				distances[lo+j] = v.Distance(reference, candidate)
			}
		}
		r.turn += n * size
	}
	return nil
}

// Kernel returns the name of the instruction set that scans use.
func (m *Memory) Kernel() string { return m.options.Kernel.Name() }
