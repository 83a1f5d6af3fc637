package memory

import (
	"context"
	"errors"
	"testing"

	"nearside/matcher"
	"nearside/matcher/memory/internal/memorytest"
)

// TestCancelledFilter checks that evaluating a filter stops when the context has ended.
func TestCancelledFilter(t *testing.T) {
	p := newPair(t, Options{chunkRows: 64, Workers: 1}, memorytest.Version3())
	p.commit(t, memorytest.Rows3(0, 500)...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := p.Select(ctx, &matcher.Candidates{Filter: matcher.Where(matcher.AnyOf("gender", uint8(1)))}, nil)
	if !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}
