package memory

import (
	"context"

	"nearside/matcher"
)

// Raw returns the distances of every reference to every candidate, all of them
// descriptors of v: distances[i][j] is of references[i] and candidates[j].
func (m *Memory) Raw(ctx context.Context, v *matcher.Version, references, candidates [][]byte) ([][]float64, error) {
	const piece = 256 // candidates between two looks at the context
	var rows []byte
	if v.Encoding == matcher.Uint8 {
		rows = make([]byte, 0, len(candidates)*v.Size())
		for _, c := range candidates {
			rows = append(rows, c...)
		}
	}
	var sums [piece]uint32
	distances := make([][]float64, len(references))
	for i, reference := range references {
		distances[i] = make([]float64, len(candidates))
		for lo := 0; lo < len(candidates); lo += piece {
			if err := context.Cause(ctx); err != nil {
				return nil, err
			}
			n := min(piece, len(candidates)-lo)
			if v.Encoding == matcher.Uint8 {
				m.options.Kernel.SquaredL2U8(sums[:n], reference, rows[lo*v.Size():(lo+n)*v.Size()])
			}
			for j := range n {
				if v.Encoding == matcher.Uint8 {
					distances[i][lo+j] = v.FromSum(sums[j])
				} else {
					distances[i][lo+j] = v.Distance(reference, candidates[lo+j])
				}
			}
		}
	}
	return distances, nil
}

// Kernel returns the name of the instruction set that scans use.
func (m *Memory) Kernel() string { return m.options.Kernel.Name() }
