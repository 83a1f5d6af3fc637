package memory

import (
	"context"

	"nearside/matcher/memory/segment"
	"nearside/matcher/store"
)

// Restore implements [store.Cache].
func (m *Memory) Restore(ctx context.Context, dir string, progress store.Progress) (mark []byte, err error) {
	return segment.Restore(ctx, dir, m.tables, m.options.Registry, progress)
}

// Discard implements [store.Cache].
func (m *Memory) Discard() { m.tables.Discard() }

// Records implements [store.Cache].
func (m *Memory) Records() uint64 { return m.tables.Records() }

// ListCount implements [store.Cache].
func (m *Memory) ListCount() int { return m.tables.ListCount() }

// Capture implements [store.Cache].
func (m *Memory) Capture() store.Seal { return segment.Capture(m.tables, m.options.sealStep) }

// Drop implements [store.Cache].
func (m *Memory) Drop(dir string) error { return segment.Drop(dir, m.tables) }
