package remote

import (
	"testing"

	"nearside/matcher"
)

// TestCallsCountParts: a call has as many references as fit, and each part of a reference
// of type together counts. Every reference is in exactly one call.
func TestCallsCountParts(t *testing.T) {
	all := references(120)
	total := 0
	for i, ref := range all {
		if i%3 == 0 {
			ref.Type, ref.Parts = matcher.RefTogether, make([]matcher.Reference, 1+i%matcher.PartsMax)
		}
		total += ref.Count()
	}
	for _, rows := range []int{1, 1000, 9000, 100_000} {
		var calls, counted, largest int
		for _, b := range batches(pairs(all, setsOf(1, rows))) {
			n := 0
			for _, ref := range b.references {
				n += ref.Count()
			}
			if limit := min(referencesPerCall, rowsPerCall/rows); n > limit && len(b.references) > 1 {
				t.Errorf("%d rows: a call has %d references, more than %d", rows, n, limit)
			}
			calls, counted, largest = calls+1, counted+n, max(largest, n)
		}
		if counted != total {
			t.Errorf("%d rows: the calls have %d references, want %d", rows, counted, total)
		}
		if rows == 1 && calls > total/(referencesPerCall-matcher.PartsMax)+1 {
			t.Errorf("%d calls for %d references", calls, total)
		}
	}
}
