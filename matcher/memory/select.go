package memory

import (
	"context"
	"runtime"

	"nearside/matcher"
	"nearside/matcher/memory/filter"
	"nearside/matcher/memory/scan"
)

// Selection is an immutable set of rows of one origin, as of one snapshot, which it keeps
// in memory. It implements [matcher.Selection].
type Selection struct {
	memory *Memory
	rows   *filter.Selection
}

// Len returns the number of rows.
func (s *Selection) Len() int { return s.rows.Len() }

// Comparable returns the number of rows that have a descriptor of v.
func (s *Selection) Comparable(v *matcher.Version) int {
	defer runtime.KeepAlive(s)
	return scan.NewJob(s.rows, v).Rows
}

// Versions implements [matcher.Selection].
func (s *Selection) Versions(t matcher.DescriptorType) map[uint32]int { return s.rows.Versions(t) }

// Bytes returns the memory that the selection itself needs, without the rows.
func (s *Selection) Bytes() int { return s.rows.Bytes() }

// Select implements [matcher.Selector].
func (m *Memory) Select(ctx context.Context, c *matcher.Candidates, account *matcher.ID) (matcher.Selection, error) {
	rows, err := m.selection(ctx, c.Origin, &c.Filter, account)
	if err != nil {
		return nil, err
	}
	return &Selection{m, rows}, nil
}

func (m *Memory) selection(ctx context.Context, o matcher.Origin, f *matcher.Filter, account *matcher.ID) (*filter.Selection, error) {
	m.tables.RLock()
	q := m.bind(o, f, account, m.now())
	m.tables.RUnlock()
	q.AddColumns(f)
	return q.Select(ctx)
}

// bind binds a filter. The caller must hold the lock of the tables, at least for reading.
func (m *Memory) bind(o matcher.Origin, f *matcher.Filter, account *matcher.ID, now matcher.Time) *filter.Query {
	return filter.Bind(m.tables, m.options.Kernel, o, f, account, now)
}

// now returns the time that decides which objects have expired.
func (m *Memory) now() matcher.Time { return matcher.TimeOf(m.options.Now()) }
