package scan

import (
	"context"

	"nearside/matcher"
	"nearside/simd"
)

const (
	// rawPiece is the number of candidates compared between two checks of the context.
	rawPiece = 256
	// rawTurn is the number of bytes that a raw match compares before it yields to other raw
	// matches: about the size of a strip.
	rawTurn = stripBytes
	// rawWaitingMax is the maximum number of raw matches that wait for a turn.
	rawWaitingMax = 4096
)

// Raw compares descriptors that are part of a request. It has a limited number of places,
// one for each raw match that compares at the same time. Raw matches take turns, so that
// small ones do not wait for large ones to end.
type Raw struct {
	turnstile *turnstile
	kernel    *simd.Kernel
}

// NewRaw returns a Raw with the given number of places.
func NewRaw(places int, k *simd.Kernel) *Raw { return &Raw{newTurnstile(places, rawWaitingMax), k} }

// Distances returns the distance of every reference to every candidate. All of them are
// descriptors of v. distances[i][j] belongs to references[i] and candidates[j].
func (raw *Raw) Distances(ctx context.Context, v *matcher.Version, references, candidates [][]byte) ([][]float64, error) {
	r := rawMatch{visit: visit{turnstile: raw.turnstile}, kernel: raw.kernel, version: v, candidates: candidates}
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

// rawMatch is a raw match in progress.
type rawMatch struct {
	visit
	kernel     *simd.Kernel
	version    *matcher.Version
	candidates [][]byte
	rows       []byte // uint8 only: the candidates one after another
	turn       int    // bytes compared in this turn
	sums       [rawPiece]uint32
}

// compare sets the distances of one reference.
func (r *rawMatch) compare(ctx context.Context, distances []float64, reference []byte) error {
	v, size := r.version, r.version.Size()
	for lo := 0; lo < len(distances); lo += rawPiece {
		if err := context.Cause(ctx); err != nil {
			return err
		}
		if r.turn >= rawTurn {
			r.turn = 0
			if err := r.yield(ctx); err != nil {
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
