package memory

import (
	"context"

	"nearside/matcher"
)

// Raw returns the distances of every reference to every candidate, all of them
// descriptors of v: distances[i][j] is of references[i] and candidates[j].
func (m *Memory) Raw(ctx context.Context, v *matcher.Version, references, candidates [][]byte) ([][]float64, error) {
	distances := make([][]float64, len(references))
	var rows []byte
	if v.Encoding == matcher.Uint8 {
		rows = make([]byte, 0, len(candidates)*v.Size())
		for _, c := range candidates {
			rows = append(rows, c...)
		}
	}
	workers := min(m.workers.pool.Cap(), len(references))
	err := m.workers.each(workers, func(worker int) {
		sums := make([]uint32, pieceRows)
		for i := worker; i < len(references); i += workers {
			distances[i] = make([]float64, len(candidates))
			for lo := 0; lo < len(candidates) && ctx.Err() == nil; lo += pieceRows {
				n := min(pieceRows, len(candidates)-lo)
				if v.Encoding == matcher.Uint8 {
					m.options.Kernel.SquaredL2U8(sums[:n], references[i], rows[lo*v.Size():(lo+n)*v.Size()])
				}
				for j := range n {
					if v.Encoding == matcher.Uint8 {
						distances[i][lo+j] = v.FromSum(sums[j])
					} else {
						distances[i][lo+j] = v.Distance(references[i], candidates[lo+j])
					}
				}
			}
		}
	})
	if err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		return nil, err
	}
	return distances, nil
}

// Kernel returns the name of the instruction set that scans use.
func (m *Memory) Kernel() string { return m.options.Kernel.Name() }
