package scan

import (
	"math"
	"testing"
)

// TestSlots: as many values as Slots was asked for fit, and there is always a free slot.
func TestSlots(t *testing.T) {
	for n := range 5000 {
		if slots := Slots(n); slots-slots/4 < n || slots/4 < 1 || slots > 4*max(1, n) {
			t.Fatalf("%d slots for %d values", slots, n)
		}
	}
}

// TestCountedRowsPass: a row that a kernel has let through, but whose distance is above the
// threshold, does not count.
func TestCountedRowsPass(t *testing.T) {
	p := newTestSearch(10, 1)
	p.cut, p.counter = 0.5, &counter{field: -1}
	p.offer([]Hit{{0.5, 0}, {math.Nextafter(0.5, 1), 1}, {0.25, 2}, {0.75, 3}})
	if n, ok := p.Count(); n != 2 || !ok {
		t.Errorf("counted %d, want 2", n)
	}
}
